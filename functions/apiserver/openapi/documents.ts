import { createHash } from 'node:crypto';
import type { ResourceInfo } from '../registry.ts';
import { componentName, pathsOf } from './paths.ts';
import {
  type Descriptions,
  fullName,
  type OpenApiSchema,
  type OpenApiVersion,
  reachable,
  schemaOfType,
  typeOfKind,
} from './schemas.ts';

/** OpenAPI schemas of a custom resource, from its CRD: added to the documents as they are. */
export type CustomSchemas = (info: ResourceInfo, version: OpenApiVersion) => OpenApiSchema | undefined;

const META_ROOTS = [
  '~meta.v1.Patch',
  '~meta.v1.DeleteOptions',
  '~meta.v1.Status',
  '~meta.v1.ObjectMeta',
  '~meta.v1.ListMeta',
];

const kindsOf = (resources: readonly ResourceInfo[]) =>
  resources.flatMap((r) => [
    { group: r.group, version: r.version, kind: r.kind },
    ...(r.verbs.has('list') ? [{ group: r.group, version: r.version, kind: r.listKind }] : []),
    ...[...r.subresources.values()].map((s) => ({ group: s.group, version: s.version, kind: s.kind })),
  ]);

const customComponents = (info: ResourceInfo, version: OpenApiVersion, schema: OpenApiSchema | undefined) => {
  const root = version === 3 ? '#/components/schemas/' : '#/definitions/';
  const gvk = { group: info.group, version: info.version, kind: info.kind };
  const meta = { $ref: `${root}${fullName('~meta.v1.ObjectMeta')}` };
  const body = schema ?? { type: 'object' };
  const properties = { ...(body.properties as OpenApiSchema | undefined) };
  const listName = componentName({ ...gvk, kind: info.listKind });
  const list = {
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { $ref: `${root}${fullName('~meta.v1.ListMeta')}` },
      items: { type: 'array', items: { $ref: `${root}${componentName(gvk)}` } },
    },
    'x-kubernetes-group-version-kind': [{ ...gvk, kind: info.listKind }],
  };
  const object = {
    ...body,
    properties: { apiVersion: { type: 'string' }, kind: { type: 'string' }, ...properties, metadata: meta },
    'x-kubernetes-group-version-kind': [gvk],
  };
  return { [componentName(gvk)]: object, [listName]: list };
};

/** Schemas of everything the resources need, by full name, in name order. */
const componentsOf = (
  resources: readonly ResourceInfo[],
  version: OpenApiVersion,
  descriptions: Descriptions,
  custom: CustomSchemas,
): Record<string, OpenApiSchema> => {
  const roots = kindsOf(resources).flatMap((k) => typeOfKind(k) ?? []);
  const out: Record<string, OpenApiSchema> = {};
  for (const short of reachable([...roots, ...META_ROOTS]))
    out[fullName(short)] = schemaOfType(short, version, descriptions);
  for (const info of resources)
    if (info.custom) Object.assign(out, customComponents(info, version, custom(info, version)));
  return Object.fromEntries(Object.entries(out).sort(([a], [b]) => (a < b ? -1 : 1)));
};

/** `api/v1`, `apis/apps/v1`: the keys of GET /openapi/v3. */
const groupVersionPath = (group: string, version: string): string =>
  group === '' ? `api/${version}` : `apis/${group}/${version}`;

/**
 * OpenAPI documents of one set of served resources, built when first asked for and kept as text. Make a new one when the
 * set changes. Source: KEP-2896 (OpenAPI v3), API concepts.
 */
export const createOpenApi = (options: {
  resources: readonly ResourceInfo[];
  descriptions: Descriptions;
  custom: CustomSchemas;
  version: string;
}) => {
  const { resources, descriptions, custom } = options;
  const info = { title: 'Kubernetes', version: options.version };
  const texts = new Map<string, { body: string; hash: string }>();
  const paths = [...new Set(resources.map((r) => groupVersionPath(r.group, r.version)))];

  const v3 = (path: string): { body: string; hash: string } | undefined => {
    if (!paths.includes(path)) return undefined;
    const known = texts.get(path);
    if (known) return known;
    const served = resources.filter((r) => groupVersionPath(r.group, r.version) === path);
    const body = JSON.stringify({
      openapi: '3.0.0',
      info,
      paths: pathsOf(served, 3),
      components: { schemas: componentsOf(served, 3, descriptions, custom) },
    });
    const made = { body, hash: createHash('sha512').update(body).digest('hex').toUpperCase() };
    texts.set(path, made);
    return made;
  };

  return {
    /** The document of `api/v1` or `apis/{group}/{version}`; undefined when it is not served. */
    v3,
    /** GET /openapi/v3: every group version with the URL that names its content. `prefix` is the cluster's path. */
    index: (prefix: string) => ({
      paths: Object.fromEntries(
        paths.map((path) => [path, { serverRelativeURL: `${prefix}/openapi/v3/${path}?hash=${v3(path)?.hash}` }]),
      ),
    }),
    /** The Swagger 2.0 document of everything served. */
    v2: () => ({
      swagger: '2.0',
      info,
      paths: pathsOf(resources, 2),
      definitions: componentsOf(resources, 2, descriptions, custom),
      securityDefinitions: {
        BearerToken: {
          description: 'Bearer Token authentication',
          type: 'apiKey',
          name: 'authorization',
          in: 'header',
        },
      },
      security: [{ BearerToken: [] }],
    }),
  };
};
export type OpenApi = ReturnType<typeof createOpenApi>;
