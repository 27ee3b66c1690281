import { AUTHENTICATION_MODES, ENTRY_TYPES } from '../authn/aws/access-entry.ts';

/** The fields of a Cluster that say how principals of AWS come in, as definitions of custom resources are written. */

const text = (description: string, maxLength: number, more: object = {}) => ({
  type: 'string',
  minLength: 1,
  maxLength,
  description,
  ...more,
});

const accessPolicy = {
  type: 'object',
  required: ['policyArn', 'accessScope'],
  properties: {
    policyArn: text('arn:aws:eks::aws:cluster-access-policy/ and AmazonEKSViewPolicy or another policy.', 128, {
      pattern:
        '^arn:aws[a-z-]*:eks::aws:cluster-access-policy/AmazonEKS(ClusterAdmin|Admin|AdminView|Edit|View)Policy$',
    }),
    accessScope: {
      type: 'object',
      required: ['type'],
      description: 'Where the policy holds.',
      properties: {
        type: { type: 'string', enum: ['cluster', 'namespace'], description: 'The whole cluster, or some namespaces.' },
        namespaces: {
          type: 'array',
          maxItems: 100,
          items: text('A namespace; a * stands for any characters.', 63),
          description: 'Of the type namespace.',
        },
      },
      'x-kubernetes-validations': [
        {
          rule: "self.type == 'namespace' ? has(self.namespaces) && size(self.namespaces) > 0 : !has(self.namespaces) || size(self.namespaces) == 0",
          message: 'namespaces are for the type namespace, which takes at least one',
        },
      ],
    },
  },
};

const RESERVED = "['system:', 'eks:', 'aws:', 'amazon:', 'iam:']";

const accessEntry = {
  type: 'object',
  required: ['principalArn'],
  properties: {
    principalArn: text('The ARN of an IAM role or user.', 2048, {
      pattern: '^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/-]+$',
    }),
    principalId: text('The unique id that the principal must have; any where absent.', 128, {
      pattern: '^[A-Z0-9]{4,128}$',
    }),
    username: text(
      "The user that it is here; may name {{SessionName}} and its kin. The session's ARN where absent.",
      256,
    ),
    kubernetesGroups: {
      type: 'array',
      maxItems: 100,
      items: text('A group.', 256),
      description: 'The groups it is in.',
    },
    type: { type: 'string', enum: [...ENTRY_TYPES], description: 'STANDARD where absent; others are of nodes.' },
    accessPolicies: {
      type: 'array',
      maxItems: 20,
      items: accessPolicy,
      description: 'What it may do without any RBAC.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['policyArn'],
    },
  },
  'x-kubernetes-validations': [
    {
      rule: `!has(self.username) || !${RESERVED}.exists(p, self.username.startsWith(p))`,
      message: 'a username must not begin with system:, eks:, aws:, amazon: or iam:',
    },
    {
      rule: `!has(self.kubernetesGroups) || self.kubernetesGroups.all(g, !${RESERVED}.exists(p, g.startsWith(p)))`,
      message: 'a group must not begin with system:, eks:, aws:, amazon: or iam:',
    },
    {
      rule: "!has(self.type) || self.type == 'STANDARD' || (!has(self.username) && !has(self.kubernetesGroups) && !has(self.accessPolicies))",
      message: 'only entries of type STANDARD take a username, groups and policies',
    },
    {
      rule: "!has(self.username) || !self.username.matches('[{][{]SessionName(Raw)?[}][}]') || self.username.matches('^[^{]*:.*[{][{]SessionName')",
      message: 'a username needs a colon before {{SessionName}}, so that no session takes the name of another user',
    },
    {
      rule: "!has(self.type) || self.type == 'STANDARD' || self.principalArn.contains(':role/')",
      message: 'entries of nodes are of roles',
    },
    {
      rule: "!self.principalArn.contains(':role/aws-service-role/')",
      message: 'service-linked roles have no entries',
    },
  ],
};

export const accessEntries = {
  type: 'array',
  maxItems: 100,
  items: accessEntry,
  description: 'Principals of AWS that come in with a presigned token (aws eks get-token, skiff token), as in EKS.',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['principalArn'],
};

export const accessConfig = {
  type: 'object',
  description: 'How principals of AWS come in; none do where this and accessEntries are absent.',
  properties: {
    authenticationMode: {
      type: 'string',
      enum: [...AUTHENTICATION_MODES],
      description: 'By access entries, by the ConfigMap kube-system/aws-auth, or by both; both where absent.',
    },
    clusterId: text('What callers sign for; the uid of this object where absent.', 100, {
      pattern: '^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$',
    }),
  },
};
