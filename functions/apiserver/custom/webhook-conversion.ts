import { decode } from '../../machinery/decode.ts';
import type { CustomResourceDefinition, ObjectMeta } from '../../machinery/kinds.d.ts';
import { validateObjectMeta } from '../../machinery/metadata.ts';
import type { Json, JsonObject, KubeObject } from '../../machinery/object.ts';
import { equalJson } from '../../machinery/patch/equal.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import { genericFailure, internalError } from '../../machinery/status.ts';
import type { Stored } from '../../store/store.ts';
import type { WebhookConfig } from '../outgoing/client.ts';
import type { ResourceInfo } from '../registry.ts';
import { shaped, type Versions, versionOf } from './convert.ts';

type Convert = NonNullable<ResourceInfo['convert']>;

/** Posts a ConversionReview and returns what came back; rejects with the reason in words. */
export type Reviewer = (config: WebhookConfig, review: object) => Promise<Json>;

export interface Webhook {
  config: WebhookConfig;
  /** `v1` or `v1beta1`: the first of the definition's that is known here. */
  reviewVersion: string;
  review: Reviewer;
  uuid(): string;
}

const REVIEWS = ['v1', 'v1beta1'];

/** The webhook that a definition converts by; undefined with conversion None. */
export const webhookOf = (
  { spec }: CustomResourceDefinition,
  review: Reviewer,
  uuid: () => string,
): Webhook | undefined => {
  if (spec.conversion?.strategy !== 'Webhook') return undefined;
  const { clientConfig, conversionReviewVersions = [] } = spec.conversion.webhook ?? {};
  const reviewVersion = conversionReviewVersions.find((version) => REVIEWS.includes(version)) ?? 'v1';
  return { config: (clientConfig ?? {}) as WebhookConfig, reviewVersion, review, uuid };
};

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const GROUP = 'apiextensions.k8s.io';
const parts = ['labels', 'annotations'] as const;

/** A webhook may change labels and annotations, and no other metadata. */
const withOwnMetadata = (given: ObjectMeta | undefined, own: ObjectMeta): ObjectMeta => {
  const { labels: _l, annotations: _a, ...rest } = own;
  return {
    ...rest,
    ...(given?.labels && { labels: given.labels }),
    ...(given?.annotations && { annotations: given.annotations }),
  };
};

/** What is wrong with labels and annotations that are not those of before; undefined where nothing is. */
const metadataFault = (given: ObjectMeta | undefined, own: ObjectMeta): string | undefined => {
  for (const part of parts) {
    const values = given?.[part];
    if (!values || equalJson(values as never, (own[part] ?? {}) as never)) continue;
    if (!isObject(values)) return `invalid metadata.${part} of type ${typeof values} in converted object`;
    for (const [key, value] of Object.entries(values as Record<string, unknown>))
      if (typeof value !== 'string')
        return `metadata.${part}[${key}] must be a string, but is ${typeof value} in converted object`;
    const [cause] = validateObjectMeta({ name: 'x', [part]: values } as ObjectMeta, { namespaced: false });
    if (cause) return `${cause.field}: ${cause.message}`;
  }
  return undefined;
};

/** The converted object with the metadata of the original. Throws an Error that goes on where `returned` ends. */
const checked = (converted: unknown, original: KubeObject, apiVersion: string, i: number): KubeObject => {
  const returned = (what: string): Error => new Error(`returned invalid ${what}`);
  if (!isObject(converted)) throw returned(`converted object at index ${i}: it is no object`);
  const object = converted as unknown as KubeObject;
  const given = object.metadata as ObjectMeta | undefined;
  const own = original.metadata;
  if (object.apiVersion !== apiVersion)
    throw returned(
      `object at index ${i}: invalid groupVersion (expected ${apiVersion}, received ${object.apiVersion ?? ''})`,
    );
  if (object.kind !== original.kind)
    throw returned(`object at index ${i}: invalid kind (expected ${original.kind}, received ${object.kind ?? ''})`);
  const same = [
    ['name', own.name, given?.name],
    ['namespace', own.namespace, given?.namespace],
    ['UID', own.uid, given?.uid],
  ] as const;
  for (const [field, wanted = '', got = ''] of same)
    if (wanted !== got) throw returned(`object: must have the same ${field}: ${wanted} != ${got}`);
  const fault = metadataFault(given, own);
  if (fault !== undefined) throw returned(`metadata: ${fault}`);
  return { ...object, metadata: withOwnMetadata(given, own) };
};

