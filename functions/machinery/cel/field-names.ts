/** Words that are no names in expressions (cel-spec, "Syntax"), and how Kubernetes spells fields that are called so. */
export const RESERVED_WORDS: ReadonlySet<string> = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);
const ESCAPES: Record<string, string> = { __: '__underscores__', '.': '__dot__', '-': '__dash__', '/': '__slash__' };

/** A field's name as an identifier of the language; undefined where it has none. */
export const escapeName = (name: string): string | undefined => {
  if (!/^[a-zA-Z_.\-/][a-zA-Z0-9_.\-/]*$/.test(name)) return undefined;
  if (RESERVED_WORDS.has(name)) return `__${name}__`;
  return name.replace(/__|[.\-/]/g, (part) => ESCAPES[part] ?? part);
};

/** The names by which expressions know a field: a keyword may also stand for itself after a dot, self.namespace. */
export const namesOf = (json: string): string[] => {
  const name = escapeName(json);
  if (name === undefined) return [];
  return RESERVED_WORDS.has(json) ? [name, json] : [name];
};
