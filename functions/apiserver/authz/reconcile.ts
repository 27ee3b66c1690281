import { isDeepStrictEqual } from 'node:util';
import type { ClusterRole, ClusterRoleBinding, PolicyRule } from '../../machinery/kinds.d.ts';
import { uncoveredRules } from './rbac-cover.ts';

/**
 * Default roles and bindings that were changed since they were made: what they lack comes back, what was added to them
 * stays (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#auto-reconciliation).
 */

/** `again`: its role cannot be changed, so the binding is made anew. Undefined: it is as it should be. */
export type Reconciled<T> = T | 'again' | undefined;

type Metadata = ClusterRole['metadata'];

/** Whoever sets it to 'false' keeps the object as it is. */
export const AUTO_UPDATE = 'rbac.authorization.kubernetes.io/autoupdate';
const isProtected = (metadata: Metadata): boolean => metadata?.annotations?.[AUTO_UPDATE] === 'false';

/** Labels and annotations that are missing; a value that was changed stays. */
const withMarks = (existing: Metadata, wanted: Metadata): Metadata => {
  const labels = { ...wanted?.labels, ...existing?.labels };
  const annotations = { ...wanted?.annotations, ...existing?.annotations };
  return { ...existing, labels, annotations };
};

const marksDiffer = (a: Metadata, b: Metadata): boolean =>
  !isDeepStrictEqual({ ...a?.labels }, { ...b?.labels }) ||
  !isDeepStrictEqual({ ...a?.annotations }, { ...b?.annotations });

type Selectors = NonNullable<NonNullable<ClusterRole['aggregationRule']>['clusterRoleSelectors']>;

const lacking = <T>(held: readonly T[], wanted: readonly T[]): T[] =>
  wanted.filter((one, i) => {
    const isHeld = held.some((other) => isDeepStrictEqual(other, one));
    return !isHeld && wanted.findIndex((other) => isDeepStrictEqual(other, one)) === i;
  });

/** A Role or ClusterRole. The rules of one that gathers others' are its controller's to fill in. */
export const reconciledRole = (existing: ClusterRole, wanted: ClusterRole): Reconciled<ClusterRole> => {
  if (isProtected(existing.metadata)) return undefined;
  const metadata = withMarks(existing.metadata, wanted.metadata);
  const rules = (existing.rules ?? []) as PolicyRule[];
  const missing = wanted.aggregationRule ? [] : uncoveredRules(rules, (wanted.rules ?? []) as PolicyRule[]);
  const selectors: Selectors = existing.aggregationRule?.clusterRoleSelectors ?? [];
  const missingSelectors = lacking(selectors, wanted.aggregationRule?.clusterRoleSelectors ?? []);
  const gathersUnasked = !wanted.aggregationRule && existing.aggregationRule !== undefined;
  const isRight = missing.length === 0 && missingSelectors.length === 0 && !gathersUnasked;
  if (isRight && !marksDiffer(existing.metadata, metadata)) return undefined;
  const { aggregationRule: _gathered, ...rest } = existing;
  return {
    ...rest,
    metadata,
    ...(wanted.aggregationRule && {
      aggregationRule: { ...existing.aggregationRule, clusterRoleSelectors: [...selectors, ...missingSelectors] },
    }),
    rules: [...rules, ...missing],
  };
};

/** A RoleBinding or ClusterRoleBinding. */
export const reconciledBinding = (
  existing: ClusterRoleBinding,
  wanted: ClusterRoleBinding,
): Reconciled<ClusterRoleBinding> => {
  if (isProtected(existing.metadata)) return undefined;
  if (!isDeepStrictEqual({ ...existing.roleRef }, { ...wanted.roleRef })) return 'again';
  const metadata = withMarks(existing.metadata, wanted.metadata);
  const subjects = existing.subjects ?? [];
  const missing = lacking(subjects, wanted.subjects ?? []);
  if (missing.length === 0 && !marksDiffer(existing.metadata, metadata)) return undefined;
  return {
    ...existing,
    metadata,
    ...(subjects.length + missing.length > 0 && { subjects: [...subjects, ...missing] }),
  };
};
