import type { CSIDriver, PersistentVolume, PersistentVolumeClaim, Pod, Volume } from '../../../machinery/kinds.d.ts';
import type { Call } from '../../context.ts';
import { storedObject } from '../stored.ts';

const driverOfClaim = async (call: Call, claimName: string): Promise<string | undefined> => {
  const key = `${call.info.namespace}/${claimName}`;
  const claim = await storedObject<PersistentVolumeClaim>(call, '', 'persistentvolumeclaims', key);
  const volume = claim?.spec?.volumeName;
  if (!volume) return undefined;
  return (await storedObject<PersistentVolume>(call, '', 'persistentvolumes', volume))?.spec?.csi?.driver;
};

const driverOf = (call: Call, pod: Pod, volume: Volume): Promise<string | undefined> | string | undefined => {
  if (volume.ephemeral?.volumeClaimTemplate) return driverOfClaim(call, `${pod.metadata.name}-${volume.name}`);
  if (volume.persistentVolumeClaim) return driverOfClaim(call, volume.persistentVolumeClaim.claimName);
  return volume.csi?.driver;
};

const isNamed = async (call: Call, pod: Pod, audience: string): Promise<boolean> => {
  for (const volume of pod.spec?.volumes ?? []) {
    const sources = volume.projected?.sources ?? [];
    if (sources.some((one) => one.serviceAccountToken && (one.serviceAccountToken.audience ?? '') === audience))
      return true;
    const name = await driverOf(call, pod, volume);
    const driver = name ? await storedObject<CSIDriver>(call, 'storage.k8s.io', 'csidrivers', name) : undefined;
    if (driver?.spec?.tokenRequests?.some((one) => one.audience === audience)) return true;
  }
  return false;
};

/** Why a node may not have a token for these audiences: its pod names them, or RBAC allows them. KEP-4412. */
export const audienceFault = async (
  call: Call,
  pod: Pod,
  audiences: readonly string[],
): Promise<string | undefined> => {
  if (audiences.length > 1) return 'node may only request 0 or 1 audiences';
  const audience = audiences[0] ?? '';
  if (await isNamed(call, pod, audience)) return undefined;
  const { server, info, user } = call;
  const decision = await server.authorizer.authorize({
    cluster: info.cluster,
    user,
    verb: 'request-serviceaccounts-token-audience',
    isResource: true,
    group: '',
    version: 'v1',
    resource: audience,
    subresource: '',
    namespace: info.namespace,
    name: info.name,
    path: '',
  });
  if (decision.allowed) return undefined;
  return `audience "${audience}" not found in pod spec volume, ${user.username} is not authorized to request tokens for this audience`;
};
