import type { Json, JsonObject } from './object.ts';

/**
 * The shape of a value, for built-in types (compiled from facts/facts.json) and custom resources (compiled from their
 * structural schema) alike. Decoding, pruning, defaulting, strategic merge, server-side apply, OpenAPI and protobuf all
 * walk it. Schemas may be cyclic (JSONSchemaProps): `ref` resolves on first use.
 */
export type Schema = ObjectSchema | MapSchema | ListSchema | ScalarSchema | AnySchema;

export interface ObjectSchema {
  type: 'object';
  /** Short name in facts.json (`core.v1.PodSpec`); '' for an anonymous object of a custom resource. */
  name: string;
  fields: Record<string, Field>;
  /** x-kubernetes-map-type: atomic. */
  atomic: boolean;
  /** Unknown fields are kept and not reported (x-kubernetes-preserve-unknown-fields, RawExtension). */
  preserveUnknown: boolean;
  /** x-kubernetes-embedded-resource. */
  embedded: boolean;
  /** Reads a whole object in place of the generic decoding; custom kinds have rules that these shapes cannot say. */
  decode?: (value: Json, options: { defaults: boolean; found?: readonly string[] }) => Decoded<JsonObject>;
}
export interface MapSchema {
  type: 'map';
  values: Schema;
  atomic: boolean;
}
export interface ListSchema {
  type: 'list';
  items: Schema;
  listType: 'atomic' | 'set' | 'map';
  /** Keys of a listType map, in order. */
  keys: string[];
}
export interface ScalarSchema {
  type: 'string' | 'integer' | 'number' | 'boolean';
  /** int32, int64, double, byte, date-time, quantity, int-or-string, micro-time, duration... */
  format: string;
  enum?: string[];
}
/** Anything goes, kept as it is (FieldsV1, RawExtension contents, a preserved subtree). */
export interface AnySchema {
  type: 'any';
}

export interface Field {
  schema: Schema;
  required: boolean;
  /** Static default, deep-copied where the field is absent. */
  default?: Json;
  /** True where upstream encodes the field even when unset (a value struct, or no omitempty): {}, "", 0, false or null. */
  zero: boolean;
  /** True for a Go pointer: an explicit zero value differs from absent, and null is its zero. */
  pointer?: boolean;
  /** True where an empty value ("", 0, false, [], {}) is the same as absent and is not encoded (a Go value with omitempty). */
  dropEmpty?: boolean;
  /** Strategic merge patch: patchStrategy and patchMergeKey ('' where a strategy needs none). */
  patch?: { strategies: ('merge' | 'replace' | 'retainKeys')[]; mergeKey: string };
}

/** What a decode found besides the value. Paths as upstream writes them: `spec.containers[0].foo`. */
export interface Decoded<T> {
  value: T;
  /** `unknown field "spec.foo"`, `duplicate field "spec.x"`: for fieldValidation Warn and Strict. */
  strict: string[];
}
