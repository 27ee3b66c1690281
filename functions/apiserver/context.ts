import type { Clock } from '../clock/clock.ts';
import type { JsonObject, KubeObject } from '../machinery/object.ts';
import type { Replicas } from '../store/replica-port.ts';
import type { Domain, Store } from '../store/store.ts';
import type { AdmissionPlugin } from './admission/admission.ts';
import type { PodSecurityOptions } from './admission/podsecurity/podsecurity.ts';
import type { FrontProxy } from './aggregation/identity.ts';
import type { FollowedAudit } from './audit/follow.ts';
import type { AuditTrail } from './audit/trail.ts';
import type { Authenticator } from './authn/authenticator.ts';
import type { TokenSigner } from './authn/service-account-tokens.ts';
import type { Authorizer } from './authz/authorizer.ts';
import type { Configured } from './configuration.ts';
import type { FlowControl } from './flow-control/flow-control.ts';
import type { Metrics } from './metrics.ts';
import type { Negotiated } from './negotiate.ts';
import type { ResourceInfo, StrategyContext, UserInfo } from './registry.ts';
import type { Registry } from './registry-clusters.ts';
import type { RequestInfo } from './request-info.ts';
import type { ServiceAllocator } from './strategies/service-allocation.ts';
import type { NodeDialer } from './streams.ts';

/** An API object of any kind with its fields open, as the generic engine handles it. */
export type AnyObject = KubeObject & {
  spec?: JsonObject;
  status?: JsonObject;
} & { [field: string]: unknown };

/** What createApiServer is composed of. */
export interface ApiServerOptions {
  store: Store;
  replicas: Replicas;
  clock: Clock;
  authenticator: Authenticator;
  authorizer: Authorizer;
  /** How log, exec, attach, portforward and proxy reach a node; without it they answer 503. */
  dialer?: NodeDialer;
  /** How this server shows itself to other API servers (APIServices); without it they are asked without a certificate. */
  frontProxy?: FrontProxy;
  /** Signs TokenRequests; without it the token subresource answers 503. */
  signer?: TokenSigner;
  /** Admission plugins by upstream's name that are left out: `ServiceAccount`... */
  disableAdmission?: readonly string[];
  /** Pod Security Standards that hold without labels, and who is exempt; privileged and nobody where absent. */
  podSecurity?: PodSecurityOptions;
  /** What the operator has set a cluster's control plane up with; defaults hold where absent. */
  configured?: Configured;
  /** Tells of every request; nothing is told where absent. */
  audit?: Pick<FollowedAudit, 'current'>;
  /** Plugins after the built-in ones. */
  admission?: readonly AdmissionPlugin[];
  /** `host:port` told to clients in discovery. */
  address?: string;
  /** Whether a cluster id exists; all do where absent. What it starts with is there once the answer is yes. */
  clusterExists?(cluster: string): boolean | Promise<boolean>;
  /** Throws the Status (429, 403) that a cluster's quotas or its end refuse a request with; asked once its caller is known. */
  admitRequest?(info: RequestInfo, connection: ConnectionInfo): void;
  /** Limits how many requests run at once, fairly; without it all do. The server's own requests pass it by. */
  flow?: FlowControl;
  /** A fault of ours, with the id that the client was told. */
  onFault?(fault: unknown, requestId: string, info: RequestInfo | undefined): void;
  /** The OpenID discovery documents by path (`/openid/v1/jwks`); without it they are not served. */
  openId?: {
    document(cluster: string, path: string, serverUrl: string): { contentType: string; body: string } | undefined;
  };
  /** Metrics of other parts of the process, in Prometheus' text format. */
  moreMetrics?(): string;
  /** Whether secrets lie under a key management service, and whether it answers; none where absent. */
  kms?: { used(): boolean; healthy(): Promise<boolean> };
  /** True once the process is to end: it is no longer ready. */
  closing?(): boolean;
  /** A watch without timeoutSeconds ends after this long; the platform's own limit. */
  watchMsMax?: number;
}

/** What every request of a server shares. */
export interface Server extends ApiServerOptions {
  registry: Registry;
  plugins: readonly AdmissionPlugin[];
  metrics: Metrics;
  /** Gives out and takes back cluster IPs and node ports. */
  services: ServiceAllocator;
}

/** How a connection identified itself below HTTP. */
export interface ConnectionInfo {
  /** Of a client certificate that the listener has verified. */
  clientCertificate?: {
    commonName: string;
    organizations: readonly string[];
    fingerprint: string;
    /** Of the subject (1.3.6.1.4.1.57683.2), where it says one. */
    uid?: string;
    /** Stands for the one cluster that it counts in (authn/certificate-scope.ts); `default` where absent. */
    scope?: string;
  };
  /** It showed a certificate that nobody who is trusted here has signed for it, or that does not hold now. */
  untrustedCertificate?: true;
  /** It is this process that asks, as a part of the control plane: quotas of requests are not for it. */
  internal?: true;
  remoteAddress?: string;
  /** Of a token that is only asked about (TokenReview): whom it must be meant for, instead of this server. */
  audiences?: readonly string[];
  /** Told why a credential does not count, by whoever would know its issuer. */
  explain?(fault: string): void;
}

/** One request on its way through the pipeline. */
export interface Call {
  server: Server;
  info: RequestInfo;
  request: Request;
  requestId: string;
  user: UserInfo;
  resource: ResourceInfo;
  accept: Negotiated;
  warnings: string[];
  dryRun: boolean;
  fieldManager: string;
  /** Where the request is audited. */
  trail?: AuditTrail;
}

export const domainOf = (cluster: string, resource: ResourceInfo): Domain => ({
  cluster,
  group: resource.storage.group,
  resource: resource.storage.resource,
});

export const strategyContext = (call: Call, subresource = call.info.subresource): StrategyContext => ({
  cluster: call.info.cluster,
  namespace: call.info.namespace,
  now: call.server.clock.now(),
  uuid: () => call.server.clock.uuid(),
  subresource,
  dryRun: call.dryRun,
  warn: (text) => {
    if (!call.warnings.includes(text)) call.warnings.push(text);
  },
  user: call.user,
});
