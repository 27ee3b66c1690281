import type { AccessEntry } from './access-entry.ts';

const ACCOUNT = '111122223333';
const role = (name: string) => `arn:aws:iam::${ACCOUNT}:role/${name}`;
const BOB = `arn:aws:iam::${ACCOUNT}:user/people/Bob`;
const policy = (name: string, accessScope: object = { type: 'cluster' }) => ({
  policyArn: `arn:aws:eks::aws:cluster-access-policy/${name}`,
  accessScope,
});

/** What an entry must not be, as changes of one that lets the role Admin in as the user `a`. */
export const wrongEntries: readonly (readonly [string, object])[] = [
  ['a group of the system', { kubernetesGroups: ['system:masters'] }],
  ['another group of the system', { kubernetesGroups: ['ops', 'system:nodes'] }],
  ['a group of EKS', { kubernetesGroups: ['eks:kube-proxy-windows'] }],
  ['an empty group', { kubernetesGroups: [''] }],
  ['a user of the system', { username: 'system:admin' }],
  ['a node', { username: 'system:node:a' }],
  ...['eks', 'aws', 'amazon', 'iam'].map((prefix): [string, object] => [
    `a user of ${prefix}`,
    { username: `${prefix}:a` },
  ]),
  ['a session without a colon', { username: 'a{{SessionName}}' }],
  ['a session before the colon', { username: '{{SessionName}}:a' }],
  ['a raw session without a colon', { username: '{{SessionNameRaw}}' }],
  ['an empty username', { username: '' }],
  ['a session for a principal', { principalArn: `arn:aws:sts::${ACCOUNT}:assumed-role/Admin/mary@example.com` }],
  ['root', { principalArn: `arn:aws:iam::${ACCOUNT}:root` }],
  ['a service-linked role', { principalArn: role('aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS') }],
  ['a star', { principalArn: `arn:aws:iam::${ACCOUNT}:role/*` }],
  ['an unknown type', { type: 'ADMIN' }],
  ['groups of a node', { type: 'EC2', kubernetesGroups: ['a'] }],
  ['a username of a node', { type: 'EC2', username: 'node' }],
  ['policies of a node', { type: 'EC2', accessPolicies: [policy('AmazonEKSViewPolicy')] }],
  ['a user as a node', { principalArn: BOB, type: 'EC2' }],
  ['an unknown policy', { accessPolicies: [policy('AmazonEKSRootPolicy')] }],
  [
    'a policy that is no ARN',
    { accessPolicies: [{ policyArn: 'AmazonEKSViewPolicy', accessScope: { type: 'cluster' } }] },
  ],
  ['a policy twice', { accessPolicies: [policy('AmazonEKSViewPolicy'), policy('AmazonEKSViewPolicy')] }],
  [
    'namespaces of the cluster',
    { accessPolicies: [policy('AmazonEKSViewPolicy', { type: 'cluster', namespaces: ['a'] })] },
  ],
  ['no namespaces', { accessPolicies: [policy('AmazonEKSViewPolicy', { type: 'namespace' })] }],
  ['no scope', { accessPolicies: [{ policyArn: policy('AmazonEKSViewPolicy').policyArn }] }],
  ['an unknown field', { admin: true }],
];

/** The entry with the changes; other types than STANDARD take no username, and it is not that which is wrong. */
export const entryWith = (changes: object): AccessEntry => {
  const { username, ...entry } = { principalArn: role('Admin'), username: 'a', ...changes } as AccessEntry;
  return 'type' in changes && username === 'a' ? entry : { ...entry, username };
};
