/** Upstream's own rules for an AuthenticationConfiguration, in its words and with its paths. */

import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Program } from '../../../machinery/cel/environment.ts';
import { dns1123Subdomain } from '../../../machinery/names.ts';
import { type Cause, cause } from '../../../machinery/status.ts';
import { isServiceAccountIssuer } from '../issuer.ts';
import type {
  AuthenticationDocument,
  ClaimMappings,
  Issuer,
  JwtAuthenticator,
  PrefixedClaimOrExpression,
} from './document.ts';
import { compileExpression, type Purpose, readsClaim } from './expressions.ts';
import { parseUrl } from './urls.ts';

const AUTHENTICATORS_MAX = 64;
const BOTH = "claim and expression can't both be set";
const EITHER = 'claim or expression is required';

/** An expression that compiles, and what stands beside it. */
export interface Compiled {
  source: string;
  program: Program;
}

/** The programs of one authenticator. */
export interface Programs {
  username?: Compiled;
  groups?: Compiled;
  uid?: Compiled;
  extra: (Compiled & { key: string })[];
  claimRules: (Compiled & { message: string })[];
  userRules: (Compiled & { message: string })[];
}

interface Checking {
  causes: Cause[];
  programs: Programs;
  /** Whether the e-mail address is the user's name, and whether anything looks at its being verified. */
  email: { used: boolean; verified: boolean };
}

const checkUrl = (causes: Cause[], path: string, url: string): void => {
  const parts = parseUrl(url);
  if ('fault' in parts) {
    causes.push(cause.invalid(path, url, parts.fault));
    return;
  }
  const refuse = (detail: string) => void causes.push(cause.invalid(path, url, detail));
  if (parts.scheme !== 'https') refuse('URL scheme must be https');
  if (parts.hasUser) refuse('URL must not contain a username or password');
  if (parts.query) refuse('URL must not contain a query');
  if (parts.fragment) refuse('URL must not contain a fragment');
};

const withoutSlash = (url: string): string => url.replace(/\/+$/, '');

const checkUrls = (causes: Cause[], path: string, { url = '', discoveryURL = '' }: Issuer): void => {
  if (!url) causes.push(cause.required(`${path}.url`));
  else {
    if (isServiceAccountIssuer(url)) {
      const detail = `URL must not overlap with disallowed issuers: [${url}]`;
      causes.push(cause.invalid(`${path}.url`, url, detail));
    }
    checkUrl(causes, `${path}.url`, url);
  }
  if (!discoveryURL) return;
  const at = `${path}.discoveryURL`;
  if (url && withoutSlash(url) === withoutSlash(discoveryURL))
    causes.push(cause.invalid(at, discoveryURL, 'discoveryURL must be different from URL'));
  checkUrl(causes, at, discoveryURL);
};

const checkAudiences = (causes: Cause[], path: string, { audiences = [], audienceMatchPolicy = '' }: Issuer): void => {
  const at = `${path}.audiences`;
  if (audiences.length === 0) {
    causes.push(cause.required(at, `at least one ${at} is required`));
    return;
  }
  audiences.forEach((audience, i) => {
    if (!audience) causes.push(cause.required(`${at}[${i}]`));
    if (audiences.indexOf(audience) < i) causes.push(cause.duplicate(`${at}[${i}]`, audience));
  });
  const any = audienceMatchPolicy === 'MatchAny';
  const refuse = (detail: string) =>
    void causes.push(cause.invalid(`${path}.audienceMatchPolicy`, audienceMatchPolicy, detail));
  if (audiences.length > 1 && !any) refuse('audienceMatchPolicy must be MatchAny for multiple audiences');
  if (audiences.length === 1 && audienceMatchPolicy && !any)
    refuse('audienceMatchPolicy must be empty or MatchAny for single audience');
};

/** Why a text is no list of certificates in PEM. */
const authorityFault = (pem: string): string | undefined => {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) return 'data does not contain any valid RSA or ECDSA certificates';
  try {
    for (const block of blocks) new X509Certificate(block);
    createSecureContext({ ca: pem });
    return undefined;
  } catch {
    return 'x509: malformed certificate';
  }
};

