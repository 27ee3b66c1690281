import { admissionPolicyStatusController } from './admission-policy-status.ts';
import { createKubeletApprovalController } from './certificates/approve.ts';
import { requestCleanupController } from './certificates/clean.ts';
import { createSigningController, type SignerOptions } from './certificates/signer.ts';
import { clusterRoleAggregationController } from './clusterrole-aggregation.ts';
import type { Controller } from './controller.ts';
import { cronJobController } from './cronjob/cronjob.ts';
import { daemonSetController } from './daemonset/daemonset.ts';
import { deploymentController } from './deployment/deployment.ts';
import { disruptionController } from './disruption/disruption.ts';
import { endpointsController } from './endpoints/endpoints.ts';
import { endpointSliceMirroringController } from './endpoints/mirroring.ts';
import { endpointSliceController } from './endpoints/slices.ts';
import { flowControlController } from './flow-control/flow-control.ts';
import { createGarbageCollector } from './garbagecollector.ts';
import { createHpaController, type HpaOptions } from './hpa/hpa.ts';
import { jobOrphanController, jobTtlController } from './job/cleanup.ts';
import { jobController } from './job/job.ts';
import { createNamespaceController } from './namespace.ts';
import { createRootCaController, serviceAccountController } from './namespace-defaults.ts';
import { createNodeIpamController, type NodeIpamOptions } from './node-ipam.ts';
import { createNodeLifecycleController, type NodeLifecycleOptions } from './nodelifecycle.ts';
import { createPodGcController, type PodGcOptions } from './podgc.ts';
import { replicaSetController, replicationControllerController } from './replicaset.ts';
import type { ResourceTypes } from './resource-types.ts';
import { resourceQuotaController } from './resourcequota/resourcequota.ts';
import { statefulSetController } from './statefulset/statefulset.ts';
import { taintEvictionController } from './taint-eviction.ts';
import { createTokenSecretController, type TokenSecretOptions } from './token-secrets.ts';
import { claimBinder } from './volumes/claim.ts';
import { ephemeralVolumeController } from './volumes/ephemeral.ts';
import { attributesClassProtection, claimProtection, volumeProtection } from './volumes/protection.ts';
import { volumeBinder } from './volumes/volume.ts';

export interface ControllersOptions
  extends NodeLifecycleOptions,
    NodeIpamOptions,
    PodGcOptions,
    HpaOptions,
    TokenSecretOptions,
    SignerOptions {
  /** Every resource type of a cluster that can be listed and deleted, custom ones included. */
  resourceTypes: ResourceTypes;
  /** PEM of the authority that signs the API server's certificate. */
  rootCa: (cluster: string) => string | Promise<string>;
}

// biome-ignore lint/suspicious/noExplicitAny: each controller has its own Observed, which only it sees
export type AnyController = Controller<any>;

/** The one list of controllers. */
export const createControllers = (options: ControllersOptions): AnyController[] => [
  createNamespaceController(options.resourceTypes),
  serviceAccountController,
  createRootCaController(options.rootCa),
  deploymentController,
  replicaSetController,
  replicationControllerController,
  statefulSetController,
  daemonSetController,
  endpointsController,
  endpointSliceController,
  endpointSliceMirroringController,
  jobController,
  jobOrphanController,
  jobTtlController,
  cronJobController,
  disruptionController,
  resourceQuotaController,
  createHpaController(options),
  createTokenSecretController(options),
  createKubeletApprovalController(options),
  createSigningController(options),
  requestCleanupController,
  claimBinder,
  volumeBinder,
  claimProtection,
  volumeProtection,
  attributesClassProtection,
  ephemeralVolumeController,
  clusterRoleAggregationController,
  admissionPolicyStatusController,
  flowControlController,
  createNodeLifecycleController(options),
  createNodeIpamController(options),
  taintEvictionController,
  createPodGcController(options),
  createGarbageCollector(options.resourceTypes),
];
