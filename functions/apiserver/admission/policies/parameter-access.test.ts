import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../../clock/system.ts';
import { createStored } from '../../authz/stored-for-tests.ts';
import type { AnyObject, Call } from '../../context.ts';
import type { UserInfo } from '../../registry.ts';
import { builtinResources } from '../../registry-builtin.ts';
import { createRegistry } from '../../registry-clusters.ts';
import { policyParameters } from './parameter-access.ts';

const GROUP = 'admissionregistration.k8s.io';
const alice: UserInfo = { username: 'alice', uid: '', groups: ['devs'], extra: {} };
const { put, replicas, store } = createStored(createSystemClock());
const registry = createRegistry(builtinResources());

/** What writing an object comes to for a user who may do just `may`: `verb resource namespace/name`. */
const write = async (resource: string, spec: object, may: string, user = alice, old?: object) => {
  const asked: string[] = [];
  const authorizer = {
    authorize: async (a: { verb: string; resource: string; namespace: string; name: string }) => {
      asked.push(`${a.verb} ${a.resource} ${a.namespace}/${a.name}`);
      return { allowed: asked.at(-1) === may };
    },
  };
  const info = { cluster: 'default', name: 'p', namespace: '' };
  const found = registry.find('default', GROUP, 'v1', resource);
  const call = { server: { authorizer, registry, replicas, store }, info, user, resource: found } as unknown as Call;
  const metadata = { name: 'p' };
  const request = { call, operation: 'CREATE' as const, subresource: '', object: { metadata, spec } as AnyObject };
  try {
    await policyParameters.validate?.({ ...request, ...(old && { old: { metadata, spec: old } as AnyObject }) });
    return { asked, message: '' };
  } catch (error) {
    return { asked, message: error instanceof Error ? error.message : '' };
  }
};

const paramKind = { apiVersion: 'v1', kind: 'Secret' };
describe('who may give parameters to policies', () => {
  it('has to read all of the kind for a policy', async () => {
    const refused = await write('validatingadmissionpolicies', { paramKind }, '');
    expect(refused.asked).toEqual(['get secrets */*']);
    expect(refused.message).toContain(
      'spec.paramKind: Forbidden: user &{alice  [devs] map[]} must have "get" permission on all objects of the referenced paramKind (kind=Secret, apiVersion=v1)',
    );
    expect((await write('validatingadmissionpolicies', { paramKind }, 'get secrets */*')).message).toBe('');
    expect((await write('mutatingadmissionpolicies', { paramKind }, '', alice, { paramKind })).asked).toEqual([]);
    expect((await write('mutatingadmissionpolicies', {}, '')).asked).toEqual([]);
  });

  it('has to read what a binding names', async () => {
    await put(GROUP, 'validatingadmissionpolicies', { metadata: { name: 'p' }, spec: { paramKind } } as never);
    const spec = { policyName: 'p', paramRef: { name: 's', namespace: 'n' } };
    const refused = await write('validatingadmissionpolicybindings', spec, '');
    expect(refused.asked).toEqual(['get secrets n/s']);
    expect(refused.message).toContain('does not have "get" permission on the object referenced by paramRef');
    const all = { policyName: 'p', paramRef: { selector: {} } };
    expect((await write('validatingadmissionpolicybindings', all, 'list secrets /')).message).toBe('');
    expect((await write('validatingadmissionpolicybindings', spec, '', alice, spec)).asked).toEqual([]);
  });

  it('has to read everything where the policy is not known', async () => {
    const spec = { policyName: 'none', paramRef: { name: 's' } };
    const refused = await write('mutatingadmissionpolicybindings', spec, '');
    expect(refused.asked).toEqual(['get * /s']);
    expect(refused.message).toContain('unable to get policy none to determine minimum required permissions');
  });

  it('is not asked of administrators', async () => {
    const root = { ...alice, groups: ['system:masters'] };
    expect((await write('validatingadmissionpolicies', { paramKind }, '', root)).asked).toEqual([]);
  });
});
