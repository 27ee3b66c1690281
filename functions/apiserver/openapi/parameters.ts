import { fullName, type OpenApiSchema, type OpenApiVersion } from './schemas.ts';

/** What requests may carry besides a body. Texts are ours. */
const QUERIES: Record<string, { type: string; description: string }> = {
  allowWatchBookmarks: { type: 'boolean', description: 'Asks for BOOKMARK events in a watch.' },
  continue: { type: 'string', description: 'Where a list that was cut by limit goes on.' },
  dryRun: { type: 'string', description: 'With the value All, nothing is persisted.' },
  fieldManager: { type: 'string', description: 'Name of the actor that makes the change.' },
  fieldSelector: { type: 'string', description: 'Restricts the objects by their fields.' },
  fieldValidation: {
    type: 'string',
    description: 'What becomes of unknown or duplicate fields: Ignore, Warn or Strict.',
  },
  force: { type: 'boolean', description: 'Takes fields over from other managers in an apply.' },
  gracePeriodSeconds: { type: 'integer', description: 'Seconds before the object is deleted.' },
  labelSelector: { type: 'string', description: 'Restricts the objects by their labels.' },
  limit: { type: 'integer', description: 'How many objects a list returns at most.' },
  orphanDependents: { type: 'boolean', description: 'Deprecated: use propagationPolicy.' },
  pretty: { type: 'string', description: 'With the value true, the output is indented.' },
  propagationPolicy: { type: 'string', description: 'Orphan, Background or Foreground.' },
  resourceVersion: { type: 'string', description: 'Which revision a read may be served from.' },
  resourceVersionMatch: { type: 'string', description: 'How resourceVersion is applied to a list.' },
  sendInitialEvents: { type: 'boolean', description: 'Starts a watch with the objects that exist.' },
  timeoutSeconds: { type: 'integer', description: 'Ends the call after this long, whatever happens.' },
  watch: { type: 'boolean', description: 'Streams changes instead of a list.' },
};
export const LIST = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'timeoutSeconds',
  'watch',
];
export const WRITE = ['dryRun', 'fieldManager', 'fieldValidation'];
export const DELETE = ['dryRun', 'gracePeriodSeconds', 'orphanDependents', 'propagationPolicy'];

/**
 * The parameters that version 2 keeps in one place, by upstream's keys, so that generators that know them find them: how
 * each is named, its type, and where it stands when not in the query. Fields of exec, attach, proxy and log are there too.
 */
