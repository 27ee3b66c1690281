// Starts an embedded server and replays the recorded API cases against it; arguments go on to the replayer.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startApiServer } from './api-server.ts';

const server = await startApiServer({ controllers: true });

// With --floors the run passes when no area falls below its committed floor; without, when every case passes.
const floorsFile = join(import.meta.dirname, 'api-floors.json');
const against = process.argv.includes('--floors');
const own = process.argv.slice(2).filter((argument) => argument !== '--floors');
// Most cases wait for something (a watch's end, a condition), so many run at once.
const given = own.includes('--workers') ? own : [...own, '--workers', '24'];

const belowFloor = (report: string): string[] => {
  const floors = JSON.parse(readFileSync(floorsFile, 'utf8')) as Record<string, number>;
  const passed = new Map<string, number>();
  for (const [, area = '', count = ''] of report.matchAll(/^(\w+): (\d+) passed, \d+ failed$/gm))
    passed.set(area, Number(count));
  const asked = given.includes('--area') ? [given[given.indexOf('--area') + 1] ?? ''] : Object.keys(floors);
  return asked
    .filter((area) => (passed.get(area) ?? 0) < (floors[area] ?? 0))
    .map((area) => `${area}: ${passed.get(area) ?? 0} passed, its floor is ${floors[area]}`);
};

const replayer = join(import.meta.dirname, '../behaviour/replay.mjs');
const child = spawn(process.execPath, [replayer, ...given, '--server', server.url, '--token', server.token], {
  stdio: ['inherit', 'pipe', 'inherit'],
});
let report = '';
child.stdout.on('data', (chunk: Buffer) => {
  report += chunk;
  process.stdout.write(chunk);
});
child.on('close', (code) => {
  server.close();
  const finished = /^\d+ passed, \d+ failed$/m.test(report);
  const below = against && finished ? belowFloor(report) : [];
  for (const line of below) console.error(`below its floor: ${line}`);
  process.exitCode = against && finished ? Number(below.length > 0) : (code ?? 1);
  setTimeout(() => process.exit(), 100).unref();
});
