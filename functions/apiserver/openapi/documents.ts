import { createHash } from 'node:crypto';
import type { ResourceInfo } from '../registry.ts';
import { sharedParameters } from './parameters.ts';
import { pathsOf } from './paths.ts';
import {
  type Descriptions,
  fullName,
  type OpenApiSchema,
  type OpenApiVersion,
  reachable,
  schemaOfType,
  typeOfKind,
} from './schemas.ts';

/** The schemas of a custom resource and of its list, by component name. */
export type CustomSchemas = (
  info: ResourceInfo,
  version: OpenApiVersion,
  descriptions: Descriptions,
) => Record<string, OpenApiSchema>;

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
  for (const info of resources) if (info.custom) Object.assign(out, custom(info, version, descriptions));
  return Object.fromEntries(Object.entries(out).sort(([a], [b]) => (a < b ? -1 : 1)));
};

/** `api/v1`, `apis/apps/v1`: the keys of GET /openapi/v3. */
const groupVersionPath = (group: string, version: string): string =>
  group === '' ? `api/${version}` : `apis/${group}/${version}`;

interface Made {
  served: readonly ResourceInfo[];
  body: string;
  hash: string;
}
/** Documents of group versions by their first resource: they stay right while the same resources are served there. */
const made = new WeakMap<ResourceInfo, Made>();

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
  const paths = [...new Set(resources.map((r) => groupVersionPath(r.group, r.version)))];

  const v3 = (path: string): { body: string; hash: string } | undefined => {
    const served = resources.filter((r) => groupVersionPath(r.group, r.version) === path);
    const [first] = served;
    if (!first) return undefined;
    const known = made.get(first);
    if (known?.served.length === served.length && known.served.every((r, i) => r === served[i])) return known;
    const body = JSON.stringify({
      openapi: '3.0.0',
      info,
      paths: pathsOf(served, 3),
      components: { schemas: componentsOf(served, 3, descriptions, custom) },
    });
    const document = { served, body, hash: createHash('sha512').update(body).digest('hex').toUpperCase() };
    made.set(first, document);
    return document;
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
      parameters: sharedParameters(),
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
