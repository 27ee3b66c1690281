import type { ConfigMap, Pod, Secret, Service, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import { fieldValue, resourceFieldValue } from './downward.ts';
import { RuntimeError } from './runtime/runtime.ts';

/** What an environment may refer to; the functions give undefined for what does not exist. */
export interface EnvironmentSources {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  /** Services of the pod's namespace, and the kubernetes service of default. */
  services(namespace: string): Service[];
  podIPs: string[];
  hostIPs: string[];
  nodeName: string;
  allocatable: Record<string, string>;
}

const invalid = (message: string) => new RuntimeError('CreateContainerConfigError', message);

/** `$(VAR)` of what is defined before; `$$` is a dollar sign; an unknown name stays as written. */
export const expand = (text: string, values: ReadonlyMap<string, string>): string =>
  text.replace(/\$(\$|\(([^)]*)\))/g, (whole, mark: string, name: string | undefined) => {
    if (mark === '$') return '$';
    return values.get(name ?? '') ?? whole;
  });

/** The docker-link style variables of services, as kubelet makes them. */
export const serviceVariables = (services: Service[]): Map<string, string> => {
  const out = new Map<string, string>();
  for (const service of services) {
    const ip = service.spec?.clusterIP;
    const first = service.spec?.ports?.[0];
    if (!ip || ip === 'None' || !first) continue;
    const base = (service.metadata.name ?? '').toUpperCase().replaceAll('-', '_');
    out.set(`${base}_SERVICE_HOST`, ip);
    out.set(`${base}_SERVICE_PORT`, String(first.port));
    for (const port of service.spec?.ports ?? []) {
      if (port.name) out.set(`${base}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`, String(port.port));
    }
    const url = (port: typeof first) =>
      `${(port.protocol ?? 'TCP').toLowerCase()}://${ip.includes(':') ? `[${ip}]` : ip}:${port.port}`;
    out.set(`${base}_PORT`, url(first));
    for (const port of service.spec?.ports ?? []) {
      const protocol = port.protocol ?? 'TCP';
      const prefix = `${base}_PORT_${port.port}_${protocol}`;
      out.set(prefix, url(port));
      out.set(`${prefix}_PROTO`, protocol.toLowerCase());
      out.set(`${prefix}_PORT`, String(port.port));
      out.set(`${prefix}_ADDR`, ip);
    }
  }
  return out;
};

const decoded = (secret: Secret): Record<string, string> =>
  Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );

const fromSource = async (
  pod: Pod,
  from: NonNullable<SpecContainer['envFrom']>[number],
  sources: EnvironmentSources,
): Promise<Record<string, string>> => {
  const namespace = pod.metadata.namespace ?? '';
  if (from.configMapRef) {
    const name = from.configMapRef.name ?? '';
    const found = await sources.configMap(namespace, name);
    if (!found && !from.configMapRef.optional) throw invalid(`configmap "${name}" not found`);
    return found?.data ?? {};
  }
  if (!from.secretRef) return {};
  const name = from.secretRef.name ?? '';
  const found = await sources.secret(namespace, name);
  if (!found && !from.secretRef.optional) throw invalid(`secret "${name}" not found`);
  return found ? decoded(found) : {};
};

type ValueFrom = NonNullable<NonNullable<SpecContainer['env']>[number]['valueFrom']>;

const valueFrom = async (
  pod: Pod,
  container: SpecContainer,
  from: ValueFrom,
  sources: EnvironmentSources,
): Promise<string | undefined> => {
  const namespace = pod.metadata.namespace ?? '';
  if (from.fieldRef) return fieldValue(pod, from.fieldRef.fieldPath, sources);
  if (from.resourceFieldRef) {
    const name = from.resourceFieldRef.containerName;
    const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
    const target = name ? all.find((c) => c.name === name) : container;
    return resourceFieldValue(target ?? container, from.resourceFieldRef, sources.allocatable);
  }
  if (from.configMapKeyRef) {
    const { name = '', key, optional } = from.configMapKeyRef;
    const found = await sources.configMap(namespace, name);
    const value = found?.data?.[key];
    if (value !== undefined || optional) return value;
    throw invalid(
      found ? `couldn't find key ${key} in ConfigMap ${namespace}/${name}` : `configmap "${name}" not found`,
    );
  }
  if (from.secretKeyRef) {
    const { name = '', key, optional } = from.secretKeyRef;
    const found = await sources.secret(namespace, name);
    const value = found && decoded(found)[key];
    if (value !== undefined || optional) return value;
    throw invalid(found ? `couldn't find key ${key} in Secret ${namespace}/${name}` : `secret "${name}" not found`);
  }
  return undefined;
};

/**
 * The environment of a container in kubelet's order: service links, envFrom, then env with `$(VAR)` expanded. Throws
 * RuntimeError CreateContainerConfigError for a reference that does not resolve.
 */
export const containerEnvironment = async (
  pod: Pod,
  container: SpecContainer,
  sources: EnvironmentSources,
): Promise<Map<string, string>> => {
  const namespace = pod.metadata.namespace ?? '';
  const known = sources.services(namespace);
  const links = pod.spec?.enableServiceLinks !== false;
  const visible = known.filter(
    (s) =>
      (s.metadata.namespace === 'default' && s.metadata.name === 'kubernetes') ||
      (links && s.metadata.namespace === namespace),
  );
  const services = serviceVariables(visible);
  const out = new Map<string, string>();
  for (const from of container.envFrom ?? []) {
    for (const [key, value] of Object.entries(await fromSource(pod, from, sources))) {
      out.set(`${from.prefix ?? ''}${key}`, value);
    }
  }
  const seen = new Map([...services, ...out]);
  for (const { name, value, valueFrom: from } of container.env ?? []) {
    const resolved = from ? await valueFrom(pod, container, from, sources) : expand(value ?? '', seen);
    if (resolved === undefined) continue;
    out.set(name, resolved);
    seen.set(name, resolved);
  }
  return new Map([...services, ...out]);
};
