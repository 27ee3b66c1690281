// Conditions of a CertificateSigningRequest: who may set which, and when they were set.
import { X509Certificate } from 'node:crypto';
import type { CertificateSigningRequest } from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import { at, type Causes } from './checks.ts';

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

const checkEach = (out: Causes, csr: CertificateSigningRequest, repeats: boolean): void => {
  const seen = new Set<string>();
  for (const [i, { type, status }] of conditionsOf(csr).entries()) {
    if (!type) out.push(cause.required(`${at(PATH, i)}.type`));
    const allowed = GUARDED.includes(type) ? ['True'] : ['False', 'True', 'Unknown'];
    if (!status) out.push(cause.required(`${at(PATH, i)}.status`));
    else if (!allowed.includes(status)) out.push(cause.notSupported(`${at(PATH, i)}.status`, status, allowed));
    const other = type === 'Approved' ? 'Denied' : type === 'Denied' ? 'Approved' : '';
    if (other && seen.has(other))
      out.push(cause.invalid(PATH, type, 'Approved and Denied conditions are mutually exclusive'));
    if (!repeats && seen.has(type)) out.push(cause.duplicate(`${at(PATH, i)}.type`, type));
    seen.add(type);
  }
};

const GUARDED = ['Approved', 'Denied', 'Failed'];
const hasRepeats = (csr: CertificateSigningRequest): boolean =>
  new Set(conditionsOf(csr).map((c) => c.type)).size < conditionsOf(csr).length;

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
  checkEach(out, next, hasRepeats(old));
  const find = (csr: CertificateSigningRequest, type: string) => conditionsOf(csr).filter((c) => c.type === type);
  for (const type of GUARDED)
    if (find(next, type).length < find(old, type).length)
      out.push(cause.forbidden(PATH, `updates may not remove a condition of type "${type}"`));
  if (approval) return out;
  for (const type of ['Approved', 'Denied'])
    if (find(next, type).length > find(old, type).length)
      out.push(cause.forbidden(PATH, `updates may not add a condition of type "${type}"`));
  return out;
};

/** A status write cannot change the conditions of approval: they stay as they are where none came or went. */
export const keepApproval = (next: CertificateSigningRequest, old: CertificateSigningRequest): void => {
  const conditions = [...conditionsOf(next)];
  for (const type of ['Approved', 'Denied']) {
    const before = conditionsOf(old).filter((c) => c.type === type);
    if (before.length === 0 || conditions.filter((c) => c.type === type).length !== before.length) continue;
    for (const [i, condition] of conditions.entries())
      if (condition.type === type) conditions[i] = before.shift() ?? condition;
  }
  if (next.status?.conditions) next.status = { ...next.status, conditions };
};

const BLOCK = /-----BEGIN ([^-]*)-----\r?\n([\s\S]*?)-----END \1-----/g;

/** What is wrong with an issued certificate's bytes: PEM blocks of X.509 certificates without headers. */
const certificateFault = (text: string): string | undefined => {
  let blocks = 0;
  for (const [whole, type, body = ''] of text.matchAll(BLOCK)) {
    if (type !== 'CERTIFICATE') return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`;
    if (body.includes(':')) return 'no PEM block headers are permitted';
    try {
      new X509Certificate(whole);
    } catch {
      return 'x509: malformed certificate';
    }
    blocks++;
  }
  return blocks > 0 ? undefined : 'must contain at least one CERTIFICATE PEM block';
};

/** Checks what the status endpoint writes to `status.certificate`, which is base64 here. */
export const checkCertificate = (next: CertificateSigningRequest, old: CertificateSigningRequest): Causes => {
  const [after, before] = [next.status?.certificate, old.status?.certificate];
  if (after === before) return [];
  const out: Causes = [];
  const fault = after && certificateFault(Buffer.from(after, 'base64').toString('latin1'));
  if (fault) out.push(cause.invalid('status.certificate', '<certificate data>', fault));
  if (before) out.push(cause.forbidden('status.certificate', 'updates may not modify existing certificate content'));
  return out;
};
