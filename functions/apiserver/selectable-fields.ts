import type { KubeObject } from '../machinery/object.ts';

/** Field-selector names besides metadata.name and metadata.namespace, by `group/resource`. Source: API reference. */
const SELECTABLE: Record<string, readonly string[]> = {
  '/pods': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  '/events': [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  '/nodes': ['spec.unschedulable'],
  '/namespaces': ['status.phase'],
  '/secrets': ['type'],
  '/services': ['spec.clusterIP', 'spec.type'],
  '/replicationcontrollers': ['status.replicas'],
  'apps/replicasets': ['status.replicas'],
  'batch/jobs': ['status.successful'],
  'certificates.k8s.io/certificatesigningrequests': ['spec.signerName'],
  'resource.k8s.io/resourceslices': ['spec.nodeName', 'spec.driver'],
};
const EVENTS_V1 = [
  'reason',
  'regarding.kind',
  'regarding.namespace',
  'regarding.name',
  'regarding.uid',
  'regarding.apiVersion',
  'regarding.resourceVersion',
  'regarding.fieldPath',
  'reportingController',
  'type',
];
const EVENTS_INDEXED = [...new Set([...(SELECTABLE['/events'] ?? []), ...EVENTS_V1])];
const NONE: readonly string[] = [];

export const selectableFieldsOf = (group: string, resource: string): readonly string[] =>
  group === 'events.k8s.io' && resource === 'events'
    ? [...EVENTS_V1, 'metadata.namespace']
    : (SELECTABLE[`${group}/${resource}`] ?? NONE);

/** Fields that the index of stored objects holds: of events the names of both groups, since both watch the same ones. */
export const indexedFieldsOf = (group: string, resource: string): readonly string[] =>
  resource === 'events' && (group === '' || group === 'events.k8s.io')
    ? EVENTS_INDEXED
    : selectableFieldsOf(group, resource);

const REGARDING = /^regarding\./;
/** The name in core/v1, the stored version. */
const storedName = (field: string): string =>
  field === 'reportingController' ? 'reportingComponent' : field.replace(REGARDING, 'involvedObject.');

const SPECIAL: Record<string, (object: Record<string, unknown>) => unknown> = {
  source: (o) => (o.source as { component?: string } | undefined)?.component || o.reportingComponent,
  'status.successful': (o) => (o.status as { succeeded?: number } | undefined)?.succeeded ?? 0,
};

/** The text of a field by its dotted path; '' where it is absent, as Go prints a zero string. */
export const fieldValueOf = (object: KubeObject, field: string): string => {
  const special = SPECIAL[field];
  let value: unknown = special ? special(object as unknown as Record<string, unknown>) : object;
  if (!special) {
    for (const part of storedName(field).split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  }
  if (value === undefined || value === null)
    return field === 'spec.unschedulable' || field === 'spec.hostNetwork'
      ? 'false'
      : field === 'status.replicas'
        ? '0'
        : '';
  return String(value);
};
