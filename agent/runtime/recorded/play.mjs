// Stands in for nerdctl: answers each call with what the real one answered to the same call (RECORDED), in order by verb,
// and notes what it was asked (CALLS). `events` tells all at once and then waits for its end.
import { appendFileSync, readFileSync } from 'node:fs';

const GLOBAL_FLAGS = 12;
const args = process.argv.slice(2 + GLOBAL_FLAGS);
const { calls, events } = JSON.parse(readFileSync(process.env.RECORDED, 'utf8'));
const log = process.env.CALLS;
const verbOf = (words) => (words[0] === 'image' ? `image ${words[1]}` : words[0]);

if (args[0] === 'events') {
  process.stdout.write(`${events.join('\n\n')}\n`);
  setInterval(() => {}, 60_000);
} else {
  let before = [];
  try {
    before = readFileSync(log, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  } catch {}
  const verb = verbOf(args);
  const at = before.filter((words) => verbOf(words) === verb).length;
  const answer = calls.filter((call) => verbOf(call.args) === verb)[at];
  appendFileSync(log, `${JSON.stringify(args)}\n`);
  if (!answer) throw new Error(`nothing was recorded for ${args.join(' ')}`);
  process.stdout.write(answer.stdout);
  process.stderr.write(answer.stderr);
  process.exitCode = answer.code;
}
