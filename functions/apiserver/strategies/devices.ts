// resource.k8s.io: claims for devices and their templates (KEP-4381).
import type { ResourceResourceClaim as ResourceClaim, ResourceClaimTemplate } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { at, type Causes, checkDnsLabel, checkSubdomain, immutable, oneOf, positive, required } from './checks.ts';

type Spec = ResourceClaim['spec'];
type Request = NonNullable<NonNullable<Spec['devices']>['requests']>[number];
type Exact = NonNullable<Request['exactly']>;

const checkExact = (out: Causes, path: string, exact: Exact): void => {
  const where = `${path}.deviceClassName`;
  if (required(out, where, exact.deviceClassName)) checkSubdomain(out, where, exact.deviceClassName);
  oneOf(out, `${path}.allocationMode`, exact.allocationMode, ['All', 'ExactCount']);
  if (exact.allocationMode === 'ExactCount') positive(out, `${path}.count`, exact.count);
  else if (exact.count) {
    out.push(cause.invalid(`${path}.count`, exact.count, "must not be specified when allocationMode is 'All'"));
  }
  exact.selectors?.forEach((selector, i) => {
    const entry = at(`${path}.selectors`, i);
    if (selector.cel) required(out, `${entry}.cel.expression`, selector.cel.expression);
    else out.push(cause.required(`${entry}.cel`));
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
    if (required(out, `${where}.name`, request.name)) checkDnsLabel(out, `${where}.name`, request.name);
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
      if (required(out, `${entry}.name`, sub.name)) checkDnsLabel(out, `${entry}.name`, sub.name);
      checkExact(out, entry, sub as Exact);
    });
  });
};

const specStays: NonNullable<Strategy['validateUpdate']> = (next, old) => {
  const out: Causes = [];
  const spec = (object: KubeObject) => (object as { spec?: unknown }).spec;
  immutable(out, 'spec', spec(next), spec(old));
  return out;
};

/** Strategies by `group/Kind`. */
export const deviceStrategies: Readonly<Record<string, Strategy>> = {
  'resource.k8s.io/ResourceClaim': {
    validate: (object) => {
      const out: Causes = [];
      checkSpec(out, 'spec', (object as unknown as ResourceClaim).spec);
      return out;
    },
    validateUpdate: specStays,
  },
  'resource.k8s.io/ResourceClaimTemplate': {
    validate: (object) => {
      const out: Causes = [];
      checkSpec(out, 'spec.spec', (object as unknown as ResourceClaimTemplate).spec?.spec as Spec | undefined);
      return out;
    },
    validateUpdate: specStays,
  },
};
