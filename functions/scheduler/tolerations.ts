import type { Taint, Toleration } from '../machinery/kinds.d.ts';

/** Whether a toleration covers a taint. Source: "Taints and Tolerations" of the Kubernetes documentation. */
export const tolerates = (toleration: Toleration, taint: Taint): boolean => {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  switch (toleration.operator || 'Equal') {
    case 'Exists':
      return true;
    case 'Equal':
      return Boolean(toleration.key) && (toleration.value ?? '') === (taint.value ?? '');
    case 'Lt':
      return numeric(taint.value) && numeric(toleration.value) && Number(taint.value) < Number(toleration.value);
    case 'Gt':
      return numeric(taint.value) && numeric(toleration.value) && Number(taint.value) > Number(toleration.value);
    default:
      return false;
  }
};

const numeric = (text: string | undefined): boolean => /^-?\d+$/.test(text ?? '');

export const toleratedBy = (tolerations: readonly Toleration[] | undefined, taint: Taint): boolean =>
  (tolerations ?? []).some((t) => tolerates(t, taint));
