import { isDeepStrictEqual } from 'node:util';
import { type Cause, cause, invalid } from '../../machinery/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission/admission.ts';
import { type Attributes, refused } from './authorizer.ts';

/**
 * Who may write what of a claim's status (KEP-4817, DRAResourceClaimGranularStatusAuthorization): the scheduler allocates
 * and reserves, which takes `resourceclaims/binding`; a driver tells of its own devices, which takes `resourceclaims/driver`
 * by the driver's name, on the node of the claim or on any.
 */
const GROUP = 'resource.k8s.io';
const NODE_NAME = 'authentication.kubernetes.io/node-name';

/** Of ResourceClaimStatus, what is compared here. */
interface Device {
  driver: string;
  pool: string;
  device: string;
  shareID?: string;
}
interface FieldTerm {
  key: string;
  operator: string;
  values?: readonly string[];
}
interface Status {
  allocation?: {
    nodeSelector?: {
      nodeSelectorTerms: { matchFields?: readonly FieldTerm[]; matchExpressions?: readonly unknown[] }[];
    };
  };
  reservedFor?: readonly unknown[];
  devices?: readonly Device[];
}

/** Why somebody may not do something; undefined where they may. */
const refusalOf = async ({ call }: AdmissionRequest, asked: Partial<Attributes>): Promise<string | undefined> => {
  const { server, info, user } = call;
  const attributes: Attributes = { ...info, user, ...asked };
  const decision = await server.authorizer.authorize(attributes);
  if (decision.allowed) return undefined;
  const reason = [decision.fault, decision.reason].filter(Boolean).join(': ');
  return refused(attributes, { allowed: false, reason }).message;
};

const allocationCauses = async (request: AdmissionRequest, next: Status, old: Status): Promise<Cause[]> => {
  const same = (a: unknown, b: unknown) => isDeepStrictEqual(a ?? null, b ?? null);
  if (same(next.allocation, old.allocation) && same(next.reservedFor ?? [], old.reservedFor ?? [])) return [];
  const { verb } = request.call.info;
  const why = await refusalOf(request, { subresource: 'binding', namespace: '', name: '' });
  if (why === undefined) return [];
  const needed = `changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="${verb}" permission`;
  return [cause.forbidden('status.allocation', `${needed}: ${why}`)];
};

const deviceKey = ({ driver, pool, device, shareID }: Device): string =>
  JSON.stringify([driver, pool, device, shareID]);

/** The drivers of devices that were added, changed or removed, in order. */
const changedDrivers = (next: Status, old: Status): string[] => {
  const before = new Map((old.devices ?? []).map((device) => [deviceKey(device), device]));
  const drivers = new Set<string>();
  for (const device of next.devices ?? []) {
    const key = deviceKey(device);
    if (!isDeepStrictEqual(before.get(key), device)) drivers.add(device.driver);
    before.delete(key);
  }
  for (const { driver } of before.values()) drivers.add(driver);
  return [...drivers].sort();
};

/** The one node that a claim is allocated on, where it is one. */
const allocatedNode = ({ allocation }: Status): string | undefined => {
  const [term, ...more] = allocation?.nodeSelector?.nodeSelectorTerms ?? [];
  const [field, ...others] = term?.matchFields ?? [];
  if (!field || more.length > 0 || others.length > 0 || term?.matchExpressions?.length) return undefined;
  const isOne = field.key === 'metadata.name' && field.operator === 'In' && field.values?.length === 1;
  return isOne ? field.values?.[0] : undefined;
};

const driverVerbs = ({ call }: AdmissionRequest, next: Status): string[] => {
  const { username, extra } = call.user;
  const places = extra[NODE_NAME] ?? [];
  const node = allocatedNode(next);
  const isThere =
    node !== undefined && username.startsWith('system:serviceaccount:') && isDeepStrictEqual([...places], [node]);
  return [...(isThere ? ['associated-node:'] : []), 'arbitrary-node:'].map((place) => `${place}${call.info.verb}`);
};

const deviceCauses = async (request: AdmissionRequest, next: Status, old: Status): Promise<Cause[]> => {
  const causes: Cause[] = [];
  // Without an allocation no device is told of.
  if (!next.allocation) return causes;
  const verbs = driverVerbs(request, next);
  for (const name of changedDrivers(next, old)) {
    let first: string | undefined;
    let allowed = false;
    for (const verb of verbs) {
      const why = await refusalOf(request, { verb, subresource: 'driver', name });
      if (why === undefined) {
        allowed = true;
        break;
      }
      first ??= why;
    }
    if (allowed) continue;
    const needed = `changing status.devices requires resource="resourceclaims/driver", verb="[${verbs.join(' ')}]" permission`;
    causes.push(cause.forbidden('status.devices', `${needed}: ${first}`));
  }
  return causes;
};

/** Stands after every plugin that changes objects. */
export const claimStatusRights: AdmissionPlugin = {
  name: 'claim-status-rights',
  about: [`${GROUP}/resourceclaims`],
  admit: async (request) => {
    const { object, old, operation, subresource } = request;
    if (operation !== 'UPDATE' || subresource !== 'status' || !object || !old) return;
    const next = (object.status ?? {}) as Status;
    const before = (old.status ?? {}) as Status;
    const causes = [...(await allocationCauses(request, next, before)), ...(await deviceCauses(request, next, before))];
    if (causes.length > 0) throw invalid({ group: GROUP, kind: 'ResourceClaim', name: request.call.info.name }, causes);
  },
};
