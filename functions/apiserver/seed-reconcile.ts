import type { ClusterRole, ClusterRoleBinding, ConfigMap } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';
import { type Reconciled, reconciledBinding, reconciledRole } from './authz/reconcile.ts';

/** What a default object that is there already becomes; undefined where it stays, 'again' where it has to be made anew. */
export type Reconcile = (existing: KubeObject, wanted: KubeObject) => Reconciled<KubeObject>;

const role: Reconcile = (existing, wanted) =>
  reconciledRole(existing as ClusterRole, wanted as ClusterRole) as Reconciled<KubeObject>;
const binding: Reconcile = (existing, wanted) =>
  reconciledBinding(existing as ClusterRoleBinding, wanted as ClusterRoleBinding) as Reconciled<KubeObject>;

/** What others are told to trust is what holds now; what somebody added stays. */
const configMap: Reconcile = (existing, wanted) => {
  const [found, data] = [(existing as ConfigMap).data ?? {}, (wanted as ConfigMap).data ?? {}];
  if (Object.entries(data).every(([name, value]) => found[name] === value)) return undefined;
  return { ...existing, data: { ...found, ...data } } as KubeObject;
};

const RBAC = 'rbac.authorization.k8s.io/v1';

/** By `apiVersion kind`. Default objects of other kinds are made where they are missing, and left as they are. */
export const reconcilers: Readonly<Record<string, Reconcile>> = {
  'v1 ConfigMap': configMap,
  [`${RBAC} Role`]: role,
  [`${RBAC} ClusterRole`]: role,
  [`${RBAC} RoleBinding`]: binding,
  [`${RBAC} ClusterRoleBinding`]: binding,
};
