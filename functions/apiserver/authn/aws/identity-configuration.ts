import { X509Certificate } from 'node:crypto';
import * as z from 'zod';
import { type AccessEntry, AUTHENTICATION_MODES, type AuthenticationMode, principalKey } from './access-entry.ts';
import { accessEntrySchema } from './access-entry-schema.ts';
import type { StsPlaces } from './presigned-token.ts';
import { PARTITION_NAMES } from './sts-hosts.ts';

/** Which STS is asked; of the whole deployment. */
export interface StsSettings extends StsPlaces {
  /** PEM of the authorities of `endpoint`. */
  certificateAuthority?: string;
}

/** skiff.dev/v1 AWSIdentityConfiguration: that, and how, principals of AWS come into the clusters of the operator. */
export interface AwsIdentity {
  /** What callers sign for: the id of the cluster `default`, and with `.system` behind it of `system`. */
  clusterId: string;
  authenticationMode: AuthenticationMode;
  accessEntries: readonly AccessEntry[];
  /** Principals of other accounts do not come in; all where absent. */
  accounts?: readonly string[];
  sts: StsSettings;
}

/** As EKS' names of clusters: no dot, which stands before what is put behind an id. */
export const CLUSTER_ID = /^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$/;

const origin = (text: string): string | undefined => {
  try {
    const url = new URL(text);
    const bare = url.pathname === '/' && !url.search && !url.hash && !url.username && !url.password;
    return bare && ['http:', 'https:'].includes(url.protocol) ? url.origin : undefined;
  } catch {
    return undefined;
  }
};

const isCertificate = (pem: string): boolean => {
  try {
    return new X509Certificate(pem).ca;
  } catch {
    return false;
  }
};

const sts = z
  .strictObject({
    endpoint: z
      .string()
      .refine((text) => origin(text) !== undefined, 'must be the URL of a host, without a path')
      .transform((text) => origin(text) ?? '')
      .optional(),
    certificateAuthority: z.string().refine(isCertificate, 'must be the PEM of an authority').optional(),
    partition: z.enum(PARTITION_NAMES as [string, ...string[]]).optional(),
    regions: z.array(z.string().min(1)).min(1).optional(),
  })
  .refine((one) => one.endpoint !== undefined || one.certificateAuthority === undefined, {
    message: 'is only for an endpoint of your own',
    path: ['certificateAuthority'],
  });

const document = z.strictObject({
  apiVersion: z.literal('skiff.dev/v1'),
  kind: z.literal('AWSIdentityConfiguration'),
  clusterId: z.string().regex(CLUSTER_ID, 'must be letters, digits, "-" and "_"'),
  authenticationMode: z.enum(AUTHENTICATION_MODES).optional(),
  accessEntries: z
    .array(accessEntrySchema)
    .max(1_000)
    .refine(
      (entries) => new Set(entries.map((entry) => principalKey(entry.principalArn))).size === entries.length,
      'a principal has two entries',
    )
    .optional(),
  accounts: z
    .array(z.string().regex(/^\d{12}$/, 'must be 12 digits'))
    .min(1)
    .optional(),
  sts: sts.optional(),
});

const defined = <T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as never;

/** Reads the document. Throws an error that names the field. */
export const parseAwsIdentity = (given: unknown): AwsIdentity => {
  const { data, error } = document.safeParse(given);
  if (!data) {
    const [issue] = error.issues;
    throw new Error(`${issue?.path.join('.') || 'document'}: ${issue?.message}`);
  }
  const { clusterId, authenticationMode = 'API_AND_CONFIG_MAP', accessEntries = [], accounts, sts: places = {} } = data;
  return { clusterId, authenticationMode, accessEntries, sts: defined(places), ...(accounts && { accounts }) };
};
