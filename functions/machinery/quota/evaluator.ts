import type { KubeObject } from '../object.ts';
import type { Amounts } from './amounts.ts';

/** One scope of a quota: `spec.scopes` are those with the operator Exists. */
export interface QuotaScope {
  scopeName: string;
  operator: string;
  values?: readonly string[] | undefined;
}

/** A write as quota sees it. */
export interface QuotaWrite {
  operation: 'CREATE' | 'UPDATE';
  subresource: string;
  object: KubeObject;
  old?: KubeObject;
}

/** How objects of one resource type count against quotas. Pure; `now` is in milliseconds since the epoch. */
export interface QuotaEvaluator {
  /** Whether a limit of this name (`requests.cpu`, `count/pods`) is about these objects. */
  measures(limit: string): boolean;
  usage(object: KubeObject, now: number): Amounts;
  /** Whether a write may change what the object counts for. */
  handles(write: QuotaWrite): boolean;
  /** Whether the object is in a scope. Absent: it is in none, so quotas with scopes do not count these objects. */
  inScope?(scope: QuotaScope, object: KubeObject): boolean;
  /** What the object must say where these names are limited: the refusal, or undefined. */
  missing?(limits: readonly string[], object: KubeObject): string | undefined;
  /** Whether a stored change may have lowered the usage, so that quotas are counted anew. */
  replenishes?(next: KubeObject, old: KubeObject): boolean;
}

/** `=` on a map with at most one entry, as scope selectors ask it of a class name. */
export const matchesName = ({ operator, values = [] }: QuotaScope, name: string): boolean => {
  if (operator === 'Exists') return name !== '';
  if (operator === 'DoesNotExist') return name === '';
  if (operator === 'In') return name !== '' && values.includes(name);
  return operator === 'NotIn' && !(name !== '' && values.includes(name));
};
