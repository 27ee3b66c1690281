// resource.k8s.io: claims for devices and their templates (KEP-4381).
import type {
  ResourceDeviceClass as DeviceClass,
  ResourceResourceClaim as ResourceClaim,
  ResourceClaimTemplate,
} from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { at, type Causes, checkDnsLabel, checkSubdomain, immutable, oneOf, positive, required } from './checks.ts';
import { checkDriver, checkQualifiedName, validateSlice, validateSliceUpdate } from './device-slices.ts';
import { deviceExpressionFault, loadExpressions } from './expressions.ts';

type Spec = ResourceClaim['spec'];
type Request = NonNullable<NonNullable<Spec['devices']>['requests']>[number];
type Exact = NonNullable<Request['exactly']>;

const EXPRESSION_BYTES_MAX = 10 * 1024;

type Selector = NonNullable<Exact['selectors']>[number];

const checkSelectors = (out: Causes, path: string, list: readonly Selector[] | undefined): void => {
  if ((list?.length ?? 0) > 32) out.push(cause.tooMany(path, list?.length ?? 0, 32));
  list?.forEach(({ cel }, i) => {
    const entry = at(path, i);
    if (!cel) {
      out.push(cause.required(`${entry}.cel`));
      return;
    }
    const where = `${entry}.cel.expression`;
    if (Buffer.byteLength(cel.expression) > EXPRESSION_BYTES_MAX) {
      out.push(cause.tooLong(where, EXPRESSION_BYTES_MAX));
      return;
    }
    const fault = deviceExpressionFault(cel.expression);
    if (fault) out.push(cause.invalid(where, cel.expression, fault));
  });
};

/** A request's or subrequest's name; an empty one is no label. */
const checkName = (out: Causes, path: string, name: string | undefined): void => checkDnsLabel(out, path, name ?? '');

const checkExact = (out: Causes, path: string, exact: Exact): void => {
  const where = `${path}.deviceClassName`;
  if (required(out, where, exact.deviceClassName)) checkSubdomain(out, where, exact.deviceClassName);
  oneOf(out, `${path}.allocationMode`, exact.allocationMode, ['All', 'ExactCount']);
  if (exact.allocationMode === 'ExactCount') positive(out, `${path}.count`, exact.count);
  else if (exact.count) {
    out.push(cause.invalid(`${path}.count`, exact.count, "must not be specified when allocationMode is 'All'"));
  }
  checkSelectors(out, `${path}.selectors`, exact.selectors);
};

const isRequest = (spec: Spec | undefined, name: string): boolean => {
  const [request, sub, ...more] = name.split('/');
  const found = spec?.devices?.requests?.find((one) => one.name === request);
  if (!found || more.length > 0) return false;
  return sub === undefined || (found.firstAvailable ?? []).some((one) => one.name === sub);
};

const checkReferences = (out: Causes, path: string, spec: Spec | undefined, names: readonly string[] = []): void => {
  names.forEach((name, i) => {
    const where = at(path, i);
    if (names.indexOf(name) < i) out.push(cause.duplicate(where, name));
    const parts = name.split('/');
    if (parts.length <= 2) for (const part of parts) checkName(out, where, part);
    if (!isRequest(spec, name))
      out.push(
        cause.invalid(
          where,
          name,
          "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
        ),
      );
  });
};

interface Configuration {
  opaque?: { driver?: string; parameters?: unknown };
}
const checkConfiguration = (out: Causes, path: string, { opaque }: Configuration): void => {
  if (!required(out, `${path}.opaque`, opaque)) return;
  checkDriver(out, `${path}.opaque.driver`, opaque?.driver);
  const { parameters } = opaque ?? {};
  const where = `${path}.opaque.parameters`;
  if (!required(out, where, parameters)) return;
  if (typeof parameters !== 'object' || Array.isArray(parameters))
    out.push(cause.invalid(where, parameters, 'must be a valid JSON object'));
};

const checkConstraints = (out: Causes, path: string, spec: Spec | undefined): void => {
  spec?.devices?.constraints?.forEach((constraint, i) => {
    const where = at(`${path}.constraints`, i);
    checkReferences(out, `${where}.requests`, spec, constraint.requests);
    const { matchAttribute, distinctAttribute } = constraint;
    if (matchAttribute !== undefined) checkQualifiedName(out, `${where}.matchAttribute`, matchAttribute, true);
    else if (distinctAttribute !== undefined)
      checkQualifiedName(out, `${where}.distinctAttribute`, distinctAttribute, true);
    else out.push(cause.required(where, 'exactly one of "matchAttribute" or "distinctAttribute" is required'));
  });
  spec?.devices?.config?.forEach((config, i) => {
    const where = at(`${path}.config`, i);
    checkReferences(out, `${where}.requests`, spec, config.requests);
    checkConfiguration(out, where, config);
  });
};

