import type { APIService } from '../../machinery/kinds.d.ts';
import { decode } from '../../store/decoded.ts';
import type { Replica } from '../../store/replica-port.ts';
import type { Server } from '../context.ts';
import { comparePreference } from '../custom/versions.ts';
import type { ServiceReference } from '../outgoing/service-endpoint.ts';

export const API_SERVICES = { group: 'apiregistration.k8s.io', resource: 'apiservices' };

/** A group version that another API server answers for, as its APIService says. */
export interface Remote {
  /** Of the APIService: `v1beta1.metrics.k8s.io`. */
  name: string;
  group: string;
  version: string;
  service: ServiceReference;
  /** PEM. */
  ca?: string;
  insecure: boolean;
  groupPriority: number;
  versionPriority: number;
  /** Its condition Available is True. */
  available: boolean;
}

const remoteOf = ({ metadata, spec, status }: APIService): Remote | undefined => {
  if (!spec?.service) return undefined;
  const { service, caBundle, group = '', version = '' } = spec;
  return {
    name: metadata.name ?? '',
    group,
    version,
    service: { namespace: service.namespace ?? '', name: service.name ?? '', port: service.port ?? 443 },
    ...(caBundle && { ca: Buffer.from(caBundle, 'base64').toString() }),
    insecure: spec.insecureSkipTLSVerify ?? false,
    groupPriority: spec.groupPriorityMinimum ?? 0,
    versionPriority: spec.versionPriority ?? 0,
    available: status?.conditions?.some(({ type, status: is }) => type === 'Available' && is === 'True') ?? false,
  };
};

/** In the order of discovery: by the group's priority and name, then by the version's. */
const inOrder = (a: Remote, b: Remote): number => {
  if (a.group !== b.group) return b.groupPriority - a.groupPriority || (a.group < b.group ? -1 : 1);
  return b.versionPriority - a.versionPriority || comparePreference(a.version, b.version);
};

const none: readonly Remote[] = [];

/** What is answered elsewhere, by cluster; worked out anew when an APIService changes. */
export const createRemotes = (server: Server, onChange: (cluster: string) => void) => {
  const known = new WeakMap<Replica, readonly Remote[]>();
  const followed = new WeakSet<Replica>();
  const read = (replica: Replica): readonly Remote[] => {
    const found = known.get(replica);
    if (found) return found;
    const all = replica.list({}).flatMap((stored) => remoteOf(decode(stored) as APIService) ?? []);
    const made = all.length > 0 ? all.sort(inOrder) : none;
    known.set(replica, made);
    return made;
  };
  return {
    of: async (cluster: string): Promise<readonly Remote[]> => {
      const domain = { cluster, ...API_SERVICES };
      const replica = server.replicas.peek(domain) ?? (await server.replicas.of(domain));
      await replica.fresh();
      if (!followed.has(replica)) {
        followed.add(replica);
        const changed = () => {
          known.delete(replica);
          onChange(cluster);
        };
        replica.onApplied((changes) => {
          if (changes.length > 0) changed();
        }, changed);
        if (read(replica).length > 0) onChange(cluster);
      }
      return read(replica);
    },
  };
};
