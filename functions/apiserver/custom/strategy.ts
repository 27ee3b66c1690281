import type { Json, KubeObject } from '../../machinery/object.ts';
import { type Cause, cause, forbidden } from '../../machinery/status.ts';
import type { CustomKind } from '../custom-schema.ts';
import type { ScalePaths, Strategy } from '../registry.ts';
import { qualifiedName } from '../strategies/names.ts';

export interface StrategyOptions {
  group: string;
  resource: string;
  kind: CustomKind;
  /** It has a status subresource. */
  status: boolean;
  scale?: { paths: ScalePaths; texts: { spec: string; status: string; selector?: string } };
  /** Its definition is being deleted: nothing new is created. */
  terminating: boolean;
}

type Fields = Record<string, Json>;

const at = (object: KubeObject, path: readonly string[]): Json | undefined =>
  path.reduce<Json | undefined>((value, field) => (value as Fields | undefined)?.[field], object as unknown as Fields);

const textOf = (value: Json): string => (typeof value === 'object' ? JSON.stringify(value) : String(value));
const typeName = (value: Json): string =>
  typeof value === 'object' ? (Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}') : typeof value;

const checkReplicas = (out: Cause[], field: string, value: Json | undefined): void => {
  if (value === undefined || value === null) return;
  if (typeof value !== 'number' || !Number.isInteger(value))
    out.push(
      cause.invalid(
        field,
        0,
        `${field} accessor error: ${textOf(value)} is of the type ${typeName(value)}, expected int64`,
      ),
    );
  else if (value < 0) out.push(cause.invalid(field, value, 'should be a non-negative integer'));
  else if (value > 2147483647) out.push(cause.invalid(field, value, 'should be less than or equal to 2147483647'));
};

const checkScale = (out: Cause[], object: KubeObject, scale: NonNullable<StrategyOptions['scale']>): void => {
  const { paths, texts } = scale;
  checkReplicas(out, texts.status, at(object, paths.status));
  const selector = paths.selector && at(object, paths.selector);
  if (texts.selector && selector !== undefined && selector !== null && typeof selector !== 'string') {
    const detail = `${texts.selector} accessor error: ${textOf(selector)} is of the type ${typeName(selector)}, expected string`;
    out.push(cause.invalid(texts.selector, '', detail));
  }
};

const STANDARD = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

/** Finalizers of custom resources are warned about where their name could meet another's. */
const finalizerWarnings = (object: KubeObject, old: KubeObject | undefined): string[] => {
  const before = new Set(old?.metadata.finalizers);
  const added = [...new Set(object.metadata.finalizers)].filter((name) => !before.has(name)).sort();
  return added.flatMap((name) => {
    const start = `metadata.finalizers: ${JSON.stringify(name)}: `;
    const texts = qualifiedName(name).map((message) => start + message);
    if (!name.includes('/') && !STANDARD.has(name)) {
      const path = name.includes('.') ? ' including a path (/)' : '';
      const why = 'to avoid accidental conflicts with other finalizer writers';
      texts.push(`${start}prefer a domain-qualified finalizer name${path} ${why}`);
    }
    return texts;
  });
};

/** What the generic engine needs to know of one version of a custom resource. */
export const customStrategy = (options: StrategyOptions): Strategy => {
  const { kind, scale } = options;
  const scaleCauses = (object: KubeObject): Cause[] => {
    const out: Cause[] = [];
    if (!scale) return out;
    checkReplicas(out, scale.texts.spec, at(object, scale.paths.spec));
    checkScale(out, object, scale);
    return out;
  };
  return {
    unconditionalUpdate: false,
    ready: kind.ready,
    prepareForCreate: (object) => {
      if (options.terminating) {
        const subject = { group: options.group, kind: options.resource, name: object.metadata.name ?? '' };
        throw forbidden(subject, 'create not allowed while custom resource definition is terminating');
      }
      if (options.status) delete (object as { status?: unknown }).status;
    },
    validateCreate: (object) => [...kind.validateCreate(object), ...scaleCauses(object)],
    validateUpdate: (next, old, ctx) => [...kind.validateUpdate(next, old, ctx.warn), ...scaleCauses(next)],
    validateStatusUpdate: (next, old, ctx) => {
      const out = kind.validateStatusUpdate(next, old, ctx.warn);
      if (scale) checkScale(out, next, scale);
      return out;
    },
    warnings: finalizerWarnings,
  };
};