const checkIssuer = (causes: Cause[], path: string, issuer: Issuer): void => {
  checkUrls(causes, path, issuer);
  checkAudiences(causes, path, issuer);
  const { certificateAuthority = '', egressSelectorType = '' } = issuer;
  const fault = certificateAuthority && authorityFault(certificateAuthority);
  if (fault) causes.push(cause.invalid(`${path}.certificateAuthority`, '<omitted>', fault));
  if (!egressSelectorType) return;
  const at = `${path}.egressSelectorType`;
  if (['controlplane', 'cluster'].includes(egressSelectorType))
    causes.push(cause.forbidden(at, `there is no egress selector for "${egressSelectorType}" here`));
  else causes.push(cause.invalid(at, egressSelectorType, 'egress selector must be either controlplane or cluster'));
};

const compile = (checking: Checking, path: string, source: string, purpose: Purpose): Compiled | undefined => {
  const made = compileExpression(source, purpose);
  if ('program' in made) return { source, program: made.program };
  checking.causes.push(cause.invalid(path, source, made.fault));
  return undefined;
};

const looksAtVerified = (checking: Checking, source: string): void => {
  if (readsClaim(source, 'email_verified')) checking.email.verified = true;
};

const checkClaimRules = (
  checking: Checking,
  path: string,
  rules: JwtAuthenticator['claimValidationRules'] = [],
): void => {
  const { causes, programs } = checking;
  const claims = new Set<string>();
  const expressions = new Set<string>();
  rules.forEach(({ claim = '', requiredValue = '', expression = '', message = '' }, i) => {
    const at = `${path}[${i}]`;
    if (claim && expression) causes.push(cause.invalid(at, claim, BOTH));
    else if (!claim && !expression) causes.push(cause.required(at, EITHER));
    else if (claim) {
      if (message) causes.push(cause.invalid(`${at}.message`, message, 'may not be specified when claim is set'));
      if (claims.has(claim)) causes.push(cause.duplicate(`${at}.claim`, claim));
      claims.add(claim);
    } else {
      const detail = 'may not be specified when expression is set';
      if (requiredValue) causes.push(cause.invalid(`${at}.requiredValue`, requiredValue, detail));
      if (expressions.has(expression)) {
        causes.push(cause.duplicate(`${at}.expression`, expression));
        return;
      }
      expressions.add(expression);
      const made = compile(checking, `${at}.expression`, expression, 'claim-rule');
      if (!made) return;
      programs.claimRules.push({ ...made, message });
      looksAtVerified(checking, expression);
    }
  });
};

const checkPrefixed = (
  checking: Checking,
  path: string,
  { claim = '', prefix, expression = '' }: PrefixedClaimOrExpression = {},
  required: boolean,
): Compiled | undefined => {
  const { causes } = checking;
  if (claim && expression) causes.push(cause.invalid(path, '', BOTH));
  else if (expression) {
    const detail = 'may not be specified when expression is set';
    if (prefix !== undefined) causes.push(cause.invalid(`${path}.prefix`, prefix, detail));
    return compile(checking, `${path}.expression`, expression, 'mapping');
  } else if (claim) {
    const detail = 'prefix is required when claim is set. It can be set to an empty string to disable prefixing';
    if (prefix === undefined) causes.push(cause.required(`${path}.prefix`, detail));
  } else if (required) causes.push(cause.required(path, EITHER));
  return undefined;
};

const isReserved = (key: string): boolean =>
  key.includes('/') && /(^|\.)(kubernetes|k8s)\.io$/.test(key.slice(0, key.indexOf('/')));

const PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const isPath = new RegExp(`^${PATH}$`);