const SHARED: readonly [key: string, type: string, description?: string][] = [
  ['allowWatchBookmarks-HC2hJt-J', 'boolean'],
  ['command-Py3eQybp', 'string', 'What to run, one argument each.'],
  ['container-1GeXxFDC', 'string', 'The container whose log is read.'],
  ['container-_Q-EJ3nR', 'string', 'The container to attach to.'],
  ['container-i5dOmRiM', 'string', 'The container to run in.'],
  ['continue-QfD61s0i', 'string'],
  ['fieldManager-7c6nTn1T', 'string', 'Name of the actor that makes the change; required in an apply.'],
  ['fieldManager-Qy4HdaTW', 'string'],
  ['fieldSelector-xIcQKXFG', 'string'],
  ['follow-9OIXh_2R', 'boolean', 'Goes on with what is logged later.'],
  ['force-tOGGb0Yi', 'boolean'],
  ['gracePeriodSeconds--K5HaBOS', 'integer'],
  ['ignoreStoreReadErrorWithClusterBreakingPotential-QbNkfIqj', 'boolean', 'Deletes what cannot be read.'],
  ['insecureSkipTLSVerifyBackend-gM00jVbe', 'boolean', 'Reads a log from a node whose certificate is not trusted.'],
  ['labelSelector-5Zw57w4C', 'string'],
  ['limit-1NfNmdNH', 'integer'],
  ['limitBytes-zwd1RXuc', 'integer', 'How many bytes of a log are read at most.'],
  ['namespace-vgWSWtn3', 'string', 'The namespace of the object.'],
  ['orphanDependents-uRB25kX5', 'boolean'],
  ['path-QCf0eosM', 'string', 'The part of the URL that is passed on to the service.'],
  ['path-oPbzgLUj', 'string', 'The part of the URL that is passed on to the pod.'],
  ['path-rFDtV0x9', 'string', 'The part of the URL that is passed on to the node.'],
  ['path-z6Ciiujn', 'string', 'The path of the backend.'],
  ['ports-91KROJmm', 'integer', 'The ports to forward.'],
  ['pretty-tJGM1-ng', 'string'],
  ['previous-1jxDPu3y', 'boolean', 'Reads the log of the container that ran before.'],
  ['propagationPolicy-6jk3prlO', 'string'],
  ['resourceVersion-5WAnf1kx', 'string'],
  ['resourceVersionMatch-t8XhRHeC', 'string'],
  ['sendInitialEvents-rLXlEK_k', 'boolean'],
  ['shardSelector-Kgyki_3_', 'string', 'Restricts the objects to a part of them.'],
  ['sinceSeconds-vE2NLdnP', 'integer', 'How far back a log is read.'],
  ['stderr-26jJhFUR', 'boolean', 'Attaches the error output.'],
  ['stderr-W_1TNlWc', 'boolean', 'Passes the error output on.'],
  ['stdin-PSzNhyUC', 'boolean', 'Passes input on.'],
  ['stdin-sEFnN3IS', 'boolean', 'Attaches the input.'],
  ['stdout--EZLRwV1', 'boolean', 'Passes the output on.'],
  ['stdout-005YMKE6', 'boolean', 'Attaches the output.'],
  ['stream-l-48cgXv', 'string', 'Which of the outputs is read.'],
  ['tailLines-9xQLWHMV', 'integer', 'How many lines are read from the end.'],
  ['timeoutSeconds-yvYezaOC', 'integer'],
  ['timestamps-c17fW1w_', 'boolean', 'Puts a time before each line.'],
  ['tty-g7MlET_l', 'boolean', 'Gives the command a terminal.'],
  ['tty-s0flW37O', 'boolean', 'Attaches a terminal.'],
  ['watch-XNNPZGbK', 'boolean'],
];
const IN_PATH = new Set(['namespace-vgWSWtn3', 'path-z6Ciiujn']);
const BODIES: Record<string, { type: string; required: boolean }> = {
  'body-2Y1dVQaQ': { type: '~meta.v1.DeleteOptions', required: false },
  'body-78PwaGsr': { type: '~meta.v1.Patch', required: true },
};
const nameOf = (key: string): string => key.slice(0, -9);
/** By name; where a name has several, the one of most operations (the last). */
const keys = new Map(SHARED.map(([key]) => [nameOf(key), key]));
const bodyKeys = new Map(Object.entries(BODIES).map(([key, { type }]) => [fullName(type), key]));

const refTo = (key: string): OpenApiSchema => ({ $ref: `#/parameters/${key}` });

/** The `parameters` of the Swagger document. */
export const sharedParameters = (): Record<string, OpenApiSchema> => {
  const out: Record<string, OpenApiSchema> = {};
  for (const [key, type, description = QUERIES[nameOf(key)]?.description] of SHARED) {
    const inPath = IN_PATH.has(key);
    const place = { name: nameOf(key), in: inPath ? 'path' : 'query', ...(inPath && { required: true }) };
    out[key] = { uniqueItems: true, type, description, ...place };
  }
  for (const [key, { type, required }] of Object.entries(BODIES)) {
    const schema = { $ref: `#/definitions/${fullName(type)}` };
    out[key] = { name: 'body', in: 'body', ...(required && { required }), schema };
  }
  return out;
};

/** A parameter of the query; by reference in version 2 where it is shared. `apply` asks for the manager of patches. */
export const queryParameter = (version: OpenApiVersion, name: string, apply = false): OpenApiSchema => {
  const { type, description } = QUERIES[name] ?? { type: 'string', description: '' };
  const base = { name, in: 'query', description };
  if (version === 3) return { ...base, schema: { type, uniqueItems: true } };
  const key = apply && name === 'fieldManager' ? 'fieldManager-7c6nTn1T' : keys.get(name);
  return key ? refTo(key) : { ...base, type, uniqueItems: true };
};

/** The body of version 2, whose schema is the definition of this name. */
export const bodyParameter = (definition: string): OpenApiSchema => {
  const key = bodyKeys.get(definition);
  return key
    ? refTo(key)
    : { name: 'body', in: 'body', required: true, schema: { $ref: `#/definitions/${definition}` } };
};

/** What stands in the path, and `pretty`, which every operation of it takes. */
export const pathParameters = (version: OpenApiVersion, names: readonly string[]): OpenApiSchema[] => {
  const own = names.map((name) => {
    if (version === 2 && name === 'namespace') return refTo('namespace-vgWSWtn3');
    const base = { name, in: 'path', required: true, description: `${name} of the object` };
    return version === 3
      ? { ...base, schema: { type: 'string', uniqueItems: true } }
      : { ...base, type: 'string', uniqueItems: true };
  });
  return [...own, queryParameter(version, 'pretty')];
};
