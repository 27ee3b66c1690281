// Runs the project's checks and tests, and ends with one line: N passed, N failed.
//   node test/run.ts all | unit | check | STEP...
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

interface Counts {
  passed: number;
  failed: number;
}
interface Step {
  name: string;
  run(): Promise<Counts>;
}

const root = join(import.meta.dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'skiff-test-'));
const bin = (name: string): string => join(root, 'node_modules/.bin', name);
const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}`, SKIFF_FREEZE: '1' };

/** Runs a command to its end; `keep` collects its standard output as well as showing it. */
const execute = (command: string, args: string[], keep = false): Promise<{ code: number; output: string }> =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env, stdio: ['inherit', keep ? 'pipe' : 'inherit', 'inherit'] });
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      process.stdout.write(chunk);
    });
    child.on('error', (error) => resolve({ code: 1, output: String(error) }));
    child.on('exit', (code) => resolve({ code: code ?? 1, output }));
  });

const command = (name: string, program: string, args: string[]): Step => ({
  name,
  run: async () => {
    const { code } = await execute(program, args);
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 };
  },
});

/** A vitest project; a run that dies before it reports counts as one failure. */
const vitest = (project: string): Step => ({
  name: `vitest ${project}`,
  run: async () => {
    const report = join(scratch, `${project}.json`);
    const args = ['run', '--project', project, '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`];
    const { code } = await execute(bin('vitest'), args);
    try {
      const { numPassedTests: passed, numFailedTests: failed } = JSON.parse(readFileSync(report, 'utf8'));
      return { passed, failed: failed === 0 && code !== 0 ? 1 : failed };
    } catch {
      return { passed: 0, failed: 1 };
    }
  },
});

/** A program whose last line is `N passed, N failed` and whose exit code says whether its own measure held. */
const program = (name: string, file: string, args: string[] = []): Step => ({
  name,
  run: async () => {
    const { code, output } = await execute(process.execPath, [join(root, file), ...args], true);
    const last = /^(\d+) passed, (\d+) failed$/m.exec(output.trim().split('\n').at(-1) ?? '');
    return { passed: last ? Number(last[1]) : 0, failed: code === 0 ? 0 : 1 };
  },
});

/** Replays recorded cases; its floors are what must hold. */
const replay = (name: string, file: string): Step => program(name, file, ['--floors']);

const steps: Record<string, Step> = {
  setup: command('set-up', process.execPath, [join(root, 'test/setup.ts')]),
  types: command('types', bin('tsc'), []),
  lint: command('lint and format', bin('biome'), ['check', '--error-on-warnings', '.']),
  tidy: command('tidy', bin('vitest'), ['run', '--project', 'unit', 'test/tidy.test.ts', '--reporter=dot']),
  unit: vitest('unit'),
  integration: vitest('integration'),
  api: replay('recorded API server', 'test/replay/api.ts'),
  tables: program('behaviour tables', 'test/behaviour-tables/run.ts'),
  scheduler: replay('recorded scheduler', 'test/replay/scheduler.ts'),
  fuzz: command('fuzz of the API server', process.execPath, [join(root, 'test/fuzz/run.ts'), '--requests', '30000']),
  controllers: replay('recorded controllers', 'test/replay/controllers.ts'),
  simulation: program('store simulation', 'test/simulation/dynamodb.ts', ['--seeds', '10000']),
  clients: vitest('clients'),
  e2e: vitest('e2e'),
  cloud: program('cloud on stand-ins', 'test/cloud/run.ts'),
};
const suites: Record<string, string[]> = {
  all: [
    'setup',
    'types',
    'lint',
    'unit',
    'integration',
    'simulation',
    'api',
    'tables',
    'scheduler',
    'controllers',
    'clients',
    'e2e',
    'cloud',
  ],
  unit: ['unit'],
  check: ['types', 'lint', 'tidy'],
};

const wanted = process.argv.slice(2).flatMap((name) => suites[name] ?? [name]);
const total: Counts = { passed: 0, failed: 0 };
const summary: string[] = [];
for (const name of wanted) {
  const step = steps[name];
  if (!step) throw new Error(`no step "${name}": ${Object.keys({ ...suites, ...steps }).join(', ')}`);
  console.log(`\n== ${step.name}`);
  const began = Date.now();
  const counts = await step.run();
  total.passed += counts.passed;
  total.failed += counts.failed;
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  summary.push(`${step.name.padEnd(24)} ${counts.passed} passed, ${counts.failed} failed in ${seconds} s`);
}
rmSync(scratch, { recursive: true, force: true });
console.log(`\n${summary.join('\n')}\n(${availableParallelism()} cores, Node ${process.versions.node})`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
