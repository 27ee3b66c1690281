/** Small objects for the tests of scheduling: `node('a')`, `pod('p', { cpu: '1' })`. */
import type { Node, Pod, PodSpec } from '../machinery/kinds.d.ts';

export interface NodeShape {
  cpu?: string;
  memory?: string;
  pods?: string;
  labels?: Record<string, string>;
  spec?: Node['spec'];
  more?: Record<string, string>;
}
/** 4 cpus, 8 GiB and room for 110 pods, unless told otherwise. */
export const node = (name: string, shape: NodeShape = {}): Node => ({
  metadata: { name, uid: `node-${name}`, labels: { 'kubernetes.io/hostname': name, ...shape.labels } },
  spec: shape.spec ?? {},
  status: {
    allocatable: { cpu: shape.cpu ?? '4', memory: shape.memory ?? '8Gi', pods: shape.pods ?? '110', ...shape.more },
  },
});

export interface PodShape {
  cpu?: string;
  memory?: string;
  priority?: number;
  labels?: Record<string, string>;
  namespace?: string;
  on?: string;
  grace?: number;
  spec?: Partial<PodSpec>;
  status?: Pod['status'];
}
export const pod = (name: string, shape: PodShape = {}): Pod => {
  const requests: Record<string, string> = {};
  if (shape.cpu) requests.cpu = shape.cpu;
  if (shape.memory) requests.memory = shape.memory;
  return {
    metadata: { name, namespace: shape.namespace ?? 'default', uid: `uid-${name}`, labels: shape.labels ?? {} },
    spec: {
      containers: [{ name: 'c', image: 'img', resources: { requests } }],
      ...(shape.priority === undefined ? {} : { priority: shape.priority }),
      ...(shape.on ? { nodeName: shape.on } : {}),
      ...(shape.grace === undefined ? {} : { terminationGracePeriodSeconds: shape.grace }),
      ...shape.spec,
    },
    status: shape.status ?? { phase: 'Pending' },
  };
};
