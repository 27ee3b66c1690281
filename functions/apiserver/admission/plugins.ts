import { claimStatusRights } from '../authz/claim-status.ts';
import { rbacEscalation } from '../authz/escalation.ts';
import type { Configured } from '../configuration.ts';
import type { AdmissionPlugin } from './admission.ts';
import {
  certificateApproval,
  certificateSigning,
  certificateSubjectRestriction,
  clusterTrustBundleAttest,
} from './certificates/certificates.ts';
import { defaultIngressClass, defaultStorageClass, persistentVolumeClaimResize } from './default-classes.ts';
import { defaultTolerationSeconds } from './default-tolerations.ts';
import { limitRanger } from './limitranger/limitranger.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import { nodeRestriction } from './noderestriction/noderestriction.ts';
import { storageObjectInUseProtection, taintNodesByCondition } from './objects-in-use.ts';
import { nodeDeclaredFeatureValidator, podResizeValidator, podTopologyLabels } from './pods-on-nodes.ts';
import { createPodSecurity, type PodSecurityOptions } from './podsecurity/podsecurity.ts';
import { createMutatingPolicies } from './policies/mutating.ts';
import { policyParameters } from './policies/parameter-access.ts';
import { createValidatingPolicies } from './policies/validating.ts';
import { priority } from './priority.ts';
import { createResourceQuota } from './resourcequota/resourcequota.ts';
import { runtimeClass } from './runtime-class.ts';
import { serviceAccount } from './service-account.ts';
import { createMutatingWebhooks } from './webhooks/mutating.ts';
import { createValidatingWebhooks } from './webhooks/validating.ts';

export interface PluginOptions {
  podSecurity?: PodSecurityOptions | undefined;
  configured?: Configured | undefined;
  /** Between the built-in ones and the quota: policies, webhooks, and what a composition adds. */
  admission?: readonly AdmissionPlugin[] | undefined;
}

/** A server's plugins in upstream's order. The quota comes last, since nothing may refuse a write that it charged. */
export const createPlugins = (options: PluginOptions): AdmissionPlugin[] => [
  namespaceLifecycle,
  limitRanger,
  serviceAccount,
  nodeRestriction,
  taintNodesByCondition,
  createPodSecurity(options.podSecurity, options.configured),
  priority,
  defaultTolerationSeconds,
  defaultStorageClass,
  storageObjectInUseProtection,
  persistentVolumeClaimResize,
  runtimeClass,
  certificateApproval,
  certificateSigning,
  clusterTrustBundleAttest,
  certificateSubjectRestriction,
  defaultIngressClass,
  podTopologyLabels,
  nodeDeclaredFeatureValidator,
  podResizeValidator,
  createMutatingPolicies(),
  createMutatingWebhooks(),
  ...(options.admission ?? []),
  policyParameters,
  createValidatingPolicies(),
  createValidatingWebhooks(),
  rbacEscalation,
  claimStatusRights,
  createResourceQuota(),
];
