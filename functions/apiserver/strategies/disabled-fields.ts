// Fields of features that are off by default in Kubernetes 1.36: accepted, owned by who sends them, and not stored.
import type { KubeObject } from '../../machinery/object.ts';

type Fields = { [field: string]: unknown };
type Drop = (object: KubeObject) => void;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const at = (object: unknown, path: readonly string[]): Fields | undefined => {
  let value: unknown = object;
  for (const field of path) value = isFields(value) ? value[field] : undefined;
  return isFields(value) ? value : undefined;
};
const each = (list: unknown, visit: (item: Fields) => void): void => {
  if (Array.isArray(list)) for (const item of list) if (isFields(item)) visit(item);
};

const podSpec =
  (...path: string[]): Drop =>
  (object) => {
    const spec = at(object, path);
    if (!spec) return;
    delete spec.schedulingGroup;
    for (const list of ['initContainers', 'containers', 'ephemeralContainers'])
      each(spec[list], (container) => {
        const { lifecycle } = container;
        if (!isFields(lifecycle) || lifecycle.stopSignal === undefined) return;
        delete lifecycle.stopSignal;
        if (Object.keys(lifecycle).length === 0) delete container.lifecycle;
      });
  };
const fields =
  (path: readonly string[], ...names: string[]): Drop =>
  (object) => {
    const owner = at(object, path);
    if (owner) for (const name of names) delete owner[name];
  };

const template = podSpec('spec', 'template', 'spec');
const drops: Readonly<Record<string, Drop>> = {
  '/Pod': podSpec('spec'),
  '/PodTemplate': podSpec('template', 'spec'),
  '/ReplicationController': template,
  '/Node': fields(['spec'], 'configSource'),
  'apps/DaemonSet': template,
  'apps/Deployment': template,
  'apps/ReplicaSet': template,
  'apps/StatefulSet': (object) => {
    template(object);
    fields(['spec', 'updateStrategy', 'rollingUpdate'], 'maxUnavailable')(object);
  },
  'batch/Job': template,
  'batch/CronJob': podSpec('spec', 'jobTemplate', 'spec', 'template', 'spec'),
  'coordination.k8s.io/Lease': fields(['spec'], 'strategy', 'preferredHolder'),
  'discovery.k8s.io/EndpointSlice': (object) =>
    each((object as unknown as Fields).endpoints, (endpoint) => {
      delete endpoint.deprecatedTopology;
    }),
  'resource.k8s.io/ResourceSlice': (object) =>
    each(at(object, ['spec'])?.devices, (device) => {
      delete device.nodeAllocatableResourceMappings;
    }),
  'storage.k8s.io/CSIDriver': fields(['spec'], 'preventPodSchedulingIfMissing'),
};

/** What drops them from an object of the kind `group/Kind`; undefined where there are none. */
export const disabledFieldsOf = (key: string): Drop | undefined => drops[key];
