// What a pod's resize and ephemeralcontainers endpoints take and refuse. KEP-1287, KEP-277, KEP-5419 (pod level).
import type { FieldNode } from '../../machinery/apply/fields.ts';
import type { Container, ManagedFieldsEntry, Pod, PodSpec, ResourceRequirements } from '../../machinery/kinds.d.ts';
import type { Json } from '../../machinery/object.ts';
import { equalJson } from '../../machinery/patch/equal.ts';
import { type Cause, cause } from '../../machinery/status.ts';
import type { AnyObject } from '../context.ts';
import { qosClass } from '../strategies/pod/strategy.ts';

type Lists = 'containers' | 'initContainers';
type Amounts = Record<string, string> | undefined;

const MIRROR = 'kubernetes.io/config.mirror';
const onlyCompute = 'only cpu and memory resources are mutable';

const same = (a: unknown, b: unknown): boolean => equalJson(a as Json | undefined, b as Json | undefined);
const filled = (amounts: Amounts): Amounts => (amounts && Object.keys(amounts).length > 0 ? amounts : undefined);
const lost = (next: Amounts, old: Amounts): boolean =>
  Object.keys(old ?? {}).some((name) => next?.[name] === undefined);

/** The given amounts, but cpu and memory as they were. */
const asBefore = (next: Amounts, old: Amounts): Amounts => {
  const { cpu: _cpu, memory: _memory, ...rest } = next ?? {};
  const { cpu, memory } = old ?? {};
  return filled({ ...rest, ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }) });
};

const masked = (next: ResourceRequirements | undefined, old: ResourceRequirements | undefined) => {
  const limits = asBefore(next?.limits, old?.limits);
  const requests = asBefore(next?.requests, old?.requests);
  return limits || requests ? { ...(limits && { limits }), ...(requests && { requests }) } : undefined;
};

const plain = (resources: ResourceRequirements | undefined) => {
  const limits = filled(resources?.limits);
  const requests = filled(resources?.requests);
  const claims = resources?.claims?.length ? resources.claims : undefined;
  return limits || requests || claims
    ? { ...(limits && { limits }), ...(requests && { requests }), ...(claims && { claims }) }
    : undefined;
};

/** Whether a container is the stored one but for its cpu and memory. */
const onlyResized = (next: Container, old: Container): boolean => {
  const { resources: _next, ...rest } = next;
  const { resources: _old, ...before } = old;
  return same(rest, before) && same(masked(next.resources, old.resources), plain(old.resources));
};

const orderCauses = (next: PodSpec, old: PodSpec): Cause[] =>
  (['containers', 'initContainers'] as const).flatMap((list) => {
    const [given, stored] = [next[list] ?? [], old[list] ?? []];
    if (given.length !== stored.length)
      return [cause.forbidden(`spec.${list}`, `${list} may not be added or removed on resize`)];
    return stored.flatMap((container, i) =>
      given[i]?.name === container.name
        ? []
        : [cause.forbidden(`spec.${list}[${i}].name`, `${list} may not be renamed or reordered on resize`)],
    );
  });

const removedCauses = (next: Container, old: Container, at: string): Cause[] =>
  (['requests', 'limits'] as const)
    .filter((part) => lost(next.resources?.[part], old.resources?.[part]))
    .map((part) => cause.forbidden(`${at}.resources.${part}`, `resource ${part} cannot be removed`));

const containerCauses = (list: Lists, next: PodSpec, old: PodSpec): Cause[] =>
  (next[list] ?? []).flatMap((container, i) => {
    const before = old[list]?.[i];
    return before ? removedCauses(container, before, `spec.${list}[${i}]`) : [];
  });

const changedCauses = (list: Lists, next: PodSpec, old: PodSpec): Cause[] =>
  (next[list] ?? []).flatMap((container, i) => {
    const before = old[list]?.[i];
    if (!before) return [];
    const at = `spec.${list}[${i}]`;
    const out: Cause[] = [];
    if (!onlyResized(container, before))
      out.push(
        list === 'containers'
          ? cause.forbidden('spec', onlyCompute)
          : cause.forbidden(at, 'only cpu and memory resources for init or sidecar containers are mutable'),
      );
    if (list === 'initContainers' && container.restartPolicy !== 'Always' && !same(container, before))
      for (const policy of container.resizePolicy ?? [])
        if (policy.restartPolicy === 'RestartContainer')
          out.push(
            cause.forbidden(
              at,
              'non-sidecar init containers with a resize policy of RestartContainer cannot be resized',
            ),
          );
    return out;
  });

