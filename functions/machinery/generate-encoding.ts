// Writes facts/encoding.json: for every type of facts/facts.json the order of its fields in JSON and how each is left out
// when empty. Reads the Go declarations of the four published modules that hold the types:
//   go mod download k8s.io/api@v0.36.3 k8s.io/apimachinery@v0.36.3 k8s.io/apiextensions-apiserver@v0.36.3 k8s.io/kube-aggregator@v0.36.3
//   node functions/machinery/generate-encoding.ts "$(go env GOMODCACHE)/k8s.io" v0.36.3
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [modules = '', version = 'v0.36.3'] = process.argv.slice(2);
const root = join(import.meta.dirname, '../..');
const facts = JSON.parse(readFileSync(join(root, 'facts/facts.json'), 'utf8')) as {
  types: Record<string, Record<string, unknown>>;
};

const folderOf = (pkg: string): string => {
  const path = pkg.replace(/^[~+*]+/, '').replaceAll('.', '/');
  if (pkg.startsWith('~~')) return join(modules, `apimachinery@${version}`, 'pkg', path);
  if (pkg.startsWith('~')) return join(modules, `apimachinery@${version}`, 'pkg/apis', path);
  if (pkg.startsWith('+')) return join(modules, `apiextensions-apiserver@${version}`, 'pkg/apis', path);
  if (pkg.startsWith('*')) return join(modules, `kube-aggregator@${version}`, 'pkg/apis', path);
  return join(modules, `api@${version}`, path);
};

/** Struct name -> its field lines, for one Go package. */
const cache = new Map<string, Map<string, string[]>>();
const structsOf = (pkg: string): Map<string, string[]> => {
  const known = cache.get(pkg);
  if (known) return known;
  const found = new Map<string, string[]>();
  cache.set(pkg, found);
  const folder = folderOf(pkg);
  if (!existsSync(folder)) return found;
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.go') && !/_test|generated|zz_/.test(f))) {
    const text = readFileSync(join(folder, file), 'utf8');
    for (const m of text.matchAll(/^type (\w+) struct \{\n([\s\S]*?)^\}/gm)) {
      found.set(m[1] ?? '', (m[2] ?? '').split('\n'));
    }
  }
  return found;
};

const embedded = (pkg: string, type: string): [string, string] => {
  const [alias, name] = type.includes('.') ? (type.split('.') as [string, string]) : ['', type];
  if (!alias) return [pkg, name];
  if (alias === 'metav1') return ['~meta.v1', name];
  return [pkg.startsWith('admissionregistration') ? 'admissionregistration.v1' : 'core.v1', name];
};

/** `name` omitted when empty; then `*` pointer, `!` never omitted, `~` omitted when zero. */
const fieldsOf = (pkg: string, name: string): string[] => {
  const out: string[] = [];
  for (const line of structsOf(pkg).get(name) ?? []) {
    const m = /^\s*(?:(\w+)\s+)?(\S+)\s+`(?:[^`]*\s)?json:"([^"]*)"/.exec(line);
    if (!m) continue;
    const [json = '', ...options] = (m[3] ?? '').split(',');
    const type = m[2] ?? '';
    if (json === '-') continue;
    if (json === '') {
      const [p, n] = embedded(pkg, type.replace(/^\*/, ''));
      out.push(...(n === 'TypeMeta' ? ['kind', 'apiVersion'] : fieldsOf(p, n)));
      continue;
    }
    const left = options.includes('omitzero') ? '~' : options.includes('omitempty') ? '' : '!';
    out.push(`${json}${type.startsWith('*') ? '*' : ''}${left}`);
  }
  return out;
};

const table: Record<string, string> = {};
const missing: string[] = [];
for (const [type, fields] of Object.entries(facts.types)) {
  const cut = type.lastIndexOf('.');
  const own = fieldsOf(type.slice(0, cut), type.slice(cut + 1));
  // An alpha type may be declared as the stable one of the same name.
  const found = own.length
    ? own
    : fieldsOf(type.slice(0, cut).replace(/v1(alpha|beta)\d+$/, 'v1'), type.slice(cut + 1));
  const names = new Set(found.map((f) => f.replace(/[*!~]+$/, '')));
  for (const field of Object.keys(fields)) if (field && !names.has(field)) missing.push(`${type}.${field}`);
  const known = found.filter((f) => f.replace(/[*!~]+$/, '') in fields);
  if (known.length) table[type] = known.join(' ');
}
writeFileSync(join(root, 'facts/encoding.json'), `${JSON.stringify(table)}\n`);
console.log(`${Object.keys(table).length} types, not found: ${missing.length} ${missing.slice(0, 20).join(' ')}`);
