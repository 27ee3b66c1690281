import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const NETWORK_NAME = 'skiff';

/**
 * The CNI configuration of one node: a routed link per pod (ptp), so that connections through a service to a pod of the
 * same node pass conntrack both ways without bridge netfilter; addresses from the node's pod range; host ports. CNI 1.0.0.
 */
export const cniConfiguration = (options: { podCidr: string; stateDirectory: string }) => ({
  cniVersion: '1.0.0',
  name: NETWORK_NAME,
  plugins: [
    {
      type: 'ptp',
      ipMasq: false,
      ipam: {
        type: 'host-local',
        dataDir: options.stateDirectory,
        ranges: [[{ subnet: options.podCidr }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true }, snat: true },
  ],
});

/** Writes the configuration where the runtime looks for it; returns the folder. */
export const writeCniConfiguration = (directory: string, podCidr: string): string => {
  const folder = join(directory, 'cni');
  mkdirSync(folder, { recursive: true });
  const configuration = cniConfiguration({ podCidr, stateDirectory: join(directory, 'cni-state') });
  writeFileSync(join(folder, '10-skiff.conflist'), JSON.stringify(configuration, undefined, 2));
  return folder;
};
