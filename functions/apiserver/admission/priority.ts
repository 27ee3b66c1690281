import type { PriorityClass } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { Call } from '../context.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { refusal } from './refusal.ts';
import { isAbout, isCreateOf, isUpdateOf } from './request-type.ts';
import { storedObject, storedObjects } from './stored.ts';

/** The class that holds for pods which name none; of several, which a race can make, the lowest. */
const globalDefault = async (call: Call): Promise<PriorityClass | undefined> => {
  let found: PriorityClass | undefined;
  for (const one of await storedObjects<PriorityClass>(call, 'scheduling.k8s.io', 'priorityclasses'))
    if (one.globalDefault && (!found || (one.value ?? 0) < (found.value ?? 0))) found = one;
  return found;
};

const classOf = async (request: AdmissionRequest, name: string): Promise<PriorityClass | undefined> => {
  if (!name) return globalDefault(request.call);
  const found = await storedObject<PriorityClass>(request.call, 'scheduling.k8s.io', 'priorityclasses', name);
  if (!found) throw refusal(request, `no PriorityClass with name ${name} was found`);
  return found;
};

const admitPod = async (request: AdmissionRequest): Promise<void> => {
  const spec = request.object?.spec;
  if (!spec) return;
  const named = typeof spec.priorityClassName === 'string' ? spec.priorityClassName : '';
  const found = await classOf(request, named);
  if (!named && found) spec.priorityClassName = found.metadata.name ?? '';
  const value = found?.value ?? 0;
  const policy = found ? found.preemptionPolicy : 'PreemptLowerPriority';
  if (typeof spec.priority === 'number' && spec.priority !== value)
    throw refusal(
      request,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  spec.priority = value;
  if (policy === undefined) return;
  if (typeof spec.preemptionPolicy === 'string' && spec.preemptionPolicy !== policy)
    throw refusal(
      request,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
    );
  spec.preemptionPolicy = policy;
};

/** Resolves priorityClassName to a number and a preemption policy, and allows one global default. KEP-564. */
export const priority: AdmissionPlugin = {
  name: 'Priority',
  about: ['/pods', 'scheduling.k8s.io/priorityclasses'],
  admit: async (request) => {
    if (isCreateOf(request, '/pods')) return admitPod(request);
    const [spec, before] = [request.object?.spec, request.old?.spec];
    if (!isUpdateOf(request, '/pods') || !spec || !before) return;
    if (spec.priority === undefined && before.priority !== undefined) spec.priority = before.priority;
    if (spec.preemptionPolicy === undefined && before.preemptionPolicy !== undefined)
      spec.preemptionPolicy = before.preemptionPolicy;
  },
  validate: async (request) => {
    const { operation, subresource } = request;
    if (subresource !== '' || (operation !== 'CREATE' && operation !== 'UPDATE')) return;
    if (!isAbout(request, 'scheduling.k8s.io/priorityclasses')) return;
    const given = request.object as KubeObject as PriorityClass;
    if (!given.globalDefault) return;
    const known = await globalDefault(request.call);
    if (!known || (operation === 'UPDATE' && known.metadata.name === given.metadata.name)) return;
    const text = `PriorityClass ${known.metadata.name} is already marked as default. Only one default can exist`;
    throw refusal(request, text);
  },
};
