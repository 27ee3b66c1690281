// Paths into JSON: `spec.containers[0].name`, `metadata.labels[a.b/c]`.

type Json = Record<string | number, unknown>;

/** The keys of a path; a bracket holding digits is an index, any other bracket a key that may hold dots. */
export const keysOf = (path: string): (string | number)[] =>
  [...path.matchAll(/\[([^\]]*)\]|([^.[\]]+)/g)].map(([, inside, plain]) =>
    inside === undefined ? (plain ?? '') : /^\d+$/.test(inside) ? Number(inside) : inside,
  );

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;

/** The value at a path, undefined where there is none. */
export const valueAt = (root: unknown, path: string): unknown =>
  keysOf(path).reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), root);

const setOne = (root: Json, path: string, value: unknown): void => {
  const keys = keysOf(path);
  const last = keys.pop();
  if (last === undefined) throw new Error(`an empty path`);
  let node: Json = root;
  for (const [i, key] of keys.entries()) {
    const next = keys[i + 1] ?? last;
    if (!isObject(node[key])) node[key] = typeof next === 'number' ? [] : {};
    node = node[key] as Json;
  }
  if (value !== null) node[last] = structuredClone(value);
  else if (Array.isArray(node)) node.splice(Number(last), 1);
  else delete node[last];
};

/** A copy of an object with the values at the given paths replaced; null removes what is there. */
export const withChanges = (object: unknown, changes: Record<string, unknown> = {}): Json => {
  const copy = structuredClone(object) as Json;
  for (const [path, value] of Object.entries(changes)) setOne(copy, path, value);
  return copy;
};
