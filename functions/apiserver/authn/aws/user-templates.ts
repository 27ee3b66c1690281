import type { CallerIdentity } from './caller-identity.ts';

/** What a username or a group of a mapping may name, as in aws-iam-authenticator. */
const values: Readonly<Record<string, (identity: CallerIdentity) => string>> = {
  AccountID: ({ account }) => account,
  SessionName: ({ sessionName }) => sessionName.replaceAll('@', '-'),
  SessionNameRaw: ({ sessionName }) => sessionName,
  AccessKeyID: ({ accessKeyId }) => accessKeyId,
  UserID: ({ principalId }) => principalId,
};

/** Needs a question to EC2, which nothing here asks. */
export const PRIVATE_DNS_NAME = '{{EC2PrivateDNSName}}';

/**
 * Fills a template in, in one pass: what a caller has chosen is never read as a template. Undefined where it names what is
 * not known of this caller: a session of a principal that has none, the DNS name of an instance.
 */
export const fillIn = (template: string, identity: CallerIdentity): string | undefined => {
  if (!template.includes('{{')) return template;
  if (template.includes(PRIVATE_DNS_NAME)) return undefined;
  let known = true;
  const filled = template.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name]?.(identity) : whole;
    if (!value) known = false;
    return value ?? '';
  });
  return known ? filled : undefined;
};
