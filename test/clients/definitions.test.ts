// cert-manager's and Crossplane's definitions on a server of hollow nodes: established in time, their objects written,
// applied, listed and explained. What the cases expect was confirmed against kube-apiserver 1.36.1. FIGURES=1 prints times.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shippedDefinitions } from './definitions.ts';
import { run, type Server, startServer } from './server.ts';

const shipped = shippedDefinitions();
const definitions = 'definitions' in shipped ? shipped.definitions : [];
const missing = 'missing' in shipped ? shipped.missing : '';
if (missing) console.log(`skipped: definitions of other projects: ${missing}`);

// biome-ignore lint/suspicious/noExplicitAny: bodies of any kind, looked into by tests
type Body = any;
interface Answer {
  status: number;
  body: Body;
}

let server: Server;
let token = '';
let ca = '';

const send = (method: string, path: string, body?: object, type = 'application/json'): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': type };
    const sent = request(`${server.url}${path}`, { method, ca, headers }, async (response) => {
      let text = '';
      for await (const part of response) text += part;
      resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
    });
    sent.on('error', reject);
    sent.end(body && JSON.stringify(body));
  });

const until = async <T>(what: string, look: () => Promise<T | undefined>): Promise<T> => {
  for (const end = Date.now() + 30_000; ; ) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

const at = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const isEstablished = (definition: Body): boolean =>
  definition.status?.conditions?.some((one: Body) => one.type === 'Established' && one.status === 'True') ?? false;

const certificates = '/apis/cert-manager.io/v1/namespaces/default/certificates';
const certificate = (name: string, spec: object) => ({
  apiVersion: 'cert-manager.io/v1',
  kind: 'Certificate',
  metadata: { name },
  spec,
});
const issued = { secretName: 's', dnsNames: ['a.example.com'], issuerRef: { name: 'i' } };

describe.skipIf(missing !== '')(`definitions of other projects${missing && ` (skipped: ${missing})`}`, () => {
  beforeAll(async () => {
    server = await startServer(1);
    const kubeconfig = readFileSync(server.kubeconfig, 'utf8');
    token = /token: (\S+)/.exec(kubeconfig)?.[1] ?? '';
    ca = Buffer.from(/certificate-authority-data: (\S+)/.exec(kubeconfig)?.[1] ?? '', 'base64').toString();
  });
  afterAll(() => server?.stop());

  it('are all established in time, without warnings of their own', async () => {
    expect(definitions.length).toBeGreaterThanOrEqual(22);
    const began = performance.now();
    const made = await Promise.all(definitions.map((one) => send('POST', at, one)));
    expect(made.filter(({ status }) => status !== 201).map(({ body }) => body.message)).toEqual([]);
    await until('all are established', async () => {
      const { body } = await send('GET', at);
      return body.items.length === definitions.length && body.items.every(isEstablished) ? true : undefined;
    });
    const ms = performance.now() - began;
    const bytes = JSON.stringify(definitions).length;
    if (process.env.FIGURES) console.log({ definitions: definitions.length, bytes, ms });
    expect(ms).toBeLessThan(15_000);
  });

  it('are discovered and described within a second of being there', async () => {
    const path = `${at}/certificates.cert-manager.io`;
    const { body } = await send('GET', path);
    const { metadata, spec } = body;
    expect((await send('DELETE', path)).status).toBe(200);
    await until('it goes', async () => ((await send('GET', path)).status === 404 ? true : undefined));
    const began = performance.now();
    expect(
      (await send('POST', at, { ...body, metadata: { name: metadata.name }, spec, status: undefined })).status,
    ).toBe(201);
    await until('discovery has it', async () => {
      const { body: list } = await send('GET', '/apis/cert-manager.io/v1');
      return list.resources?.find((one: Body) => one.name === 'certificates');
    });
    await until('OpenAPI has it', async () => {
      const { body: document } = await send('GET', '/openapi/v3/apis/cert-manager.io/v1');
      return document.components?.schemas?.['io.cert-manager.v1.Certificate'];
    });
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it('take objects that fit, and refuse others field by field', async () => {
    expect((await send('POST', certificates, certificate('a', issued))).status).toBe(201);
    const bad = { ...issued, isCA: 'yes', privateKey: { algorithm: 'FOO' }, dnsNames: 'x' };
    const { status, body } = await send('POST', certificates, certificate('b', bad));
    expect(status).toBe(422);
    expect(body.details.causes.map((one: Body) => `${one.reason} ${one.field}`).sort()).toEqual([
      'FieldValueNotSupported spec.privateKey.algorithm',
      'FieldValueTypeInvalid spec.dnsNames',
      'FieldValueTypeInvalid spec.isCA',
    ]);
  });

  it('hold objects to the rules of their schemas', async () => {
    const usages = '/apis/apiextensions.crossplane.io/v1alpha1/usages';
    const usage = {
      apiVersion: 'apiextensions.crossplane.io/v1alpha1',
      kind: 'Usage',
      metadata: { name: 'a' },
      spec: { of: { apiVersion: 'v1', kind: 'X', resourceRef: { name: 'n' } } },
    };
    const { body } = await send('POST', usages, usage);
    expect(body.message).toBe(
      'Usage.apiextensions.crossplane.io "a" is invalid: spec: Invalid value: either "spec.by" or "spec.reason" must be specified.',
    );
    expect((await send('POST', usages, { ...usage, spec: { ...usage.spec, reason: 'r' } })).status).toBe(201);
  });

  it('have objects applied, listed as tables and patched', async () => {
    const compositions = '/apis/apiextensions.crossplane.io/v1/compositions';
    const step = (name: string) => ({ step: name, functionRef: { name: 'f' } });
    const composition = (steps: object[]) => ({
      apiVersion: 'apiextensions.crossplane.io/v1',
      kind: 'Composition',
      metadata: { name: 'c' },
      spec: { compositeTypeRef: { apiVersion: 'e.org/v1', kind: 'X' }, mode: 'Pipeline', pipeline: steps },
    });
    const apply = (manager: string, steps: object[]) =>
      send('PATCH', `${compositions}/c?fieldManager=${manager}`, composition(steps), 'application/apply-patch+yaml');
    expect((await apply('one', [step('a')])).status).toBe(201);
    const both = await apply('two', [step('b')]);
    expect([both.status, both.body.spec.pipeline.map((one: Body) => one.step)]).toEqual([200, ['a', 'b']]);
    const again = await apply('two', [step('b')]);
    expect(again.body.metadata.resourceVersion).toBe(both.body.metadata.resourceVersion);
  });

  it('are explained by kubectl, and their objects shown in columns', async () => {
    const env = { KUBECONFIG: server.kubeconfig, HOME: server.scratch };
    const kubectl = async (...args: string[]): Promise<string> => {
      const { code, out, all } = await run('kubectl', args, { env });
      if (code !== 0) throw new Error(all);
      return out;
    };
    expect(await kubectl('explain', 'certificates.spec.privateKey.algorithm')).toMatch(/FIELD: algorithm <string>/);
    expect(await kubectl('explain', 'deploymentruntimeconfigs', '--recursive')).toContain('topologySpreadConstraints');
    expect(await kubectl('get', 'cert')).toMatch(/NAME\s+READY\s+SECRET\s+AGE/);
    expect((await kubectl('get', 'crossplane', '-o', 'name')).trim().split('\n')).toEqual([
      'composition.apiextensions.crossplane.io/c',
      'usage.apiextensions.crossplane.io/a',
    ]);
  });
});
