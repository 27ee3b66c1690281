// Plays the recorded scenarios of the controller manager against the controllers: `npm run replay:controllers -- [FOLDER]`.
// `--id PATTERN` (a `*` stands for anything), `--verbose` prints every difference. `--floors` ends with 0 when every
// controller passes at least as many as controllers-floors.json says, 1 otherwise. Pure: no server, a simulated clock.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { play, type Scenario } from './controllers/play.ts';

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: {
    id: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    floors: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const folder = positionals[0] ?? join(import.meta.dirname, '../behaviour/controllers');
const pattern = values.id ? new RegExp(`^${values.id.split('*').join('.*')}$`) : /./;

/** Scenarios of each controller that must pass: raised by hand when more do. */
const floors = JSON.parse(readFileSync(join(import.meta.dirname, 'controllers-floors.json'), 'utf8')) as Record<
  string,
  number
>;
const below: string[] = [];

let passed = 0;
let failed = 0;
for (const file of readdirSync(folder)
  .filter((name) => name.endsWith('.jsonl'))
  .sort()) {
  const scenarios = readFileSync(join(folder, file), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Scenario)
    .filter((scenario) => pattern.test(scenario.id));
  let good = 0;
  const bad: string[] = [];
  for (const scenario of scenarios) {
    const { ok, differences } = await play(scenario);
    if (ok) good++;
    else bad.push(values.verbose ? `${scenario.id}: ${differences.join('\n    ')}` : scenario.id);
  }
  if (scenarios.length === 0) continue;
  passed += good;
  failed += bad.length;
  const controller = file.replace('.jsonl', '');
  const floor = floors[controller] ?? 0;
  if (good < floor) below.push(`${controller}: ${good} passed, its floor is ${floor}`);
  console.log(
    `${controller}: ${good}/${scenarios.length}${bad.length > 0 ? ` (${bad.join(values.verbose ? '\n  ' : ', ')})` : ''}`,
  );
}
if (values.floors) {
  for (const line of below) console.error(`below its floor: ${line}`);
  if (below.length > 0) process.exitCode = 1;
}
console.log(`${passed} passed, ${failed} failed`);
