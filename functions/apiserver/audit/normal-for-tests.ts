// What differs between two runs of the same request is taken out of events, so that the rest can be compared.

type Value = unknown;
const DISCOVERY = new Set(['APIVersions', 'APIGroupList', 'APIGroup', 'APIResourceList', 'APIGroupDiscoveryList']);
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;
const JWT = /eyJ[\w-]+\.[\w-]+\.[\w-]+/g;
const AGE = /"\d+s"/g;
const GENERATED = /"(made|kube-api-access)-[a-z0-9]{5}(\\?")/g;
const OF_RUN = new Set(['resourceVersion', 'continue', 'description', 'userAgent']);

const told = (key: string, value: Value): Value => {
  if (OF_RUN.has(key) && typeof value === 'string' && value !== '') return `<${key}>`;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const object = value as Record<string, Value>;
  if (DISCOVERY.has(String(object.kind))) return { kind: object.kind };
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
};

/** An event as JSON with sorted keys, without ids, times and other things of one run. */
export const normal = (event: object): object => {
  const {
    auditID: _id,
    requestReceivedTimestamp: _received,
    stageTimestamp: _at,
    annotations,
    ...rest
  } = event as Record<string, unknown>;
  const { 'skiff.dev/cluster': _cluster, ...notes } = (annotations ?? {}) as Record<string, string>;
  const all = { ...rest, ...(Object.keys(notes).length > 0 && { annotations: notes }) };
  const text = JSON.stringify(all, (key, value) => told(key, value));
  const plain = text
    .replace(UUID, '<uid>')
    .replace(TIME, '<time>')
    .replace(JWT, '<jwt>')
    .replace(AGE, '"<age>"')
    .replace(GENERATED, '"$1-<random>$2');
  return JSON.parse(plain) as object;
};
