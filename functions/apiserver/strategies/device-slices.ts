// ResourceSlices: the devices that a driver offers (KEP-4381).
import type { ResourceDevice as Device, ResourceResourceSlice as ResourceSlice } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import { at, type Causes, checkDnsLabel, checkSubdomain, immutable, invalidEach, required } from './checks.ts';
import { dnsSubdomain } from './names.ts';

const DRIVER_LENGTH_MAX = 63;
const POOL_LENGTH_MAX = 253;
const ID_LENGTH_MAX = 32;
const VALUE_LENGTH_MAX = 64;
const PROPERTIES_MAX = 32;
const DEVICES_MAX = 128;
/** https://semver.org, version 2.0.0. */
const SEMVER =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$/;

/** A driver's name: a subdomain of at most 63 characters, whose letters may be upper ones. */
export const checkDriver = (out: Causes, path: string, name: string | undefined): void => {
  if (!required(out, path, name)) return;
  if ((name?.length ?? 0) > DRIVER_LENGTH_MAX) out.push(cause.tooLong(path, DRIVER_LENGTH_MAX));
  invalidEach(out, path, name, dnsSubdomain(name?.toLowerCase() ?? ''));
};

const checkIdentifier = (out: Causes, path: string, id: string): void => {
  if (id.length > ID_LENGTH_MAX) out.push(cause.tooLong(path, ID_LENGTH_MAX));
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(id)) out.push(cause.invalid(path, id, 'must be a C identifier'));
};

/** An attribute's or capacity's name: `name` or `domain/name`, the latter where `full`. */
export const checkQualifiedName = (out: Causes, path: string, name: string, full = false): void => {
  const [first = '', second, ...more] = name.split('/');
  if (second === undefined) checkIdentifier(out, path, first);
  else if (more.length === 0) {
    if (first === '') out.push(cause.invalid(path, '', 'the domain must not be empty'));
    else checkDriver(out, path, first);
    if (second === '') out.push(cause.invalid(path, '', 'the name must not be empty'));
    else checkIdentifier(out, path, second);
  }
  if (full && second === undefined)
    out.push(cause.invalid(path, name, 'a fully qualified name must be a domain and a name separated by a slash'));
};

type Attribute = NonNullable<Device['attributes']>[string];

const checkAttribute = (out: Causes, path: string, attribute: Attribute): void => {
  const { string, version } = attribute;
  if (string !== undefined && string.length > VALUE_LENGTH_MAX)
    out.push(cause.tooLong(`${path}.string`, VALUE_LENGTH_MAX));
  if (version !== undefined && !SEMVER.test(version))
    out.push(cause.invalid(`${path}.version`, version, 'must be a string compatible with semver.org spec 2.0.0'));
  if (version !== undefined && version.length > VALUE_LENGTH_MAX)
    out.push(cause.tooLong(`${path}.version`, VALUE_LENGTH_MAX));
  const values = Object.values(attribute).filter((value) => value !== undefined);
  if (values.length !== 1) out.push(cause.invalid(path, attribute, 'exactly one value must be specified'));
};

/** Where a device or slice is: exactly one of these, none of them empty or false. */
const checkPlace = (out: Causes, path: string, place: Record<string, unknown>, needed: string): void => {
  const set: string[] = [];
  for (const [name, value] of Object.entries(place)) {
    if (value === false) out.push(cause.invalid(`${path}.${name}`, value, 'must be either unset or set to true'));
    else if (value === '') out.push(cause.invalid(`${path}.${name}`, value, 'must not be empty'));
    else if (value !== undefined) set.push(`\`${name}\``);
  }
  if (set.length === 0) out.push(cause.required(path, needed));
  else if (set.length > 1)
    out.push(cause.invalid(path, `{${set.join(', ')}}`, `${needed}, but multiple fields are set`));
};

const checkDevice = (out: Causes, path: string, device: Device, placed: boolean): void => {
  checkDnsLabel(out, `${path}.name`, device.name ?? '');
  const attributes = Object.entries(device.attributes ?? {});
  const capacity = Object.keys(device.capacity ?? {});
  const count = attributes.length + capacity.length;
  if (count > PROPERTIES_MAX)
    out.push(
      cause.invalid(path, count, `the total number of attributes and capacities must not exceed ${PROPERTIES_MAX}`),
    );
  for (const [name, attribute] of attributes) {
    checkQualifiedName(out, `${path}.attributes`, name);
    checkAttribute(out, at(`${path}.attributes`, name), attribute);
  }
  for (const name of capacity) checkQualifiedName(out, `${path}.capacity`, name);
  const { nodeName, nodeSelector, allNodes } = device;
  const isPlaced = nodeName !== undefined || nodeSelector !== undefined || allNodes !== undefined;
  if (placed)
    checkPlace(
      out,
      path,
      { nodeName, nodeSelector, allNodes },
      'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec',
    );
  else if (isPlaced)
    out.push(
      cause.invalid(
        path,
        null,
        '`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec',
      ),
    );
};

const checkPool = (out: Causes, path: string, pool: ResourceSlice['spec']['pool'] | undefined): void => {
  const name = `${path}.name`;
  if (required(out, name, pool?.name)) {
    if ((pool?.name.length ?? 0) > POOL_LENGTH_MAX) out.push(cause.tooLong(name, POOL_LENGTH_MAX));
    for (const part of pool?.name.split('/') ?? []) checkSubdomain(out, name, part);
  }
  const slices = pool?.resourceSliceCount ?? 0;
  if (slices <= 0) out.push(cause.invalid(`${path}.resourceSliceCount`, slices, 'must be greater than zero'));
  const generation = pool?.generation ?? 0;
  if (generation < 0)
    out.push(cause.invalid(`${path}.generation`, generation, 'must be greater than or equal to zero'));
};

export const validateSlice = (object: KubeObject): Causes => {
  const out: Causes = [];
  const { spec } = object as unknown as ResourceSlice;
  checkDriver(out, 'spec.driver', spec?.driver);
  checkPool(out, 'spec.pool', spec?.pool);
  const { nodeName, nodeSelector, allNodes, perDeviceNodeSelection, devices = [], sharedCounters } = spec ?? {};
  if (nodeName) checkSubdomain(out, 'spec.nodeName', nodeName);
  checkPlace(
    out,
    'spec',
    { nodeName, nodeSelector, allNodes, perDeviceNodeSelection },
    'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required',
  );
  if (sharedCounters && spec?.devices)
    out.push(cause.invalid('spec', '', 'only one of `sharedCounters` or `devices` is allowed'));
  if (devices.length > DEVICES_MAX) out.push(cause.tooMany('spec.devices', devices.length, DEVICES_MAX));
  const names = new Set<string>();
  devices.forEach((device, i) => {
    const where = at('spec.devices', i);
    if (names.has(device.name)) out.push(cause.duplicate(where, device.name));
    names.add(device.name);
    checkDevice(out, where, device, perDeviceNodeSelection === true);
  });
  return out;
};

/** A slice stays its driver's, its pool's and its node's. */
export const validateSliceUpdate = (next: KubeObject, old: KubeObject): Causes => {
  const out: Causes = [];
  const now = (next as unknown as ResourceSlice).spec;
  const before = (old as unknown as ResourceSlice).spec;
  immutable(out, 'spec.driver', now?.driver, before?.driver);
  immutable(out, 'spec.pool.name', now?.pool?.name, before?.pool?.name);
  immutable(out, 'spec.nodeName', now?.nodeName, before?.nodeName);
  return out;
};
