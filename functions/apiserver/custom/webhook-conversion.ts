import { decode } from '../../machinery/decode.ts';
import type { CustomResourceDefinition, ObjectMeta } from '../../machinery/kinds.d.ts';
import type { Json, JsonObject, KubeObject } from '../../machinery/object.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import { internalError } from '../../machinery/status.ts';
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

/** A webhook may change labels and annotations, and no other metadata. */
const withOwnMetadata = (given: ObjectMeta | undefined, own: ObjectMeta): ObjectMeta => {
  const { labels: _l, annotations: _a, ...rest } = own;
  return {
    ...rest,
    ...(given?.labels && { labels: given.labels }),
    ...(given?.annotations && { annotations: given.annotations }),
  };
};

const checked = (converted: unknown, original: KubeObject, apiVersion: string, i: number): KubeObject => {
  if (!isObject(converted)) throw new Error(`invalid converted object at index ${i}: not an object`);
  const object = converted as unknown as KubeObject;
  const refuse = (what: string, got: unknown, wanted: unknown): void => {
    if (got !== wanted) throw new Error(`invalid converted object at index ${i}: invalid ${what}: ${got} != ${wanted}`);
  };
  refuse('groupVersion', object.apiVersion, apiVersion);
  refuse('kind', object.kind, original.kind);
  for (const field of ['name', 'namespace', 'uid'] as const)
    refuse(`metadata.${field}`, object.metadata?.[field], original.metadata[field]);
  return { ...object, metadata: withOwnMetadata(object.metadata, original.metadata) };
};

const answerOf = (answer: Json, uid: string, wanted: number): unknown[] => {
  const response = isObject(answer) ? answer.response : undefined;
  if (!isObject(response)) throw new Error('no response provided');
  if (response.uid !== uid) throw new Error(`expected response.uid ${uid}, got ${String(response.uid)}`);
  const { result, convertedObjects = [] } = response;
  if (!isObject(result) || result.status !== 'Success')
    throw new Error(String((isObject(result) && result.message) || 'the webhook gave no success'));
  if (!Array.isArray(convertedObjects) || convertedObjects.length !== wanted)
    throw new Error(
      `returned ${Array.isArray(convertedObjects) ? convertedObjects.length : 0} objects, expected ${wanted}`,
    );
  return convertedObjects;
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
    apiVersion: `apiextensions.k8s.io/${webhook.reviewVersion}`,
    request: { uid, desiredAPIVersion, objects },
  };
  try {
    const converted = answerOf(await webhook.review(webhook.config, review), uid, objects.length);
    return objects.map((object, i) => checked(converted[i], object, desiredAPIVersion, i));
  } catch (error) {
    const [first] = objects;
    const from = `${first?.apiVersion}, Kind=${first?.kind}`;
    const why = error instanceof Error ? error.message : String(error);
    throw internalError(`conversion webhook for ${from} failed: ${why}`);
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
