// Plays the recorded scenarios of the scheduler against ours: `npm run replay:scheduler -- [FOLDER] [--floors]`.
// `--id PATTERN` (a `*` stands for anything), `--verbose` prints every difference. Pure: no server, a simulated clock.
// Exit code 1 where a scenario fails; with --floors only where an area passes fewer than recorded in scheduler/floors.json.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { type ProfileConfig, profileOf } from '../../functions/scheduler/profile.ts';
import { play, type Scenario } from './scheduler/play.ts';

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: {
    id: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    floors: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const folder = positionals[0] ?? join(import.meta.dirname, '../behaviour/scheduler');
const pattern = values.id ? new RegExp(`^${values.id.split('*').join('.*')}$`) : /./;
const config = parse(readFileSync(join(folder, 'profiles.yaml'), 'utf8')) as { profiles: ProfileConfig[] };
const profiles = config.profiles.map(profileOf);
const floors = JSON.parse(readFileSync(join(import.meta.dirname, 'scheduler/floors.json'), 'utf8')) as Record<
  string,
  number
>;

let passed = 0;
let failed = 0;
let fell = false;
for (const file of readdirSync(folder).sort()) {
  if (!file.endsWith('.jsonl')) continue;
  const area = file.replace('.jsonl', '');
  const lines = readFileSync(join(folder, file), 'utf8').split('\n');
  const scenarios = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Scenario);
  const chosen = scenarios.filter((scenario) => pattern.test(scenario.id));
  const bad: string[] = [];
  for (const scenario of chosen) {
    const differences = await play(scenario, profiles);
    if (differences.length === 0) continue;
    bad.push(values.verbose ? `${scenario.id}\n    ${differences.join('\n    ')}` : scenario.id);
  }
  if (chosen.length === 0) continue;
  const good = chosen.length - bad.length;
  passed += good;
  failed += bad.length;
  const below = values.floors && good < (floors[area] ?? 0);
  fell ||= below;
  console.log(`${area}: ${good}/${chosen.length}${below ? ` (below its floor of ${floors[area]})` : ''}`);
  for (const line of bad) console.log(`  ${line}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = (values.floors ? fell : failed > 0) ? 1 : 0;