/** A key is a domain and a path. */
const keyCauses = (at: string, key: string): Cause[] => {
  if (!key) return [cause.required(at)];
  const slash = key.indexOf('/');
  const [domain, path] = [key.slice(0, slash), key.slice(slash + 1)];
  if (slash <= 0 || !path) return [cause.invalid(at, key, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  const causes = dns1123Subdomain(domain).map((message) => cause.invalid(at, domain, message));
  if (!isPath.test(path)) causes.push(cause.invalid(at, path, `Invalid path (regex used for validation is '${PATH}')`));
  return causes;
};

const checkExtra = (checking: Checking, path: string, extra: ClaimMappings['extra'] = []): void => {
  const { causes, programs } = checking;
  const keys = new Set<string>();
  extra.forEach(({ key = '', valueExpression = '' }, i) => {
    const at = `${path}[${i}]`;
    const refuse = (detail: string) => void causes.push(cause.invalid(`${at}.key`, key, detail));
    causes.push(...keyCauses(`${at}.key`, key));
    if (key !== key.toLowerCase()) refuse('must be lowercase');
    if (isReserved(key)) refuse('k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use');
    if (keys.has(key)) {
      causes.push(cause.duplicate(`${at}.key`, key));
      return;
    }
    keys.add(key);
    if (!valueExpression) {
      causes.push(cause.required(`${at}.valueExpression`));
      return;
    }
    const made = compile(checking, `${at}.valueExpression`, valueExpression, 'mapping');
    if (!made) return;
    programs.extra.push({ ...made, key });
    looksAtVerified(checking, valueExpression);
  });
};

const VERIFIED =
  'claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression';

const checkMappings = (checking: Checking, path: string, mappings: ClaimMappings): void => {
  const { causes, programs, email } = checking;
  const { username, groups, uid = {}, extra } = mappings;
  const name = checkPrefixed(checking, `${path}.username`, username, true);
  if (name) {
    programs.username = name;
    email.used = readsClaim(name.source, 'email');
    looksAtVerified(checking, name.source);
  }
  const of = checkPrefixed(checking, `${path}.groups`, groups, false);
  if (of) programs.groups = of;
  if (uid.claim && uid.expression) causes.push(cause.invalid(`${path}.uid`, '', BOTH));
  else if (uid.expression) {
    const made = compile(checking, `${path}.uid.expression`, uid.expression, 'mapping');
    if (made) programs.uid = made;
  }
  checkExtra(checking, `${path}.extra`, extra);
  if (email.used && !email.verified)
    causes.push(cause.invalid(`${path}.username.expression`, username?.expression ?? '', VERIFIED));
};

const checkUserRules = (
  checking: Checking,
  path: string,
  rules: JwtAuthenticator['userValidationRules'] = [],
): void => {
  const { causes, programs } = checking;
  const seen = new Set<string>();
  rules.forEach(({ expression = '', message = '' }, i) => {
    const at = `${path}[${i}].expression`;
    if (!expression) causes.push(cause.required(at));
    else if (seen.has(expression)) causes.push(cause.duplicate(at, expression));
    else {
      seen.add(expression);
      const made = compile(checking, at, expression, 'user-rule');
      if (made) programs.userRules.push({ ...made, message });
    }
  });
};

const checkAuthenticator = (path: string, given: JwtAuthenticator): Checking => {
  const programs: Programs = { extra: [], claimRules: [], userRules: [] };
  const checking: Checking = { causes: [], programs, email: { used: false, verified: false } };
  checkIssuer(checking.causes, `${path}.issuer`, given.issuer ?? {});
  checkClaimRules(checking, `${path}.claimValidationRules`, given.claimValidationRules);
  checkMappings(checking, `${path}.claimMappings`, given.claimMappings ?? {});
  checkUserRules(checking, `${path}.userValidationRules`, given.userValidationRules);
  return checking;
};

/** What is wrong with a document, and the programs of its authenticators. `loadExpressions` was awaited before. */
export const validateAuthentication = (
  document: AuthenticationDocument,
  root = '',
): { causes: Cause[]; programs: Programs[] } => {
  const { jwt = [], anonymous } = document;
  if (jwt.length > AUTHENTICATORS_MAX)
    return { causes: [cause.tooMany(`${root}jwt`, jwt.length, AUTHENTICATORS_MAX)], programs: [] };
  const causes: Cause[] = [];
  const programs: Programs[] = [];
  const urls = new Set<string>();
  const discoveryUrls = new Set<string>();
  jwt.forEach((one, i) => {
    const path = `${root}jwt[${i}]`;
    const checked = checkAuthenticator(path, one);
    causes.push(...checked.causes);
    programs.push(checked.programs);
    const { url = '', discoveryURL = '' } = one.issuer ?? {};
    if (urls.has(url)) causes.push(cause.duplicate(`${path}.issuer.url`, url));
    urls.add(url);
    if (!discoveryURL) return;
    if (discoveryUrls.has(discoveryURL)) causes.push(cause.duplicate(`${path}.issuer.discoveryURL`, discoveryURL));
    discoveryUrls.add(discoveryURL);
  });
  const { enabled = false, conditions = [] } = anonymous ?? {};
  if (!enabled && conditions.length > 0) {
    const shown = conditions.map(({ path = '' }) => ({ Path: path }));
    const detail = 'enabled should be set to true when conditions are defined';
    causes.push(cause.invalid(`${root}anonymous.conditions`, shown, detail));
  }
  return { causes, programs };
};
