import { POD_CIDR } from '../../agent/network/addresses.ts';
import type { TokenAuthority } from '../apiserver/authn/token-authority.ts';
import type { Client } from '../client/client.ts';
import { discover } from '../client/discovery.ts';
import type { Clock } from '../clock/clock.ts';
import type { CertificateAuthority } from '../controllers/certificates/requests.ts';
import type { PodMetrics } from '../controllers/hpa/usage.ts';
import { createControllers } from '../controllers/index.ts';
import type { ResourceType } from '../controllers/resource-types.ts';
import type { SecretTokenSubject, TokenSecretOptions } from '../controllers/token-secrets.ts';
import type { CertificateSigningRequest } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';

// What embedded and cloud deployments compose alike.

const POD_METRICS = { group: 'metrics.k8s.io', version: 'v1beta1', resource: 'pods' };
const ACCESS_REVIEWS = { group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews' };
/** Discovery of a cluster's resource types is kept so long. */
const TYPES_MS = 10_000;
const SECRET_TOKEN_YEARS = 100;

/** A token that lives as long as its Secret: its end is far away, and it counts no more once the Secret is gone. */
export const secretToken = (
  authority: TokenAuthority,
  cluster: string,
  { namespace, serviceAccount, secret }: SecretTokenSubject,
  now: number,
): Promise<string> => {
  const issuedAt = Math.floor(now / 1000);
  const expiresAt = issuedAt + SECRET_TOKEN_YEARS * 365 * 86_400;
  const bound = { kind: 'Secret', ...secret };
  return authority.sign(cluster, {
    namespace,
    serviceAccount,
    audiences: [...authority.audiences],
    issuedAt,
    expiresAt,
    bound,
  });
};

/** Whether whoever made a certificate request may create that subresource. */
const mayCreate = async (
  client: Client,
  { spec }: CertificateSigningRequest,
  subresource: string,
): Promise<boolean> => {
  const attributes = {
    group: 'certificates.k8s.io',
    resource: 'certificatesigningrequests',
    verb: 'create',
    subresource,
  };
  const { username = '', groups = [], uid = '', extra = {} } = spec ?? {};
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    metadata: {},
    spec: { user: username, groups, uid, extra, resourceAttributes: { ...attributes, version: '*' } },
  };
  const answer = await client.create<KubeObject & { status?: { allowed?: boolean } }>(ACCESS_REVIEWS, review);
  return answer.status?.allowed === true;
};

/** The resource types of clusters, discovered anew now and then. */
export const rememberTypes = (client: (cluster: string) => Client, clock: Clock) => {
  const types = new Map<string, { at: number; found: Promise<readonly ResourceType[]> }>();
  return {
    resourceTypes: (cluster: string): Promise<readonly ResourceType[]> => {
      const known = types.get(cluster);
      if (known && clock.now() - known.at < TYPES_MS) return known.found;
      const found = discover(client(cluster));
      types.set(cluster, { at: clock.now(), found });
      found.catch(() => types.delete(cluster));
      return found;
    },
    /** A kind came or went. */
    forgetTypes: (cluster: string): void => void types.delete(cluster),
  };
};

export interface ComposedOptions {
  client(cluster: string): Client;
  resourceTypes(cluster: string): Promise<readonly ResourceType[]>;
  rootCa(): string;
  /** Fills Secrets of type kubernetes.io/service-account-token; without it they stay empty. */
  signSecretToken?: TokenSecretOptions['signSecretToken'];
  /** Issues the certificates of Kubernetes' own signers; without it requests stay approved and unsigned. */
  certificates?: CertificateAuthority;
}

/** Every controller, with what it needs of the rest. */
export const composeControllers = (options: ComposedOptions) => {
  const { client } = options;
  return createControllers({
    resourceTypes: options.resourceTypes,
    rootCa: options.rootCa,
    clusterCidr: POD_CIDR,
    podMetrics: async (cluster, namespace, labelSelector) => {
      const found = await client(cluster).list<PodMetrics & KubeObject>(POD_METRICS, { namespace, labelSelector });
      return found.items;
    },
    ...(options.signSecretToken && { signSecretToken: options.signSecretToken }),
    ...(options.certificates && { certificates: options.certificates }),
    mayCreate: (cluster, request, subresource) => mayCreate(client(cluster), request, subresource),
  });
};