const podLevelCauses = (next: PodSpec, old: PodSpec): Cause[] => {
  const out: Cause[] = [];
  if (!plain(next.resources) && !plain(old.resources)) return out;
  if (old.resources && !next.resources)
    return [cause.forbidden('spec.resources', 'pod-level resources cannot be removed')];
  for (const part of ['requests', 'limits'] as const)
    if (lost(next.resources?.[part], old.resources?.[part]))
      out.push(cause.forbidden(`spec.resources.${part}`, `pod-level resource ${part} cannot be removed`));
  const { claims } = next.resources ?? {};
  const rest = masked(next.resources, old.resources);
  if (!same(claims?.length ? { ...rest, claims } : rest, plain(old.resources)))
    out.push(cause.forbidden('spec', 'only cpu and memory resources are mutable at pod-level'));
  return out;
};

/** A node that resizes tells the resources of what runs on it. */
const nodeResizes = ({ status }: Pod): boolean => {
  const running = status?.containerStatuses?.find((c) => c.state?.running);
  return !running || running.resources !== undefined;
};

const resizeCauses = (next: Pod, old: Pod, validity: Cause[]): Cause[] => {
  const [spec, before] = [next.spec, old.spec];
  if (!spec || !before) return validity;
  if (old.metadata.annotations?.[MIRROR] !== undefined) return [cause.forbidden('[]', 'static pods cannot be resized')];
  if (before.os?.name === 'windows') return [cause.forbidden('[]', 'windows pods cannot be resized')];
  const out = [...validity];
  const qos = old.status?.qosClass ?? qosClass(before);
  if (qosClass(spec) !== qos)
    out.push(cause.invalid('spec', qos, 'Pod QOS Class may not change as a result of resizing'));
  if (!nodeResizes(old)) out.push(cause.forbidden('spec', 'Pod running on node without support for resize'));
  out.push(...podLevelCauses(spec, before));
  const order = orderCauses(spec, before);
  if (order.length > 0) return [...out, ...order];
  for (const list of ['initContainers', 'containers'] as const) out.push(...containerCauses(list, spec, before));
  for (const list of ['containers', 'initContainers'] as const) out.push(...changedCauses(list, spec, before));
  return out;
};

const ephemeralCauses = (next: Pod, old: Pod, validity: Cause[]): Cause[] => {
  if (old.metadata.annotations?.[MIRROR] !== undefined)
    return [cause.forbidden('[]', 'static pods do not support ephemeral containers')];
  const given = new Map((next.spec?.ephemeralContainers ?? []).map((c) => [c.name, c]));
  const changes = (old.spec?.ephemeralContainers ?? []).flatMap((container) => {
    const now = given.get(container.name);
    const name = JSON.stringify(container.name);
    if (!now)
      return [cause.forbidden('spec.ephemeralContainers', `existing ephemeral containers ${name} may not be removed`)];
    if (same(now, container)) return [];
    return [cause.forbidden('spec.ephemeralContainers', `existing ephemeral containers ${name} may not be changed`)];
  });
  return [...validity, ...changes];
};

export type PodEndpoint = 'resize' | 'ephemeralcontainers';
export const isPodEndpoint = (subresource: string): subresource is PodEndpoint =>
  subresource === 'resize' || subresource === 'ephemeralcontainers';

/** Every cause against a write to these endpoints; `validity` holds those that any pod of this form would have. */
export const podChangeCauses = (
  subresource: PodEndpoint,
  next: AnyObject,
  old: AnyObject,
  validity: Cause[],
): Cause[] => {
  const [after, before] = [next as unknown as Pod, old as unknown as Pod];
  return subresource === 'resize' ? resizeCauses(after, before, validity) : ephemeralCauses(after, before, validity);
};

const kept: Record<PodEndpoint, readonly (readonly string[])[]> = {
  ephemeralcontainers: [['f:spec', 'f:ephemeralContainers']],
  resize: ['f:containers', 'f:initContainers'].flatMap((list) =>
    ['f:resources', 'f:resizePolicy'].map((field) => ['f:spec', list, '*', field]),
  ),
};

const include = (node: FieldNode, paths: readonly (readonly string[])[]): FieldNode | undefined => {
  if (paths.some((path) => path.length === 0)) return node;
  const out: FieldNode = {};
  for (const key in node) {
    const child = node[key];
    const below = paths
      .filter(([first]) => first === key || (first === '*' && key !== '.'))
      .map((path) => path.slice(1));
    const left = child && below.length > 0 ? include(child, below) : undefined;
    if (left) out[key] = left;
  }
  return Object.keys(out).length > 0 ? out : undefined;
};

/** managedFields whose entries of an endpoint own only what can be written through it. */
export const podEndpointFields = (
  subresource: PodEndpoint,
  entries: readonly ManagedFieldsEntry[],
): ManagedFieldsEntry[] =>
  entries.flatMap((entry) => {
    if (entry.subresource !== subresource || !entry.fieldsV1) return [entry];
    const fieldsV1 = include(entry.fieldsV1 as unknown as FieldNode, kept[subresource]);
    return fieldsV1 ? [{ ...entry, fieldsV1: fieldsV1 as never }] : [];
  });
