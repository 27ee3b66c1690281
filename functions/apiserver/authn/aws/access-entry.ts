import { readPrincipal, withoutPath } from './arn.ts';

/**
 * An access entry in the words of EKS' API (CreateAccessEntry and AssociateAccessPolicy): one principal of IAM, the user and
 * groups that it is in the cluster, and the policies that hold for it without any RBAC.
 */
export interface AccessEntry {
  principalArn: string;
  /** Templates in double braces (user-templates.ts). Of a role, its session's ARN where absent; of a user, its ARN. */
  username?: string | undefined;
  kubernetesGroups?: readonly string[] | undefined;
  type?: EntryType | undefined;
  accessPolicies?: readonly AccessPolicy[] | undefined;
  /** The unique id that the principal must have (`AROA...`): a later one of the same name does not come in. */
  principalId?: string | undefined;
}

export const ENTRY_TYPES = ['STANDARD', 'EC2', 'EC2_LINUX', 'EC2_WINDOWS', 'FARGATE_LINUX', 'HYBRID_LINUX'] as const;
export type EntryType = (typeof ENTRY_TYPES)[number];

export const POLICY_NAMES = [
  'AmazonEKSClusterAdminPolicy',
  'AmazonEKSAdminPolicy',
  'AmazonEKSAdminViewPolicy',
  'AmazonEKSEditPolicy',
  'AmazonEKSViewPolicy',
] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

export interface AccessPolicy {
  /** `arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy` */
  policyArn: string;
  accessScope: { type: 'cluster' | 'namespace'; namespaces?: readonly string[] | undefined };
}

export type AuthenticationMode = 'CONFIG_MAP' | 'API' | 'API_AND_CONFIG_MAP';
export const AUTHENTICATION_MODES = ['CONFIG_MAP', 'API', 'API_AND_CONFIG_MAP'] as const;

/** No entry names a user or group that begins so: those are the control plane's. */
export const RESERVED = ['system:', 'eks:', 'aws:', 'amazon:', 'iam:'];
export const isReserved = (name: string): boolean => RESERVED.some((prefix) => name.startsWith(prefix));

const POLICY_ARN = /^arn:aws[a-z-]*:eks::aws:cluster-access-policy\/(\w+)$/;

/** The policy that an ARN names; undefined for one that there is not. */
export const policyName = (arn: string): PolicyName | undefined =>
  POLICY_NAMES.find((name) => name === POLICY_ARN.exec(arn)?.[1]);

/** What an ARN is looked up by: names of IAM differ by more than their case, and those of roles by more than their path. */
export const principalKey = (arn: string): string | undefined => {
  const principal = readPrincipal(arn);
  return principal && withoutPath(principal).toLowerCase();
};
