// Projected volumes and the files of the downward API.
import type {
  ClusterTrustBundleProjection,
  DownwardAPIVolumeFile,
  PodCertificateProjection,
  ProjectedVolumeSource,
  ServiceAccountTokenProjection,
  VolumeProjection,
} from '../../../machinery/kinds.d.ts';
import { cause } from '../../../machinery/status.ts';
import { at, type Causes, checkSelector, invalidEach, oneOf, required } from '../checks.ts';
import { dnsSubdomain } from '../names.ts';
import { checkSignerName } from '../signer-name.ts';
import { checkFieldRef, checkResourceRef } from './env.ts';
import { checkMode, nonReservedPath } from './paths.ts';

/** One file of a downward API volume; upstream reports at the volume, not at the item. */
export const checkDownwardFile = (out: Causes, path: string, file: DownwardAPIVolumeFile): void => {
  required(out, `${path}.path`, file.path);
  nonReservedPath(out, `${path}.path`, file.path ?? '');
  if (file.fieldRef) {
    checkFieldRef(out, `${path}.fieldRef`, file.fieldRef, 'volume');
    if (file.resourceFieldRef) {
      out.push(cause.invalid(path, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
    }
  } else if (file.resourceFieldRef) checkResourceRef(out, `${path}.resourceFieldRef`, file.resourceFieldRef, 'volume');
  else out.push(cause.required(path, 'one of fieldRef and resourceFieldRef is required'));
  checkMode(out, `${path}.mode`, file.mode);
};

/** Remembers the paths that were projected and reports one that comes twice, at the volume. */
type Claim = (path: string | undefined, value: unknown) => void;

const checkToken = (out: Causes, volume: string, path: string, token: ServiceAccountTokenProjection): void => {
  const seconds = token.expirationSeconds ?? 3600;
  if (seconds < 600) {
    out.push(cause.invalid(`${path}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'));
  }
  if (seconds > 2 ** 32) {
    out.push(
      cause.invalid(`${path}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'),
    );
  }
  if (required(out, `${volume}.path`, token.path)) nonReservedPath(out, `${volume}.path`, token.path);
};

const checkTrust = (out: Causes, path: string, bundle: ClusterTrustBundleProjection, claim: Claim): void => {
  const { name, signerName } = bundle;
  if (name !== undefined && signerName !== undefined) {
    out.push(cause.invalid(path, bundle, 'only one of name and signerName may be used'));
  } else if (name !== undefined) {
    required(out, `${path}.name`, name, 'must be a valid object name');
    const last = name.slice(name.lastIndexOf(':') + 1);
    invalidEach(out, `${path}.name`, name, dnsSubdomain(last));
    if (bundle.labelSelector) {
      out.push(cause.invalid(`${path}.labelSelector`, bundle.labelSelector, 'must be unset if name is specified'));
    }
  } else if (signerName !== undefined) {
    required(out, `${path}.signerName`, signerName, 'must be a valid signer name');
    checkSignerName(out, `${path}.signerName`, signerName);
    checkSelector(out, `${path}.labelSelector`, bundle.labelSelector);
  } else out.push(cause.required(path, 'either name or signerName must be specified'));
  required(out, `${path}.path`, bundle.path);
  nonReservedPath(out, `${path}.path`, bundle.path ?? '');
  claim(bundle.path, bundle.path);
};

const KEY_TYPES = ['RSA3072', 'RSA4096', 'ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519'];

const checkCertificate = (out: Causes, path: string, c: PodCertificateProjection, claim: Claim): void => {
  checkSignerName(out, `${path}.signerName`, c.signerName ?? '');
  oneOf(out, `${path}.keyType`, c.keyType ?? '', KEY_TYPES);
  const seconds = c.maxExpirationSeconds;
  const where = `${path}.maxExpirationSeconds`;
  const most = /(^|\.)kubernetes\.io\//.test(c.signerName ?? '') ? 86400 : 91 * 86400;
  if (seconds !== undefined && seconds < 3600) out.push(cause.invalid(where, seconds, 'must be >= 3600'));
  if (seconds !== undefined && seconds > most) out.push(cause.invalid(where, seconds, `must be <= ${most}`));
  let paths = 0;
  for (const field of ['credentialBundlePath', 'keyPath', 'certificateChainPath'] as const) {
    const value = c[field];
    if (!value) continue;
    paths++;
    nonReservedPath(out, `${path}.${field}`, value);
    claim(value, value);
  }
  const detail = 'specify at least one of credentialBundlePath, keyPath, and certificateChainPath';
  if (paths === 0) out.push(cause.required(path, detail));
};

const checkKeyed = (out: Causes, path: string, source: VolumeProjection['secret'], claim: Claim): void => {
  required(out, `${path}.name`, source?.name);
  (source?.items ?? []).forEach((item, i) => {
    const where = at(`${path}.items`, i);
    required(out, `${where}.key`, item.key);
    required(out, `${where}.path`, item.path);
    nonReservedPath(out, `${where}.path`, item.path ?? '');
    checkMode(out, `${where}.mode`, item.mode);
    if (item.path) claim(item.path, source?.name);
  });
};

/** projected: every source is of one type, and no path comes twice. */
export const checkProjected = (out: Causes, path: string, projected: ProjectedVolumeSource): void => {
  checkMode(out, `${path}.defaultMode`, projected.defaultMode);
  const paths = new Set<string>();
  const claim: Claim = (value, shown) => {
    if (value !== undefined && paths.has(value)) out.push(cause.invalid(path, shown, 'conflicting duplicate paths'));
    if (value !== undefined) paths.add(value);
  };
  projected.sources?.forEach((source, i) => {
    const where = at(`${path}.sources`, i);
    let types = 0;
    for (const key in source) if (source[key as keyof VolumeProjection] !== undefined) types++;
    if (source.secret) checkKeyed(out, `${where}.secret`, source.secret, claim);
    if (source.configMap) checkKeyed(out, `${where}.configMap`, source.configMap, claim);
    for (const file of source.downwardAPI?.items ?? []) {
      checkDownwardFile(out, `${where}.downwardAPI`, file);
      if (file.path) claim(file.path, file.path);
    }
    if (source.serviceAccountToken) {
      checkToken(out, path, `${where}.serviceAccountToken`, source.serviceAccountToken);
    }
    if (source.clusterTrustBundle) checkTrust(out, `${where}.clusterTrustBundle`, source.clusterTrustBundle, claim);
    if (source.podCertificate) checkCertificate(out, `${where}.podCertificate`, source.podCertificate, claim);
    if (types > 1) out.push(cause.forbidden(where, 'may not specify more than 1 volume type per source'));
  });
};
