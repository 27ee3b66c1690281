/**
 * Expressions of admission policies and of the match conditions of webhooks (KEP-3488, KEP-3716, KEP-3962): which
 * variables they know, what they must evaluate to, and in which words they are refused.
 *
 *   const env = admissionEnvironment({ params: true, authorizer: true })
 *   compileFor(env, 'object.spec.replicas < 5', [bool])   { program } | { fault: 'compilation failed: ERROR: ...' }
 */
import { createEnvironment, type Environment, type Program } from './environment.ts';
import { authorizerType, jsonPatchKeys, resourceCheckType } from './library/authorizer.ts';
import {
  bool,
  dyn,
  type FieldType,
  int,
  listOf,
  mapOf,
  type ObjectType,
  string,
  type Type,
  timestamp,
  typeText,
} from './types.ts';
import { fromJson, ObjectValue } from './values.ts';

/** What is declared as a time stays a text, as upstream has it: no function of times takes it. */
const adaptOf = (type: Type): ((json: unknown) => unknown) => {
  if (type.kind !== 'object') return fromJson;
  return (json) => new ObjectValue(type, json as Record<string, unknown>);
};

/** A struct of plain JSON. */
const struct = (name: string, fields: Readonly<Record<string, Type>>): ObjectType => ({
  kind: 'object',
  name,
  fields: new Map(
    Object.entries(fields).map(([json, type]): [string, FieldType] => [json, { type, json, adapt: adaptOf(type) }]),
  ),
});

const strings = listOf(string);
const texts = mapOf(string, string);
const kindType = struct('kubernetes.GroupVersionKind', { group: string, version: string, kind: string });
const resourceType = struct('kubernetes.GroupVersionResource', { group: string, version: string, resource: string });
const userType = struct('kubernetes.UserInfo', {
  username: string,
  uid: string,
  groups: strings,
  extra: mapOf(string, strings),
});
/** The variable `request`: an AdmissionRequest (admission.k8s.io/v1) without its objects. */
export const requestType = struct('kubernetes.AdmissionRequest', {
  kind: kindType,
  resource: resourceType,
  subResource: string,
  requestKind: kindType,
  requestResource: resourceType,
  requestSubResource: string,
  name: string,
  namespace: string,
  operation: string,
  userInfo: userType,
  dryRun: bool,
  options: dyn,
});
const conditionType = struct('kubernetes.NamespaceCondition', {
  status: string,
  type: string,
  lastTransitionTime: timestamp,
  message: string,
  reason: string,
});
/** The variable `namespaceObject`: what a Namespace is known by (upstream spells one field UID). */
export const namespaceType = struct('kubernetes.Namespace', {
  metadata: struct('kubernetes.NamespaceMetadata', {
    name: string,
    generateName: string,
    namespace: string,
    labels: texts,
    annotations: texts,
    UID: string,
    creationTimestamp: timestamp,
    deletionGracePeriodSeconds: int,
    deletionTimestamp: timestamp,
    generation: int,
    resourceVersion: string,
    finalizers: strings,
  }),
  spec: struct('kubernetes.NamespaceSpec', { finalizers: strings }),
  status: struct('kubernetes.NamespaceStatus', { conditions: listOf(conditionType), phase: string }),
});

/** Fields of any name, of which nothing is known. */
const anyFields = new (class extends Map<string, FieldType> {
  override get(json: string): FieldType {
    return { type: dyn, json, adapt: (value) => value };
  }
  override has(): boolean {
    return true;
  }
})();

/** The result of an ApplyConfiguration. */
export const objectType: ObjectType = { kind: 'object', name: 'Object', fields: anyFields };
export const jsonPatchType: ObjectType = struct('JSONPatch', { op: string, path: string, from: string, value: dyn });

/** `Object`, `Object.spec`, `Object.spec.template`... : every path is a type of its own. */
const patchTypeOf = (name: string): Type | undefined => {
  if (name === 'Object') return objectType;
  if (name === 'JSONPatch') return jsonPatchType;
  return name.startsWith('Object.') ? { kind: 'object', name, fields: anyFields } : undefined;
};

export interface AdmissionVariables {
  /** Whether `params` is known. */
  params: boolean;
  /** Whether `authorizer` is known. */
  authorizer: boolean;
  /** Whether Object{...} and JSONPatch{...} can be made. */
  patches?: boolean;
  /** The type of `variables`, unknown where absent. Its fields may be added later: variablesType(). */
  variables?: ObjectType;
  /** Types of `object` and `oldObject`, and of `params`, for type checking; dyn where absent. */
  object?: Type;
  paramsType?: Type;
}

const shared = new Map<string, Environment>();

/** An environment; those without types of their own are made once. */
export const admissionEnvironment = (given: AdmissionVariables): Environment => {
  const { params, authorizer, patches = false, variables, object = dyn, paramsType = dyn } = given;
  const isShared = !variables && object === dyn && paramsType === dyn;
  const name = `${params} ${authorizer} ${patches}`;
  const known = isShared ? shared.get(name) : undefined;
  if (known) return known;
  const made = createEnvironment({
    variables: {
      object,
      oldObject: object,
      namespaceObject: namespaceType,
      request: requestType,
      ...(params && { params: paramsType }),
      ...(authorizer && { authorizer: authorizerType, 'authorizer.requestResource': resourceCheckType }),
      ...(variables && { variables }),
    },
    libraries: patches ? [jsonPatchKeys] : [],
    ...(patches && { resolveType: patchTypeOf }),
  });
  if (isShared) shared.set(name, made);
  return made;
};

/** The type of a policy's `variables`: each is known to those that come after it. */
export const variablesType = (): { type: ObjectType; add: (name: string, type: Type) => void } => {
  const fields = new Map<string, FieldType>();
  return {
    type: { kind: 'object', name: 'kubernetes.variables', fields },
    add: (json, type) => fields.set(json, { type: plainType(type), json, adapt: (value) => value }),
  };
};

/** Structs and the types of libraries are not known any more once they are a variable. */
const plainType = (type: Type): Type => {
  if (type.kind === 'list') return listOf(plainType(type.element));
  if (type.kind === 'map') return mapOf(plainType(type.key), plainType(type.value));
  return ['object', 'opaque', 'type', 'error', 'param'].includes(type.kind) ? dyn : type;
};

/** `unusable`: constants in it cannot be used, which upstream reports as an error of its own. */
export interface ExpressionFault {
  fault: string;
  unusable?: true;
}
export type Expression = { source: string } & ({ program: Program } | ExpressionFault);

/** Compiles an expression that has to be of one of the types exactly, where any are given. */
export const compileFor = (env: Environment, source: string, result?: readonly Type[]): Expression => {
  const made = env.compile(source);
  if ('unusable' in made) return { source, fault: `program instantiation failed: ${made.describe()}`, unusable: true };
  if ('issues' in made) return { source, fault: `compilation failed: ${made.describe()}` };
  const { program } = made;
  const type = typeText(program.type);
  if (!result || result.some((one) => typeText(one) === type)) return { source, program };
  const wanted = result.map(typeText);
  const must = wanted.length === 1 ? `must evaluate to ${wanted[0]}` : `must evaluate to one of [${wanted.join(' ')}]`;
  return { source, fault: `${must} but got ${type}` };
};

/** What the parts of policies have to evaluate to. */
export const RESULTS = {
  condition: [bool],
  message: [string],
  annotation: [string, { kind: 'null' } as Type],
  apply: [objectType as Type],
  jsonPatch: [listOf(jsonPatchType)],
} as const;
