import * as z from 'zod';
import { ENTRY_TYPES, isReserved, POLICY_NAMES, policyName, RESERVED } from './access-entry.ts';
import { readPrincipal } from './arn.ts';

const free = (what: string) =>
  z
    .string()
    .min(1)
    .max(256)
    .refine((name) => !isReserved(name), `a ${what} must not begin with ${RESERVED.join(', ')}`);

const username = free('username').refine(
  (name) => !/\{\{SessionName(Raw)?\}\}/.test(name) || /^[^{]*:.*\{\{SessionName/.test(name),
  'a username needs a colon before {{SessionName}}, so that no session takes the name of another user',
);

const principalArn = z.string().refine((arn) => {
  const principal = readPrincipal(arn);
  return (principal?.type === 'role' && !principal.name.startsWith('aws-service-role/')) || principal?.type === 'user';
}, 'must be the ARN of an IAM role or user, and of no service-linked role');

const accessPolicy = z.strictObject({
  policyArn: z.string().refine((arn) => policyName(arn) !== undefined, `must name one of ${POLICY_NAMES.join(', ')}`),
  accessScope: z
    .strictObject({ type: z.enum(['cluster', 'namespace']), namespaces: z.array(z.string().min(1).max(63)).optional() })
    .refine(
      ({ type, namespaces = [] }) => (type === 'namespace') === namespaces.length > 0,
      'namespaces are for the type namespace, which takes at least one',
    ),
});

/** One entry, checked as EKS checks it. */
export const accessEntrySchema = z
  .strictObject({
    principalArn,
    username: username.optional(),
    kubernetesGroups: z.array(free('group')).max(100).optional(),
    type: z.enum(ENTRY_TYPES).optional(),
    accessPolicies: z.array(accessPolicy).max(20).optional(),
    principalId: z
      .string()
      .regex(/^[A-Z0-9]{4,128}$/)
      .optional(),
  })
  .refine(
    ({ type = 'STANDARD', username: name, kubernetesGroups: groups = [], accessPolicies: policies = [] }) =>
      type === 'STANDARD' || (name === undefined && groups.length === 0 && policies.length === 0),
    'only entries of type STANDARD take a username, groups and policies',
  )
  .refine(
    ({ type = 'STANDARD', principalArn: arn }) => type === 'STANDARD' || readPrincipal(arn)?.type === 'role',
    'entries of nodes are of roles',
  )
  .refine(
    ({ accessPolicies = [] }) =>
      new Set(accessPolicies.map((one) => policyName(one.policyArn))).size === accessPolicies.length,
    'a policy is there twice',
  );
