import { timestamp } from '../../clock/clock.ts';
import { kindSchema } from '../../machinery/facts.ts';
import type { Binding, Pod } from '../../machinery/kinds.d.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import { badRequest, cause, conflict, invalid } from '../../machinery/status.ts';
import type { Call } from '../context.ts';
import { decodeAs, parseRequest } from '../request-body.ts';
import { statusResponse } from '../respond.ts';
import { changeObject, checkUid } from './change.ts';

const schema = kindSchema('', 'v1', 'Binding') as ObjectSchema;
const BINDING = { group: '', version: 'v1', kind: 'Binding' };

const validated = (binding: Binding): void => {
  const causes = [];
  const { kind = '', name = '' } = binding.target;
  if (kind !== '' && kind !== 'Node') causes.push(cause.notSupported('target.kind', kind, ['Node', '<empty>']));
  if (name === '') causes.push(cause.required('target.name'));
  if (causes.length > 0) throw invalid({ group: '', kind: 'Binding', name: binding.metadata.name ?? '' }, causes);
};

const bind = (call: Call, pod: Pod, binding: Binding): void => {
  const refuse = (why: string) => conflict({ group: '', kind: 'pods/binding', name: pod.metadata.name ?? '' }, why);
  if (pod.metadata.deletionTimestamp)
    throw refuse(`pod ${pod.metadata.name} is being deleted, cannot be assigned to a host`);
  if (pod.spec?.nodeName)
    throw refuse(`pod ${pod.metadata.name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
  if (pod.spec?.schedulingGates?.length) throw refuse(`pod ${pod.metadata.name} has non-empty .spec.schedulingGates`);
  pod.spec = { ...pod.spec, containers: pod.spec?.containers ?? [], nodeName: binding.target.name ?? '' };
  const { annotations, labels } = binding.metadata;
  if (annotations) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations };
  if (labels) pod.metadata.labels = { ...pod.metadata.labels, ...labels };
  const others = (pod.status?.conditions ?? []).filter((c) => c.type !== 'PodScheduled');
  const scheduled = {
    type: 'PodScheduled',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: timestamp(call.server.clock.now()),
  };
  const conditions = [
    ...others,
    { ...scheduled, ...(pod.metadata.generation && { observedGeneration: pod.metadata.generation }) },
  ];
  pod.status = { ...pod.status, conditions: conditions as NonNullable<NonNullable<Pod['status']>['conditions']> };
};

/** POST pods/{name}/binding and POST bindings: gives a pod its node, once. */
export const binding = async (call: Call): Promise<Response> => {
  const given = decodeAs(call, await parseRequest(call.request), BINDING, schema) as unknown as Binding;
  if (call.info.name && given.metadata.name !== call.info.name)
    throw badRequest('name in URL does not match name in Binding object');
  validated(given);
  const named: Call = { ...call, info: { ...call.info, name: given.metadata.name ?? '' } };
  await changeObject(named, (object) => {
    checkUid(named, given.metadata.uid, object);
    bind(call, object as unknown as Pod, given);
  });
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } as const;
  return statusResponse(call.requestId, status, 201, call.accept, call.warnings);
};
