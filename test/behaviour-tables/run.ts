// Runs the behaviour tables against an embedded server, or any other, and ends with one line: N passed, N failed.
//   node test/behaviour-tables/run.ts [PART OF A FILE'S NAME] [--case PART OF A NAME]
//     [--server URL --token TOKEN | --server URL --cert FILE --key FILE]
import { parseArgs } from 'node:util';
import { startApiServer } from '../replay/api-server.ts';
import { readCases } from './cases.ts';
import { createSender } from './client.ts';
import { runCases } from './runner.ts';

const WORKERS = 24;
const text = { type: 'string' } as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { case: text, server: text, token: text, cert: text, key: text },
});

const { server: url, token, cert, key } = values;
const embedded = url === undefined ? await startApiServer({ controllers: false }) : undefined;
const send = createSender({
  url: url ?? embedded?.url ?? '',
  ...((token ?? embedded) && { token: token ?? embedded?.token ?? '' }),
  ...(cert && key && { cert, key }),
});
const cases = readCases(positionals[0]).filter((one) => one.name.includes(values.case ?? ''));
const areas = new Map<string, { passed: number; failed: number }>();
await runCases(send, cases, WORKERS, ({ case: one, failures }) => {
  const counts = areas.get(one.area) ?? { passed: 0, failed: 0 };
  areas.set(one.area, counts);
  if (failures.length === 0) counts.passed++;
  else {
    counts.failed++;
    console.log(`\n${one.id}\n  follows ${one.follows}\n  ${failures.join('\n  ')}`);
  }
});
embedded?.close();
const totals = { passed: 0, failed: 0 };
for (const [area, { passed, failed }] of [...areas].sort()) {
  console.log(`${area}: ${passed} passed, ${failed} failed`);
  totals.passed += passed;
  totals.failed += failed;
}
console.log(`${totals.passed} passed, ${totals.failed} failed`);
// The server's timers would keep the process.
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0);