/** Throws an Error that goes on after `conversion webhook for ... `. */
const answerOf = (answer: Json, { reviewVersion }: Webhook, uid: string, wanted: number): unknown[] => {
  const { apiVersion = '', kind = '', response } = isObject(answer) ? answer : {};
  const failed = (why: string): Error => new Error(`failed: ${why}`);
  const known = kind === 'ConversionReview' && REVIEWS.some((version) => apiVersion === `${GROUP}/${version}`);
  if (!known && (kind !== '' || apiVersion !== ''))
    throw failed(`no kind "${kind}" is registered for version "${apiVersion}"`);
  if (known && apiVersion !== `${GROUP}/${reviewVersion}`)
    throw failed(
      `converting (${String(apiVersion).slice(GROUP.length + 1)}.ConversionReview) to (${reviewVersion}.ConversionReview): unknown conversion`,
    );
  // The older review never had to say what it is.
  if (!known && reviewVersion === 'v1')
    throw failed(`expected webhook response of ${GROUP}/v1, Kind=ConversionReview, got /, Kind=`);
  if (!isObject(response)) throw failed('no response provided');
  if (reviewVersion === 'v1' && response.uid !== uid)
    throw failed(`expected response.uid="${uid}", got "${String(response.uid ?? '')}"`);
  const { convertedObjects = [] } = response;
  const result = isObject(response.result) ? response.result : {};
  if (result.status !== 'Success')
    throw failed(String(result.message || `response.result.status was '${result.status ?? ''}', not 'Success'`));
  const given = Array.isArray(convertedObjects) ? convertedObjects : [];
  if (given.length !== wanted) throw new Error(`returned ${given.length} objects, expected ${wanted}`);
  return given;
};

/** Converts objects by a webhook, all in one review. Throws a 500 Status with upstream's sentence where it fails. */
const convertAll = async (
  webhook: Webhook,
  group: string,
  objects: readonly KubeObject[],
  version: string,
): Promise<KubeObject[]> => {
  const desiredAPIVersion = `${group}/${version}`;
  const uid = webhook.uuid();
  const review = {
    kind: 'ConversionReview',
    apiVersion: `${GROUP}/${webhook.reviewVersion}`,
    request: { uid, desiredAPIVersion, objects },
  };
  try {
    const answer = await webhook.review(webhook.config, review).catch((error: Error) => {
      throw new Error(`failed: ${error.message}`);
    });
    const converted = answerOf(answer, webhook, uid, objects.length);
    return objects.map((object, i) => checked(converted[i], object, desiredAPIVersion, i));
  } catch (error) {
    const [first] = objects;
    const why = error instanceof Error ? error.message : String(error);
    throw genericFailure(500, '', `conversion webhook for ${first?.apiVersion}, Kind=${first?.kind} ${why}`);
  }
};

const parse = (bytes: Uint8Array): KubeObject =>
  JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());

/**
 * Conversion by a webhook, for one version. It takes a request to another server, so what a verb is about to read or write
 * is converted before (`prepare`), many objects at once, and found again by its bytes or by the object.
 */
export const convertByWebhook = (versions: Versions, version: string, webhook: Webhook): Convert => {
  const { group, storage, schemas } = versions;
  const own = schemas.get(version) as ObjectSchema;
  /** JSON of the object in this version, by the stored bytes. */
  const readings = new WeakMap<Uint8Array, string>();
  const writings = new WeakMap<KubeObject, KubeObject>();
  const known = (object: KubeObject): KubeObject => shaped(schemas.get(versionOf(object)), object, true);
  return {
    fromStorage: (object, bytes) => {
      if (versionOf(object) === version) return known(object);
      const text = bytes && readings.get(bytes);
      if (text === undefined) throw internalError('a custom resource was read before it was converted');
      return JSON.parse(text) as KubeObject;
    },
    toStorage: (object) => {
      if (versionOf(object) === storage) return object;
      const made = writings.get(object);
      if (!made) throw internalError('a custom resource was written before it was converted');
      return made;
    },
    prepare: {
      read: async (stored: readonly Stored[]) => {
        const due = stored
          .filter(({ bytes }) => !readings.has(bytes))
          .map(({ bytes }) => ({ bytes, object: parse(bytes) }));
        const foreign = due.filter(({ object }) => versionOf(object) !== version);
        if (foreign.length === 0) return;
        const objects = foreign.map(({ object }) => known(object));
        const converted = await convertAll(webhook, group, objects, version);
        for (const [i, { bytes }] of foreign.entries()) {
          const { value } = decode(own, converted[i] as unknown as Json, { lenient: true });
          readings.set(bytes, JSON.stringify(value));
        }
      },
      write: async (object: KubeObject) => {
        if (versionOf(object) === storage) return;
        const [converted] = await convertAll(webhook, group, [object], storage);
        if (converted) writings.set(object, shaped(schemas.get(storage), converted, false));
      },
    },
  };
};
