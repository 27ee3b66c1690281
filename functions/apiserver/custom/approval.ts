import type { CustomResourceDefinition } from '../../machinery/kinds.d.ts';
import type { Condition } from './conditions.ts';

const ANNOTATION = 'api-approved.kubernetes.io';
const PULL = 'https://github.com/kubernetes/enhancements/pull/1111';

/** Groups that belong to the Kubernetes community: definitions in them carry an approval. Source: KEP-1111. */
export const isProtectedGroup = (group: string): boolean => /(^|\.)(k8s|kubernetes)\.io$/.test(group);

export type Approval = 'approved' | 'bypassed' | 'missing' | 'invalid';

const isUrl = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\/[^/?#]+/i.test(text) && URL.canParse(text);

/** What the annotation of a definition in a protected group says, and the sentence for it. */
export const approvalOf = (annotations: Record<string, string> | undefined): { state: Approval; text: string } => {
  const value = annotations?.[ANNOTATION] ?? '';
  const start = `protected groups must have approval annotation "${ANNOTATION}"`;
  if (value === '') return { state: 'missing', text: `${start}, see ${PULL}` };
  if (value.startsWith('unapproved')) return { state: 'bypassed', text: `not approved: ${JSON.stringify(value)}` };
  if (isUrl(value)) return { state: 'approved', text: `approved in ${value}` };
  return { state: 'invalid', text: `${start} with either a URL or a reason starting with "unapproved", see ${PULL}` };
};

const REASONS: Record<Approval, string> = {
  approved: 'ApprovedAnnotation',
  bypassed: 'UnapprovedAnnotation',
  missing: 'MissingAnnotation',
  invalid: 'InvalidAnnotation',
};

/** KubernetesAPIApprovalPolicyConformant; undefined for groups that need no approval. */
export const approvalCondition = (crd: CustomResourceDefinition): Condition | undefined => {
  if (!isProtectedGroup(crd.spec.group)) return undefined;
  const { state, text } = approvalOf(crd.metadata.annotations);
  return {
    type: 'KubernetesAPIApprovalPolicyConformant',
    status: state === 'approved' ? 'True' : 'False',
    reason: REASONS[state],
    message: text,
  };
};
