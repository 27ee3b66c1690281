// The clients that are built for the tests: each is built once and kept in .cache/clients, by what it is built from.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const HERE = import.meta.dirname;
const CACHE = join(HERE, '../../.cache/clients');

/** Where a tool is, or why it is not there. */
export type Tool = { path: string } | { missing: string };

/** What is built, in the order of importance: what the time does not suffice for is skipped. */
export const toolNames = ['clients', 'helm3', 'helm4', 'kubectl-1.36', 'kubectl-1.37', 'python'] as const;
export type ToolName = (typeof toolNames)[number];

interface Recipe {
  /** Whatever changes it makes another tool. */
  inputs: string;
  /** Commands run one after another in an empty folder, which holds `program` in the end. */
  commands: string[][];
  program: string;
}

const VERSION_PACKAGE = 'k8s.io/component-base/version';

/** Stock kubectl from its module: `go install k8s.io/kubernetes/cmd/kubectl` is refused for its replacements. */
const kubectl = (minor: number, module: string): Recipe => {
  const folder = join(HERE, 'kubectl/build');
  const flags = { gitVersion: `v1.${minor}.0`, gitMajor: '1', gitMinor: String(minor) };
  const stamps = Object.entries(flags).map(([name, value]) => `-X ${VERSION_PACKAGE}.${name}=${value}`);
  return {
    inputs: `${readFileSync(join(folder, 'main.go'), 'utf8')}${module}`,
    commands: [
      ['cp', join(folder, 'main.go'), '.'],
      ['go', 'mod', 'init', 'skiff.dev/test/kubectl'],
      ['go', 'get', `k8s.io/kubectl@${module}`],
      ['go', 'mod', 'tidy'],
      ['go', 'build', '-o', 'kubectl', '-ldflags', `-s -w ${stamps.join(' ')}`, '.'],
    ],
    program: 'kubectl',
  };
};

/** The environment's GOBIN is the folder that is built in. */
const installed = (module: string, program: string): Recipe => ({
  inputs: module,
  commands: [['go', 'install', '-ldflags=-s -w', module]],
  program,
});

const recipes: Record<ToolName, () => Recipe> = {
  clients: () => {
    const folder = join(HERE, 'go');
    const files = readdirSync(folder).sort();
    return {
      inputs: files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\0'),
      commands: [
        ['cp', '-r', `${folder}/.`, '.'],
        ['go', 'build', '-o', 'clients', '-ldflags', '-s -w', '.'],
      ],
      program: 'clients',
    };
  },
  helm3: () => installed('helm.sh/helm/v3/cmd/helm@v3.22.0', 'helm'),
  helm4: () => installed('helm.sh/helm/v4/cmd/helm@v4.3.1', 'helm'),
  'kubectl-1.36': () => kubectl(36, 'v0.36.1'),
  'kubectl-1.37': () => kubectl(37, 'v0.37.2'),
  python: () => ({
    inputs: 'kubernetes==37.0.2',
    commands: [
      ['python3', '-m', 'venv', 'venv'],
      ['venv/bin/pip', 'install', '--quiet', '--disable-pip-version-check', 'kubernetes==37.0.2'],
    ],
    program: 'venv/bin/python',
  }),
};

const runIn = (folder: string, command: string[], ms: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const [program = '', ...args] = command;
    const env = { ...process.env, GOBIN: folder, GOTOOLCHAIN: 'local', GOFLAGS: '-buildvcs=false', GOWORK: 'off' };
    // A group of its own, so that a compiler of a build that takes too long ends with it.
    const child = spawn(program, args, { cwd: folder, env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
    }, ms);
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-500);
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve(`${program}: ${error.message}`);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      if (late) resolve(`${command.join(' ')} took more than the ${Math.round(ms / 1000)} s that were left`);
      else resolve(code === 0 ? undefined : `${command.join(' ')} ended with ${code}: ${errors.trim()}`);
    });
  });

/** The tool, built within `ms` where it is not kept from before. */
export const build = async (name: ToolName, ms: number): Promise<Tool> => {
  const { inputs, commands, program } = recipes[name]();
  const key = createHash('sha256').update(inputs).digest('hex').slice(0, 12);
  const kept = join(CACHE, `${name}-${key}`);
  const done = join(kept, '.done');
  if (existsSync(done)) return { path: join(kept, program) };
  // Virtual environments hold their own path, so nothing is moved into place: .done says that it is whole.
  rmSync(kept, { recursive: true, force: true });
  mkdirSync(kept, { recursive: true });
  const until = Date.now() + ms;
  for (const command of commands) {
    const missing = await runIn(kept, command, Math.max(0, until - Date.now()));
    if (missing === undefined) continue;
    rmSync(kept, { recursive: true, force: true });
    return { missing };
  }
  writeFileSync(`${done}.new`, '');
  renameSync(`${done}.new`, done);
  return { path: join(kept, program) };
};
