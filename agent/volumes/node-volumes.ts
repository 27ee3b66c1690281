import { execFile } from 'node:child_process';
import { chmod, chown, lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Client } from '../../functions/client/client.ts';
import type { Clock } from '../../functions/clock/clock.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod, Volume } from '../../functions/machinery/kinds.d.ts';
import { quantityValue } from '../../functions/machinery/quantity.ts';
import { expand } from '../environment.ts';
import * as resources from '../resources.ts';
import { type ContainerSpec, RuntimeError } from '../runtime/runtime.ts';
import { writeAtomically } from './atomic-writer.ts';
import { checkHostPath } from './host-path.ts';
import type { ImageVolumes } from './image-volumes.ts';
import { type PayloadSources, volumePayload } from './payload.ts';
import { type Bind, mountSubPath, mountsBelow, unmountBelow } from './sub-path.ts';
import { createTokens } from './tokens.ts';
import type { Volumes } from './volumes.ts';

const run = promisify(execFile);
type Mount = ContainerSpec['mounts'][number];

export interface NodeVolumesOptions {
  client: Client;
  clock: Clock;
  dataDir: string;
  /** For downward API files. */
  facts(pod: Pod): Pick<PayloadSources, 'podIPs' | 'hostIPs' | 'nodeName' | 'allocatable'>;
  /** Absent where the runtime cannot. */
  images?: ImageVolumes;
  /** How subPaths are mounted; mount(8) where absent. */
  bind?: Bind;
}

const propagations: Record<string, Mount['propagation']> = { HostToContainer: 'host', Bidirectional: 'bidirectional' };

const isMounted = async (path: string): Promise<boolean> => (await mountsBelow(path)).includes(path);

/** Gives a directory to a group: readable and writable for it, new files inherit it (kubelet's SetVolumeOwnership). */
const giveToGroup = async (path: string, gid: number): Promise<void> => {
  const entry = await lstat(path);
  await chown(path, -1, gid).catch(() => {});
  if (entry.isSymbolicLink()) return;
  await chmod(path, (entry.mode & 0o7777) | (entry.isDirectory() ? 0o2770 : 0o660));
  if (entry.isDirectory()) for (const name of await readdir(path)) await giveToGroup(join(path, name), gid);
};

