import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import { createApiServer } from '../app.ts';
import { staticTokens, user } from '../authn/authenticator.ts';
import { mastersAuthorizer } from '../authz/authorizer.ts';
import { seedCluster } from '../seed.ts';

// biome-ignore lint/suspicious/noExplicitAny: bodies of any kind, looked into by tests
type Body = any;
export interface Answer {
  status: number;
  body: Body;
  headers: Headers;
}

const clock = createSystemClock();
const PATCHES = { merge: 'merge-patch+json', json: 'json-patch+json', apply: 'apply-patch+yaml' };

/** An API server over a memory store for the unit tests of custom resources. */
export const createTestServer = async () => {
  const store = createMemoryStore();
  await seedCluster({ store, cluster: 'default', clock });
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 }),
    authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
  });
  const fetch = (method: string, path: string, body?: object, more: Record<string, string> = {}) => {
    const headers = { authorization: 'Bearer t', 'content-type': 'application/json', 'user-agent': 'test', ...more };
    const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
    return app.fetch(new Request(`https://x${path}`, init));
  };
  const send = async (...args: Parameters<typeof fetch>): Promise<Answer> => {
    const response = await fetch(...args);
    const text = await response.text();
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text, headers: response.headers };
  };
  const patch = (type: keyof typeof PATCHES, path: string, body: object) =>
    send('PATCH', path, body, { 'content-type': `application/${PATCHES[type]}` });
  /** Asks until the answer is as wanted; fails after 5 s with the last one. */
  const until = async (path: string, wanted: (answer: Answer) => boolean): Promise<Answer> => {
    for (const end = Date.now() + 5000; ; ) {
      const answer = await send('GET', path);
      if (wanted(answer)) return answer;
      if (Date.now() > end) throw new Error(`${path} stays ${answer.status} ${JSON.stringify(answer.body)}`);
      await clock.sleep(5);
    }
  };
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const condition = (body: Body, type: string) =>
    (body.status?.conditions ?? []).find((c: { type: string }) => c.type === type);
  /** Creates a definition and waits until it is established. */
  const define = async (definition: { metadata: { name: string } }): Promise<void> => {
    const made = await send('POST', definitions, definition);
    if (made.status !== 201) throw new Error(JSON.stringify(made.body));
    await until(
      `${definitions}/${definition.metadata.name}`,
      ({ body }) => condition(body, 'Established')?.status === 'True',
    );
  };
  return { app, fetch, send, patch, until, define, definitions, condition };
};

interface VersionGiven {
  name?: string;
  served?: boolean;
  storage?: boolean;
  schema?: object;
  [field: string]: unknown;
}

/** A definition of `widgets.example.com` with the given versions, stored as the first unless one says otherwise. */
export const widgets = (versions: VersionGiven[] = [{}], names: object = {}, spec: object = {}) => {
  const plural = (names as { plural?: string }).plural ?? 'widgets';
  const group = (spec as { group?: string }).group ?? 'example.com';
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget', ...names },
      ...spec,
      versions: versions.map(({ schema, ...version }, i) => ({
        name: 'v1',
        served: true,
        storage: i === 0,
        ...version,
        schema: { openAPIV3Schema: schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      })),
    },
  };
};

export const widget = (name: string, more: object = {}, version = 'v1') => ({
  apiVersion: `example.com/${version}`,
  kind: 'Widget',
  metadata: { name },
  ...more,
});

/** A schema of type object with these fields under spec. */
export const specSchema = (properties: object, more: object = {}) => ({
  type: 'object',
  properties: { spec: { type: 'object', properties }, ...more },
});
