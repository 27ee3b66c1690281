// Conditions of a CertificateSigningRequest: who may set which, and when they were set.
import type { CertificateSigningRequest } from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import { at, type Causes, same } from './checks.ts';

type Condition = NonNullable<NonNullable<CertificateSigningRequest['status']>['conditions']>[number];

const PATH = 'status.conditions';
const conditionsOf = (csr: CertificateSigningRequest): Condition[] => csr.status?.conditions ?? [];

/** Fills in the times of conditions that came without; a transition keeps its time while type and status stay. */
export const stampConditions = (next: CertificateSigningRequest, old: CertificateSigningRequest, now: string): void => {
  if (!next.status?.conditions) return;
  next.status = {
    ...next.status,
    conditions: conditionsOf(next).map((condition) => {
      const before = conditionsOf(old).find((c) => c.type === condition.type && c.status === condition.status);
      return {
        ...condition,
        lastUpdateTime: condition.lastUpdateTime ?? now,
        lastTransitionTime: condition.lastTransitionTime ?? before?.lastTransitionTime ?? now,
      };
    }),
  };
};

const checkEach = (out: Causes, csr: CertificateSigningRequest): void => {
  for (const [i, { type, status }] of conditionsOf(csr).entries()) {
    if (!type) out.push(cause.required(`${at(PATH, i)}.type`));
    const allowed = ['Approved', 'Denied', 'Failed'].includes(type) ? ['True'] : ['False', 'True', 'Unknown'];
    if (!status) out.push(cause.required(`${at(PATH, i)}.status`));
    else if (!allowed.includes(status)) out.push(cause.notSupported(`${at(PATH, i)}.status`, status, allowed));
  }
};

/**
 * What a write of status or approval may not do: Approved, Denied and Failed never go, and only the approval endpoint
 * sets the first two, of which there may be one.
 */
export const checkConditions = (
  next: CertificateSigningRequest,
  old: CertificateSigningRequest,
  approval: boolean,
): Causes => {
  const out: Causes = [];
  checkEach(out, next);
  const find = (csr: CertificateSigningRequest, type: string) => conditionsOf(csr).find((c) => c.type === type);
  for (const type of ['Approved', 'Denied', 'Failed']) {
    const [before, after] = [find(old, type), find(next, type)];
    if (before && !after) out.push(cause.forbidden(PATH, `updates may not remove a condition of type "${type}"`));
    else if (!approval && type !== 'Failed' && after && !before)
      out.push(cause.forbidden(PATH, `updates may not add a condition of type "${type}"`));
    else if (before && after && type !== 'Failed' && !approval && !same(before, after))
      out.push(cause.forbidden(PATH, `updates may not modify a condition of type "${type}"`));
  }
  if (find(next, 'Approved') && find(next, 'Denied'))
    out.push(cause.invalid(PATH, 'Denied', 'Approved and Denied conditions are mutually exclusive'));
  return out;
};