/** Volumes as directories below `dataDir/pods/UID/volumes`, tmpfs for emptyDir of medium Memory. */
export const createNodeVolumes = (options: NodeVolumesOptions): Volumes => {
  const { client, clock, dataDir } = options;
  const tokens = createTokens(client, clock);
  const rootOf = (uid: string) => join(dataDir, 'pods', uid, 'volumes');
  const pathOf = (pod: Pod, name: string) => join(rootOf(pod.metadata.uid ?? ''), name);
  let stamps = 0;
  const stamp = () => `${new Date(clock.now()).toISOString().replaceAll(/[-:.TZ]/g, '_')}.${process.pid}.${++stamps}`;

  const sources = (pod: Pod): PayloadSources => ({
    ...options.facts(pod),
    configMap: (ns, name) => client.get(resources.configMaps, ns, name),
    secret: (ns, name) => client.get(resources.secrets, ns, name),
    token: tokens.token,
  });

  const prepareEmptyDir = async (pod: Pod, volume: Volume): Promise<void> => {
    const path = pathOf(pod, volume.name);
    await mkdir(path, { recursive: true });
    if (volume.emptyDir?.medium === 'Memory' && !(await isMounted(path))) {
      const limit = volume.emptyDir.sizeLimit ? quantityValue(volume.emptyDir.sizeLimit) : 0;
      await run('mount', ['-t', 'tmpfs', '-o', limit > 0 ? `size=${limit}` : 'rw', 'tmpfs', path]);
    }
    await chmod(path, 0o777);
    const gid = pod.spec?.securityContext?.fsGroup;
    if (gid !== undefined) {
      await chown(path, -1, gid);
      await chmod(path, 0o2777);
    }
  };

  /** The directory of the host behind a claim: hostPath and local volumes. */
  const claimPath = async (pod: Pod, volume: Volume): Promise<string> => {
    const ns = pod.metadata.namespace ?? '';
    const claimName = volume.persistentVolumeClaim?.claimName ?? `${pod.metadata.name}-${volume.name}`;
    const claim = await client.get<PersistentVolumeClaim>(resources.persistentVolumeClaims, ns, claimName);
    if (!claim) throw new Error(`persistentvolumeclaim "${claimName}" not found`);
    if (claim.status?.phase !== 'Bound' || !claim.spec?.volumeName) throw new Error(`PVC "${claimName}" is not bound`);
    const bound = await client.get<PersistentVolume>(resources.persistentVolumes, '', claim.spec.volumeName);
    const path = bound?.spec?.hostPath?.path ?? bound?.spec?.local?.path;
    if (!path)
      throw new Error(`volume "${claim.spec.volumeName}" is not of a kind this node can mount (hostPath, local)`);
    await checkHostPath(path, bound?.spec?.hostPath?.type ?? 'DirectoryOrCreate');
    const gid = pod.spec?.securityContext?.fsGroup;
    if (gid !== undefined && bound?.spec?.local) await giveToGroup(path, gid);
    return path;
  };

  const prepareOne = async (pod: Pod, volume: Volume): Promise<void> => {
    if (volume.emptyDir) return prepareEmptyDir(pod, volume);
    if (volume.hostPath) return checkHostPath(volume.hostPath.path, volume.hostPath.type ?? '');
    if (volume.persistentVolumeClaim || volume.ephemeral) {
      const path = await claimPath(pod, volume);
      await mkdir(rootOf(pod.metadata.uid ?? ''), { recursive: true });
      await writeFile(`${pathOf(pod, volume.name)}.path`, path);
      return;
    }
    if (volume.image && options.images) {
      const { reference = '', pullPolicy } = volume.image;
      await mkdir(pathOf(pod, volume.name), { recursive: true });
      await options.images.mount(pod, { reference, ...(pullPolicy && { pullPolicy }) }, pathOf(pod, volume.name));
      return;
    }
    const payload = await volumePayload(pod, volume, sources(pod));
    if (!payload) throw new Error('volume kind is not supported on this node');
    await writeAtomically(pathOf(pod, volume.name), payload, stamp(), pod.spec?.securityContext?.fsGroup);
  };

  const hostPathOf = async (pod: Pod, name: string): Promise<string> => {
    const volume = pod.spec?.volumes?.find((v) => v.name === name);
    if (volume?.hostPath) return volume.hostPath.path;
    if (volume?.persistentVolumeClaim || volume?.ephemeral) return readFile(`${pathOf(pod, name)}.path`, 'utf8');
    return pathOf(pod, name);
  };

  return {
    async prepare(pod) {
      for (const volume of pod.spec?.volumes ?? []) {
        try {
          await prepareOne(pod, volume);
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          throw new RuntimeError('FailedMount', `MountVolume.SetUp failed for volume "${volume.name}" : ${why}`);
        }
      }
    },
    async mounts(pod, container, environment) {
      const out: Mount[] = [];
      for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
        const root = await hostPathOf(pod, mount.name);
        const below = mount.subPathExpr ? expand(mount.subPathExpr, environment) : mount.subPath;
        const own = join(dataDir, 'pods', pod.metadata.uid ?? '', 'subpaths', container.name, String(i));
        out.push({
          hostPath: below ? await mountSubPath(root, below, own, options.bind) : root,
          containerPath: mount.mountPath,
          readOnly: mount.readOnly || pod.spec?.volumes?.find((v) => v.name === mount.name)?.image !== undefined,
          propagation: propagations[mount.mountPropagation ?? ''] ?? 'private',
        });
      }
      return out;
    },
    async refresh(pod) {
      for (const volume of pod.spec?.volumes ?? []) {
        // What is missing now stays as it was: a running pod keeps the last contents.
        const payload = await volumePayload(pod, volume, sources(pod)).catch(() => undefined);
        if (payload)
          await writeAtomically(pathOf(pod, volume.name), payload, stamp(), pod.spec?.securityContext?.fsGroup);
      }
    },
    async clean(uid) {
      tokens.drop(uid);
      for (const path of await mountsBelow(rootOf(uid))) await options.images?.unmount(path);
      await unmountBelow(join(dataDir, 'pods', uid));
      await rm(join(dataDir, 'pods', uid), { recursive: true, force: true });
    },
  };
};
