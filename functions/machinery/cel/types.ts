/** Types of the expression language, and when one fits another (cel-go's checker is the model). */
export type Type = Simple | ListType | MapType | ObjectType | Opaque | Param | TypeType;

export interface Simple {
  kind: 'bool' | 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'null' | 'dyn' | 'timestamp' | 'duration' | 'error';
}
export interface ListType {
  kind: 'list';
  element: Type;
}
export interface MapType {
  kind: 'map';
  key: Type;
  value: Type;
}
/** A struct with declared fields; two are the same where they are the same object. */
export interface ObjectType {
  kind: 'object';
  name: string;
  fields: ReadonlyMap<string, FieldType>;
}
export interface FieldType {
  type: Type;
  /** The JSON field it reads, where its name in expressions is escaped. */
  json: string;
  /** Reads a JSON value as a value of the type. */
  adapt: (json: unknown) => unknown;
}
/** A type of a library: quantity, URL; optional_type has a parameter. */
export interface Opaque {
  kind: 'opaque';
  name: string;
  params: Type[];
}
export interface Param {
  kind: 'param';
  name: string;
}
/** The type of types. */
export interface TypeType {
  kind: 'type';
  of: Type;
}

export const bool: Type = { kind: 'bool' };
export const int: Type = { kind: 'int' };
export const uint: Type = { kind: 'uint' };
export const double: Type = { kind: 'double' };
export const string: Type = { kind: 'string' };
export const bytes: Type = { kind: 'bytes' };
export const nullType: Type = { kind: 'null' };
export const dyn: Type = { kind: 'dyn' };
export const timestamp: Type = { kind: 'timestamp' };
export const duration: Type = { kind: 'duration' };
export const errorType: Type = { kind: 'error' };
export const listOf = (element: Type): Type => ({ kind: 'list', element });
export const mapOf = (key: Type, value: Type): Type => ({ kind: 'map', key, value });
export const param = (name: string): Type => ({ kind: 'param', name });
export const opaque = (name: string, ...params: Type[]): Type => ({ kind: 'opaque', name, params });
export const typeOf = (of: Type): Type => ({ kind: 'type', of });
export const OPTIONAL = 'optional_type';
export const optionalOf = (type: Type): Type => opaque(OPTIONAL, type);
export const isOptional = (type: Type): type is Opaque => type.kind === 'opaque' && type.name === OPTIONAL;
/** What an optional holds; the type itself where it is not optional. */
export const unwrap = (type: Type): Type => (isOptional(type) ? (type.params[0] ?? dyn) : type);

const NAMES: Partial<Record<Type['kind'], string>> = {
  null: 'null_type',
  timestamp: 'google.protobuf.Timestamp',
  duration: 'google.protobuf.Duration',
  error: '!error!',
};

/** The name of a type, as messages and type values have it. */
export const typeText = (type: Type): string => {
  if (type.kind === 'list') return `list(${typeText(type.element)})`;
  if (type.kind === 'map') return `map(${typeText(type.key)}, ${typeText(type.value)})`;
  if (type.kind === 'object' || type.kind === 'param') return type.name;
  if (type.kind === 'type') return `type(${typeText(type.of)})`;
  if (type.kind === 'opaque')
    return type.params.length > 0 ? `${type.name}(${type.params.map(typeText).join(', ')})` : type.name;
  return NAMES[type.kind] ?? type.kind;
};

const SHOWN: Partial<Record<Type['kind'], string>> = { null: 'null', timestamp: 'timestamp', duration: 'duration' };

/** The name of a type as the checker's messages have it. */
export const shownType = (type: Type): string => {
  if (type.kind === 'list') return `list(${shownType(type.element)})`;
  if (type.kind === 'map') return `map(${shownType(type.key)}, ${shownType(type.value)})`;
  if (type.kind === 'type') return `type(${shownType(type.of)})`;
  if (type.kind === 'opaque' && type.params.length > 0) return `${type.name}(${type.params.map(shownType).join(', ')})`;
  return SHOWN[type.kind] ?? typeText(type);
};

/** What type parameters stand for so far. */
export type Substitution = Map<string, Type>;

