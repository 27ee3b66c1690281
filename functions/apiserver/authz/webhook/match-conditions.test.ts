import { describe, expect, it } from 'vitest';
import { user } from '../../authn/authenticator.ts';
import type { Attributes } from '../authorizer.ts';
import { askConditions, compileConditions } from './match-conditions.ts';
import { specOf } from './review.ts';

const list: Attributes = {
  cluster: 'default',
  user: user('alice', ['ops'], 'uid-1', { 'x.dev/k': ['v'] }),
  verb: 'list',
  isResource: true,
  group: 'apps',
  version: 'v1',
  resource: 'deployments',
  subresource: '',
  namespace: 'team',
  name: '',
  path: '',
};
const verdict = async (expressions: string[], a: Attributes) =>
  askConditions(
    (await compileConditions(expressions)).filter((one) => 'program' in one),
    specOf(a),
  );

describe('match conditions', () => {
  const path = { ...list, isResource: false, verb: 'get', path: '/healthz', resource: '' };
  const query = new URLSearchParams({ fieldSelector: 'metadata.name=x', labelSelector: 'a=b' });

  it.each([
    [`request.resourceAttributes.namespace == 'team'`, list, true],
    [`request.resourceAttributes.namespace == 'else'`, list, false],
    [`has(request.resourceAttributes)`, list, true],
    [`has(request.resourceAttributes)`, path, false],
    [`has(request.nonResourceAttributes) && request.nonResourceAttributes.path == '/healthz'`, path, true],
    [`request.user == 'alice' && request.uid == 'uid-1' && 'ops' in request.groups`, list, true],
    [`request.extra['x.dev/k'] == ['v']`, list, true],
    [`request.resourceAttributes.subresource == '' && request.resourceAttributes.name == ''`, list, true],
    [`has(request.resourceAttributes.fieldSelector)`, list, false],
    [`request.resourceAttributes.fieldSelector.requirements[0].key == 'metadata.name'`, { ...list, query }, true],
    [`request.resourceAttributes.labelSelector.requirements.exists(r, 'b' in r.values)`, { ...list, query }, true],
    [`!('system:serviceaccounts' in request.groups)`, { ...list, user: user('x', []) }, true],
  ] as [string, Attributes, boolean][])('%s', async (expression, a, called) => {
    expect(await verdict([expression], a)).toBe(called ? 'call' : 'skip');
  });

  it('that do not compile say why', async () => {
    const [type, unknown, empty] = await compileConditions(['request.user', 'request.nobody == 1', '1 +']);
    expect(type).toEqual({ expression: 'request.user', fault: 'must evaluate to bool but got string' });
    expect(unknown).toMatchObject({ fault: expect.stringContaining("undefined field 'nobody'") });
    expect(empty).toMatchObject({ fault: expect.stringContaining('compilation failed') });
  });
});
