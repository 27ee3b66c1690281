// Kinds that change the API itself: webhooks, certificate requests, aggregated services.

import { timestamp } from '../../clock/clock.ts';
import type {
  CertificateSigningRequest,
  MutatingWebhook,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { checkMatchConditions, checkRule, policyStrategies } from './admission-policies.ts';
import { apiServiceStrategy } from './api-service.ts';
import { at, type Causes, checkPort, checkSelector, invalidEach, oneOf, required } from './checks.ts';
import { loadExpressions } from './expressions.ts';
import { mutatingPolicyStrategies } from './mutating-policies.ts';
import { dns1035Label, dnsSubdomain, pathSegment, qualifiedDomain } from './names.ts';
import { checkCertificate, checkConditions, keepApproval, stampConditions } from './request-conditions.ts';
import { checkSignerName } from './signer-name.ts';

type Webhook = ValidatingWebhook & MutatingWebhook;

const FORM = '; desired format: https://host[/path]';

/** Each fault shows the part of the text that it is of. */
const checkUrl = (out: Causes, path: string, text: string): void => {
  const refuse = (bad: boolean, part: string, detail: string) => {
    if (bad) out.push(cause.invalid(path, part, detail));
  };
  if (!URL.canParse(text)) {
    // What Go reads as a path alone lacks a scheme and a host; a colon before any slash it does not read at all.
    const readable = !/^[^/?#]*:/.test(text) && !/%(?![0-9A-Fa-f]{2})/.test(text);
    if (!readable) out.push(cause.required(path, `url must be a valid URL${FORM}`));
    refuse(readable, '', `'https' is the only allowed URL scheme${FORM}`);
    refuse(readable && !/^\/\/[^/?#]/.test(text), '', `host must be specified${FORM}`);
    return;
  }
  const url = new URL(text);
  refuse(url.protocol !== 'https:', url.protocol.slice(0, -1), `'https' is the only allowed URL scheme${FORM}`);
  refuse(url.host === '', '', `host must be specified${FORM}`);
  const user = url.password === '' ? url.username : `${url.username}:${url.password}`;
  refuse(user !== '', user, 'user information is not permitted in the URL');
  refuse(url.hash !== '', url.hash.slice(1), 'fragments are not permitted in the URL');
  refuse(url.search !== '', url.search.slice(1), 'query parameters are not permitted in the URL');
};

/** Where a webhook is called: exactly one of an https URL and a service. */
export const checkWebhookClient = (out: Causes, path: string, client: Webhook['clientConfig'] | undefined): void => {
  const { url, service } = client ?? {};
  if ((url === undefined) === (service === undefined)) {
    out.push(cause.required(path, 'exactly one of url or service is required'));
  } else if (url !== undefined) checkUrl(out, `${path}.url`, url);
  else if (service) {
    // Upstream mixes the two up: a missing namespace is told of the name.
    required(out, `${path}.service.name`, service.namespace);
    required(out, `${path}.service.namespace`, service.name);
    if (service.port !== undefined) checkPort(out, `${path}.service.port`, service.port);
    checkServicePath(out, `${path}.service.path`, service.path ?? '');
  }
};

/** A path of a webhook's service: segments that are subdomains. */
const checkServicePath = (out: Causes, path: string, value: string): void => {
  if (value === '' || value === '/') return;
  const refuse = (detail: string) => out.push(cause.invalid(path, value, detail));
  if (value === '//') {
    refuse('segment[0] may not be empty');
    return;
  }
  if (!value.startsWith('/')) refuse("must start with a '/'");
  const segments = value.slice(1).replace(/\/$/, '').split('/');
  segments.forEach((segment, i) => {
    if (segment === '') refuse(`segment[${i}] may not be empty`);
    else for (const message of dnsSubdomain(segment)) refuse(`segment[${i}]: ${message}`);
  });
};

const checkWebhook = (out: Causes, path: string, hook: Webhook): void => {
  if (required(out, `${path}.name`, hook.name))
    invalidEach(out, `${path}.name`, hook.name, qualifiedDomain(hook.name, 3));
  hook.rules?.forEach((rule, i) => {
    checkRule(out, at(`${path}.rules`, i), rule);
  });
  oneOf(out, `${path}.failurePolicy`, hook.failurePolicy, ['Fail', 'Ignore']);
  oneOf(out, `${path}.matchPolicy`, hook.matchPolicy, ['Equivalent', 'Exact']);
  if (!hook.sideEffects) out.push(cause.required(`${path}.sideEffects`, 'must specify one of None, NoneOnDryRun'));
  else oneOf(out, `${path}.sideEffects`, hook.sideEffects, ['None', 'NoneOnDryRun']);
  const seconds = hook.timeoutSeconds;
  if (seconds !== undefined && (seconds < 1 || seconds > 30)) {
    out.push(cause.invalid(`${path}.timeoutSeconds`, seconds, 'the timeout value must be between 1 and 30 seconds'));
  }
  checkSelector(out, `${path}.namespaceSelector`, hook.namespaceSelector);
  checkSelector(out, `${path}.objectSelector`, hook.objectSelector);
  checkWebhookClient(out, `${path}.clientConfig`, hook.clientConfig);
  const versions = hook.admissionReviewVersions ?? [];
  const where = `${path}.admissionReviewVersions`;
  if (versions.length === 0) out.push(cause.required(where, 'must specify one of v1, v1beta1'));
  else if (!versions.some((version) => version === 'v1' || version === 'v1beta1')) {
    out.push(cause.invalid(where, versions, 'must include at least one of v1, v1beta1'));
  }
  versions.forEach((version, i) => {
    invalidEach(out, at(where, i), version, dns1035Label(version));
    if (versions.indexOf(version) < i) out.push(cause.invalid(at(where, i), version, 'duplicate version'));
  });
  oneOf(out, `${path}.reinvocationPolicy`, hook.reinvocationPolicy, ['IfNeeded', 'Never']);
  checkMatchConditions(out, `${path}.matchConditions`, hook.matchConditions);
};

const webhooks: Strategy = {
  ready: loadExpressions,
  validate: (object) => {
    const out: Causes = [];
    const names = new Set<string>();
    (object as ValidatingWebhookConfiguration).webhooks?.forEach((hook, i) => {
      const path = at('webhooks', i);
      checkWebhook(out, path, hook as Webhook);
      if (hook.name && names.has(hook.name)) out.push(cause.duplicate(`${path}.name`, hook.name));
      names.add(hook.name);
    });
    return out;
  },
};

const USAGES = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];

/** Whether base64 text holds a PEM certificate request. */
const isRequest = (base64: string): boolean => {
  const text = Buffer.from(base64, 'base64').toString('utf8');
  const m = /-----BEGIN CERTIFICATE REQUEST-----\s*([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----/.exec(text);
  const der = Buffer.from((m?.[1] ?? '').replace(/\s/g, ''), 'base64');
  return der.length > 8 && der[0] === 0x30;
};

const checkRequest: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const { spec } = object as CertificateSigningRequest;
  if (!isRequest(spec?.request ?? '')) {
    out.push(cause.invalid('spec.request', spec?.request ?? '', 'PEM block type must be CERTIFICATE REQUEST'));
  }
  const usages = spec?.usages ?? [];
  if (usages.length === 0) out.push(cause.required('spec.usages'));
  usages.forEach((usage, i) => {
    const where = at('spec.usages', i);
    oneOf(out, where, usage, USAGES);
    if (usages.indexOf(usage) < i) out.push(cause.duplicate(where, usage));
  });
  if (spec?.signerName === 'kubernetes.io/legacy-unknown') {
    out.push(
      cause.invalid('spec.signerName', spec.signerName, 'the legacy signerName is not allowed via this API version'),
    );
  } else checkSignerName(out, 'spec.signerName', spec?.signerName ?? '');
  const seconds = spec?.expirationSeconds;
  if (seconds !== undefined && seconds < 600) {
    out.push(
      cause.invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 600 seconds (10 minutes)'),
    );
  }
  return out;
};

const requests: Strategy = {
  prepareForCreate: (object, ctx) => {
    const csr = object as CertificateSigningRequest;
    csr.status = {};
    if (!csr.spec) return;
    csr.spec.username = ctx.user.username;
    if (ctx.user.uid) csr.spec.uid = ctx.user.uid;
    else delete csr.spec.uid;
    csr.spec.groups = [...ctx.user.groups];
    const extra = Object.entries(ctx.user.extra).map(([key, values]) => [key, [...values]] as [string, string[]]);
    if (extra.length > 0) csr.spec.extra = Object.fromEntries(extra);
    else delete csr.spec.extra;
  },
  prepareForUpdate: (next, old, ctx) => {
    // Nothing in the spec may change.
    (next as CertificateSigningRequest).spec = (old as CertificateSigningRequest).spec;
    if (ctx.subresource === 'status') keepApproval(next as CertificateSigningRequest, old as CertificateSigningRequest);
    stampConditions(next as CertificateSigningRequest, old as CertificateSigningRequest, timestamp(ctx.now));
  },
  validateName: pathSegment,
  validate: checkRequest,
  validateStatusUpdate: (next, old, ctx) => {
    const requests = [next as CertificateSigningRequest, old as CertificateSigningRequest] as const;
    return [...checkConditions(...requests, ctx.subresource === 'approval'), ...checkCertificate(...requests)];
  },
};

const ADMISSION = 'admissionregistration.k8s.io';
/** Strategies by `group/Kind`. */
export const registrationStrategies: Readonly<Record<string, Strategy>> = {
  [`${ADMISSION}/ValidatingWebhookConfiguration`]: webhooks,
  [`${ADMISSION}/MutatingWebhookConfiguration`]: webhooks,
  ...policyStrategies,
  ...mutatingPolicyStrategies,
  'certificates.k8s.io/CertificateSigningRequest': requests,
  'apiregistration.k8s.io/APIService': apiServiceStrategy,
};