export const substitute = (s: Substitution, type: Type, free = false): Type => {
  if (type.kind === 'param') {
    const bound = s.get(type.name);
    if (bound) return substitute(s, bound, free);
    return free ? dyn : type;
  }
  if (type.kind === 'list') return { kind: 'list', element: substitute(s, type.element, free) };
  if (type.kind === 'map')
    return { kind: 'map', key: substitute(s, type.key, free), value: substitute(s, type.value, free) };
  if (type.kind === 'opaque' && type.params.length > 0)
    return { ...type, params: type.params.map((p) => substitute(s, p, free)) };
  if (type.kind === 'type') return { kind: 'type', of: substitute(s, type.of, free) };
  return type;
};

const refersTo = (s: Substitution, name: string, type: Type): boolean => {
  if (type.kind === 'param') {
    if (type.name === name) return true;
    const bound = s.get(type.name);
    return bound !== undefined && refersTo(s, name, bound);
  }
  if (type.kind === 'list') return refersTo(s, name, type.element);
  if (type.kind === 'map') return refersTo(s, name, type.key) || refersTo(s, name, type.value);
  if (type.kind === 'opaque') return type.params.some((p) => refersTo(s, name, p));
  return type.kind === 'type' && refersTo(s, name, type.of);
};

const isDyn = (type: Type): boolean => type.kind === 'dyn' || type.kind === 'error';
const takesNull = (type: Type): boolean =>
  ['null', 'object', 'opaque', 'timestamp', 'duration', 'dyn'].includes(type.kind);

/** The more general of two types of which one fits the other. */
export const moreGeneral = (s: Substitution, a: Type, b: Type): Type => (isLessSpecific(s, a, b) ? a : b);
const isLessSpecific = (s: Substitution, given: Type, other: Type): boolean => {
  const a = substitute(s, given);
  const b = substitute(s, other);
  if (isDyn(a) || a.kind === 'param') return true;
  if (isDyn(b) || b.kind === 'param') return false;
  if (a.kind === 'null') return false;
  if (b.kind === 'null') return true;
  if (a.kind === 'list' && b.kind === 'list') return isLessSpecific(s, a.element, b.element);
  if (a.kind === 'map' && b.kind === 'map')
    return isLessSpecific(s, a.key, b.key) && isLessSpecific(s, a.value, b.value);
  return true;
};

/** Makes a parameter stand for a type; undefined where it stands for something already and that does not fit. */
const bind = (s: Substitution, type: Type, name: string): boolean => {
  if (type.kind === 'param' && type.name === name) return true;
  const bound = s.get(name);
  if (bound) {
    if (!unify(s, type, bound)) return false;
    const general = moreGeneral(s, type, bound);
    if (!refersTo(s, name, general)) s.set(name, general);
    return true;
  }
  if (refersTo(s, name, type)) return false;
  s.set(name, type);
  return true;
};

/** Whether a value of type `from` may stand where `to` is asked for; binds parameters on the way. */
export const unify = (s: Substitution, from: Type, to: Type): boolean => {
  if (from === to) return true;
  if (to.kind === 'param') return bind(s, from, to.name);
  if (from.kind === 'param') return bind(s, to, from.name);
  if (isDyn(from) || isDyn(to)) return true;
  if (from.kind === 'null') return takesNull(to);
  if (to.kind === 'null') return takesNull(from);
  if (from.kind !== to.kind) return false;
  if (from.kind === 'list' && to.kind === 'list') return unify(s, from.element, to.element);
  if (from.kind === 'map' && to.kind === 'map') return unify(s, from.key, to.key) && unify(s, from.value, to.value);
  if (from.kind === 'object' && to.kind === 'object') return from === to || from.name === to.name;
  if (from.kind === 'opaque' && to.kind === 'opaque')
    return from.name === to.name && from.params.every((p, i) => unify(s, p, to.params[i] ?? dyn));
  return true;
};

/** unify() without a trace where it fails. */
export const assignable = (s: Substitution, from: Type, to: Type): boolean => {
  const before = new Map(s);
  if (unify(s, from, to)) return true;
  s.clear();
  for (const [name, type] of before) s.set(name, type);
  return false;
};
