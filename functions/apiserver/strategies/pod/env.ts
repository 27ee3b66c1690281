// Environment variables, and the field references that downward API volumes share with them.
import type {
  EnvFromSource,
  EnvVar,
  FileKeySelector,
  ObjectFieldSelector,
  ResourceFieldSelector,
} from '../../../machinery/kinds.d.ts';
import { canonicalQuantity, signOf } from '../../../machinery/quantity.ts';
import { cause } from '../../../machinery/status.ts';
import { at, type Causes, checkDnsLabel, invalidEach, required } from '../checks.ts';
import { configMapKey, dnsSubdomain, envName, qualifiedName } from '../names.ts';
import { noBacksteps } from './paths.ts';

const ENV_FIELDS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const VOLUME_FIELDS = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];
const KNOWN_FIELDS = new Set([...ENV_FIELDS, ...VOLUME_FIELDS]);
const SUBSCRIPT = /^(.*)\['([^']*)'\]$/;

/** A fieldRef; volumes may name all labels or annotations, variables a single one. */
export const checkFieldRef = (out: Causes, path: string, ref: ObjectFieldSelector, use: 'env' | 'volume'): void => {
  if (!required(out, `${path}.apiVersion`, ref.apiVersion)) return;
  if (!required(out, `${path}.fieldPath`, ref.fieldPath)) return;
  const subscripted = SUBSCRIPT.exec(ref.fieldPath);
  if (subscripted) {
    const [, base = '', key = ''] = subscripted;
    if (base === 'metadata.annotations') invalidEach(out, path, key, qualifiedName(key.toLowerCase()));
    else if (base === 'metadata.labels') invalidEach(out, path, key, qualifiedName(key));
    else {
      out.push(
        cause.invalid(
          `${path}.fieldPath`,
          ref.fieldPath,
          `error converting fieldPath: field label does not support subscript`,
        ),
      );
    }
    return;
  }
  const field = ref.fieldPath === 'spec.host' ? 'spec.nodeName' : ref.fieldPath;
  if (ref.apiVersion !== 'v1' || !KNOWN_FIELDS.has(field)) {
    const detail = `error converting fieldPath: field label not supported: ${ref.fieldPath}`;
    out.push(cause.invalid(`${path}.fieldPath`, ref.fieldPath, detail));
    return;
  }
  const allowed = use === 'env' ? ENV_FIELDS : VOLUME_FIELDS;
  if (!allowed.includes(field)) out.push(cause.notSupported(`${path}.fieldPath`, field, allowed));
};

const RESOURCES = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
const SIZES = /^1(|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)$/;

const checkDivisor = (out: Causes, path: string, ref: ResourceFieldSelector): void => {
  if (!ref.divisor || signOf(ref.divisor) === 0) return;
  const divisor = canonicalQuantity(ref.divisor);
  const cpu = ref.resource.endsWith('.cpu');
  if (cpu ? divisor === '1' || divisor === '1m' : SIZES.test(divisor)) return;
  const known = RESOURCES.includes(ref.resource) || /^(limits|requests)\.hugepages-/.test(ref.resource);
  if (known)
    out.push(cause.invalid(`${path}.divisor`, ref.resource, 'the divisor is not supported with this resource'));
};

/** A resourceFieldRef; a volume must also say of which container. */
export const checkResourceRef = (
  out: Causes,
  path: string,
  ref: ResourceFieldSelector,
  use: 'env' | 'volume',
): void => {
  if (use === 'volume' && !ref.containerName) out.push(cause.required(`${path}.containerName`));
  else if (!ref.resource) out.push(cause.required(`${path}.resource`));
  else if (!RESOURCES.includes(ref.resource) && !/^(limits|requests)\.hugepages-/.test(ref.resource)) {
    out.push(cause.notSupported(`${path}.resource`, ref.resource, RESOURCES));
  }
  if (ref.resource) checkDivisor(out, path, ref);
};

const checkKeyRef = (out: Causes, path: string, ref: { name?: string; key?: string }): void => {
  invalidEach(out, `${path}.name`, ref.name ?? '', dnsSubdomain(ref.name ?? ''));
  if (required(out, `${path}.key`, ref.key)) invalidEach(out, `${path}.key`, ref.key, configMapKey(ref.key ?? ''));
};

const checkFileKey = (out: Causes, path: string, ref: FileKeySelector): void => {
  if (required(out, `${path}.key`, ref.key)) invalidEach(out, `${path}.key`, ref.key, envName(ref.key));
  if (required(out, `${path}.volumeName`, ref.volumeName)) checkDnsLabel(out, `${path}.volumeName`, ref.volumeName);
  if (required(out, `${path}.path`, ref.path)) noBacksteps(out, `${path}.path`, ref.path);
};

const checkValueFrom = (out: Causes, path: string, variable: EnvVar): void => {
  const from = variable.valueFrom;
  if (!from) return;
  let sources = 0;
  if (from.fieldRef) {
    sources++;
    checkFieldRef(out, `${path}.fieldRef`, from.fieldRef, 'env');
  }
  if (from.resourceFieldRef) {
    sources++;
    checkResourceRef(out, `${path}.resourceFieldRef`, from.resourceFieldRef, 'env');
  }
  if (from.configMapKeyRef) {
    sources++;
    checkKeyRef(out, `${path}.configMapKeyRef`, from.configMapKeyRef);
  }
  if (from.secretKeyRef) {
    sources++;
    checkKeyRef(out, `${path}.secretKeyRef`, from.secretKeyRef);
  }
  if (from.fileKeyRef) {
    sources++;
    checkFileKey(out, `${path}.fileKeyRef`, from.fileKeyRef);
  }
  if (sources === 0) {
    const names = '`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`';
    out.push(cause.invalid(path, '', `must specify one of: ${names}`));
  } else if (variable.value) {
    out.push(cause.invalid(path, '', 'may not be specified when `value` is not empty'));
  } else if (sources > 1) {
    out.push(cause.invalid(path, '', 'may not have more than one field specified at a time'));
  }
};

/** env of a container. */
export const checkEnv = (out: Causes, path: string, variables: readonly EnvVar[] | undefined): void => {
  variables?.forEach((variable, i) => {
    const where = at(path, i);
    if (required(out, `${where}.name`, variable.name)) {
      invalidEach(out, `${where}.name`, variable.name, envName(variable.name));
    }
    checkValueFrom(out, `${where}.valueFrom`, variable);
  });
};

/** envFrom of a container. */
export const checkEnvFrom = (out: Causes, path: string, sources: readonly EnvFromSource[] | undefined): void => {
  sources?.forEach((source, i) => {
    const where = at(path, i);
    if (source.prefix) invalidEach(out, `${where}.prefix`, source.prefix, envName(source.prefix));
    for (const name of ['configMapRef', 'secretRef'] as const) {
      const ref = source[name];
      if (!ref) continue;
      if (required(out, `${where}.${name}.name`, ref.name)) {
        invalidEach(out, `${where}.${name}.name`, ref.name, dnsSubdomain((ref.name ?? '').replace(/-$/, 'a')));
      }
    }
    if (!source.configMapRef && !source.secretRef) {
      out.push(cause.invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    } else if (source.configMapRef && source.secretRef) {
      out.push(cause.invalid(path, '', 'may not have more than one field specified at a time'));
    }
  });
};
