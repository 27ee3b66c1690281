import { expect, it } from 'vitest';
import { user } from '../authn/authenticator.ts';
import { identityHeaders } from './identity.ts';

it('keys of extra values keep their case, which headers have not', () => {
  const extra = { canonicalArn: ['a'], 'sigs.k8s.io/x': ['b'], 'a%b': ['c'] };
  const names = Object.keys(identityHeaders(user('u', [], '', extra)));
  const keys = names
    .filter((name) => name.startsWith('x-remote-extra-'))
    .map((name) => decodeURIComponent(name.slice('x-remote-extra-'.length).toLowerCase()));
  expect(keys).toEqual(Object.keys(extra));
  expect(names.every((name) => name === name.toLowerCase())).toBe(true);
});
