import type { KubeObject } from '../../machinery/object.ts';
import { decode } from '../../store/decoded.ts';
import type { Call } from '../context.ts';

/** One stored object that a plugin looks up, as it is now; shared, so never to be mutated. */
export const storedObject = async <T extends KubeObject>(
  { server, info }: Call,
  group: string,
  resource: string,
  key: string,
): Promise<T | undefined> => {
  const stored = await server.store.get({ cluster: info.cluster, group, resource }, key);
  return stored && (decode(stored) as T);
};

const nothing: readonly KubeObject[] = [];

/** All objects of a type, or those of a namespace. Where the store tells of its commits this reads memory only. */
export const storedObjects = async <T extends KubeObject>(
  { server, info }: Call,
  group: string,
  resource: string,
  namespace = '',
): Promise<readonly T[]> => {
  const domain = { cluster: info.cluster, group, resource };
  const replica = server.replicas.peek(domain) ?? (await server.replicas.of(domain));
  await replica.fresh();
  if (replica.size === 0) return nothing as readonly T[];
  return replica.list(namespace ? { namespace } : {}).map((stored) => decode(stored) as T);
};

/** Of the classes marked as default by an annotation, the newest, then the first by name. */
export const defaultClass = <T extends KubeObject>(
  classes: readonly T[],
  annotations: readonly string[],
): T | undefined =>
  classes
    .filter(({ metadata }) => annotations.some((key) => metadata.annotations?.[key] === 'true'))
    .sort((a, b) => {
      const [x, y] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
      if (x !== y) return x > y ? -1 : 1;
      return (a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1;
    })[0];
