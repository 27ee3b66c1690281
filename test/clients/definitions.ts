// The definitions of custom resources that well-known projects ship, as their Go modules carry them.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { CustomResourceDefinition } from '../../functions/machinery/kinds.d.ts';

/** Module at a version, and the folder that the definitions lie in. */
const SOURCES = [
  { module: 'github.com/cert-manager/cert-manager@v1.16.2', folder: 'deploy/crds' },
  { module: 'github.com/crossplane/crossplane@v1.18.0', folder: 'cluster/crds' },
] as const;
const DOWNLOAD_MS = 120_000;

const downloaded = (module: string): { path: string } | { missing: string } => {
  const scratch = mkdtempSync(join(tmpdir(), 'skiff-modules-'));
  const env = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '', GOWORK: 'off' };
  const options = { cwd: scratch, encoding: 'utf8', env, timeout: DOWNLOAD_MS } as const;
  const ended = spawnSync('go', ['mod', 'download', '-json', module], options);
  rmSync(scratch, { recursive: true, force: true });
  if (ended.error) return { missing: `go: ${ended.error.message}` };
  const { Dir, Error: why } = JSON.parse(ended.stdout || '{}') as { Dir?: string; Error?: string };
  return Dir && ended.status === 0 ? { path: Dir } : { missing: why ?? ended.stderr.slice(-500) };
};

const readIn = (folder: string): CustomResourceDefinition[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => {
      // Some carry a template of a chart around what is YAML otherwise.
      const text = readFileSync(join(folder, file), 'utf8').replaceAll(/\{\{.*?\}\}/g, '');
      return parseAllDocuments(text).map((document) => document.toJS() as CustomResourceDefinition | null);
    })
    .filter((one): one is CustomResourceDefinition => one?.kind === 'CustomResourceDefinition');

/** All of them, or why they could not be had. */
export const shippedDefinitions = (): { definitions: CustomResourceDefinition[] } | { missing: string } => {
  const definitions: CustomResourceDefinition[] = [];
  for (const { module, folder } of SOURCES) {
    const found = downloaded(module);
    if ('missing' in found) return { missing: `${module}: ${found.missing}` };
    definitions.push(...readIn(join(found.path, folder)));
  }
  return { definitions };
};