const checkSpec = (out: Causes, path: string, spec: Spec | undefined): void => {
  const names = new Set<string>();
  const requests = spec?.devices?.requests ?? [];
  if (requests.length > 32) out.push(cause.tooMany(`${path}.devices.requests`, requests.length, 32));
  requests.forEach((request, i) => {
    const where = at(`${path}.devices.requests`, i);
    if (names.has(request.name)) out.push(cause.duplicate(where, request.name));
    names.add(request.name);
    checkName(out, `${where}.name`, request.name);
    const { exactly, firstAvailable } = request;
    if (!exactly && !firstAvailable?.length) {
      out.push(cause.required(where, 'exactly one of `exactly` or `firstAvailable` is required'));
    } else if (exactly && firstAvailable?.length) {
      out.push(
        cause.invalid(
          where,
          null,
          'exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set',
        ),
      );
    }
    if (exactly) checkExact(out, `${where}.exactly`, exactly);
    const subs = new Set<string>();
    firstAvailable?.forEach((sub, n) => {
      const entry = at(`${where}.firstAvailable`, n);
      if (subs.has(sub.name)) out.push(cause.duplicate(entry, sub.name));
      subs.add(sub.name);
      checkName(out, `${entry}.name`, sub.name);
      checkExact(out, entry, sub as Exact);
    });
  });
  checkConstraints(out, `${path}.devices`, spec);
};

const specStays: NonNullable<Strategy['validateUpdate']> = (next, old) => {
  const out: Causes = [];
  const spec = (object: KubeObject) => (object as { spec?: unknown }).spec;
  immutable(out, 'spec', spec(next), spec(old));
  return out;
};

/** Who uses a claim is said only of one that is allocated, and an allocation stays as it is until it goes. */
const validateClaimStatus = (next: KubeObject, old: KubeObject): Causes => {
  const out: Causes = [];
  const { status, metadata } = next as unknown as ResourceClaim;
  const before = (old as unknown as ResourceClaim).status;
  const seen = new Set<string>();
  const path = 'status.reservedFor';
  status?.reservedFor?.forEach((consumer, i) => {
    const where = at(path, i);
    required(out, `${where}.resource`, consumer.resource);
    required(out, `${where}.name`, consumer.name);
    required(out, `${where}.uid`, consumer.uid);
    if (seen.has(consumer.uid)) out.push(cause.duplicate(where, consumer.uid));
    seen.add(consumer.uid);
  });
  if (status?.reservedFor?.length && !status.allocation)
    out.push(cause.forbidden(path, 'may not be specified when `allocated` is not set'));
  else if (metadata?.deletionTimestamp) {
    const known = new Set(before?.reservedFor?.map(({ uid }) => uid));
    if (status?.reservedFor?.some(({ uid }) => !known.has(uid)))
      out.push(cause.forbidden(path, 'new entries may not be added while `deletionTimestamp` is set'));
  }
  if (before?.allocation && status?.allocation)
    immutable(out, 'status.allocation', status.allocation, before.allocation);
  return out;
};

const validateClass = (object: KubeObject): Causes => {
  const out: Causes = [];
  const { spec } = object as unknown as DeviceClass;
  checkSelectors(out, 'spec.selectors', spec?.selectors);
  if ((spec?.config?.length ?? 0) > 32) out.push(cause.tooMany('spec.config', spec?.config?.length ?? 0, 32));
  spec?.config?.forEach((config, i) => {
    checkConfiguration(out, at('spec.config', i), config);
  });
  return out;
};

/** Strategies by `group/Kind`. */
export const deviceStrategies: Readonly<Record<string, Strategy>> = {
  'resource.k8s.io/DeviceClass': { ready: loadExpressions, validate: validateClass },
  'resource.k8s.io/ResourceSlice': { validate: validateSlice, validateUpdate: validateSliceUpdate },
  'resource.k8s.io/ResourceClaim': {
    ready: loadExpressions,
    validate: (object) => {
      const out: Causes = [];
      checkSpec(out, 'spec', (object as unknown as ResourceClaim).spec);
      return out;
    },
    validateUpdate: specStays,
    validateStatusUpdate: validateClaimStatus,
  },
  'resource.k8s.io/ResourceClaimTemplate': {
    ready: loadExpressions,
    validate: (object) => {
      const out: Causes = [];
      checkSpec(out, 'spec.spec', (object as unknown as ResourceClaimTemplate).spec?.spec as Spec | undefined);
      return out;
    },
    validateUpdate: specStays,
  },
};
