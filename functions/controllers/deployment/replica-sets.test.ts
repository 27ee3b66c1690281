import { expect, it } from 'vitest';
import type { Deployment, ReplicaSet } from '../../machinery/kinds.d.ts';
import { family, newSetAnnotations, revisionOf } from './replica-sets.ts';

const KEY = 'deployment.kubernetes.io/revision';
const HISTORY = 'deployment.kubernetes.io/revision-history';
const setOf = (name: string, revision: string): ReplicaSet => ({
  metadata: { name, uid: name, annotations: { [KEY]: revision } },
  spec: { selector: {}, template: { spec: { containers: [{ name, image: name }] } } },
});

it.each([
  ['7', 7n],
  ['3546343826724305832', 3546343826724305832n],
  ['9223372036854775808', 0n],
  ['1.5', 0n],
  ['x', 0n],
  ['', 0n],
])('reads the revision %j', (text, revision) => expect(revisionOf(setOf('a', text))).toBe(revision));

it('counts on from the highest revision of an old set, however large', () => {
  const deployment: Deployment = {
    metadata: { name: 'd' },
    spec: { selector: {}, template: { spec: { containers: [{ name: 'new', image: 'new' }] } } },
  };
  const found = family(deployment, [setOf('a', '3546343826724305832'), setOf('b', '2'), setOf('new', '1')]);
  expect(found.revision).toBe(3546343826724305833n);
  expect(newSetAnnotations(deployment, found.newest, found.revision)).toEqual({
    [KEY]: '3546343826724305833',
    [HISTORY]: '1',
  });
});
