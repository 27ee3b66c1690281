import { expect, it } from 'vitest';
import { createGate, createLane, type Lane, SEATS_PER_TURN } from './gate.ts';
import { createLevel, type Turn } from './level.ts';

const createWorld = () => {
  const time = { now: 0 };
  let next: (() => void)[] = [];
  const gate = createGate(
    (callback) => void next.push(callback),
    () => time.now,
  );
  const settings = { uid: '', exempt: false, queues: 0, handSize: 0, queueLengthMax: 0, shares: 0, lendable: 0 };
  const makeLevel = (name: string, exempt = false) =>
    createLevel(name, { ...settings, exempt, borrowable: undefined }, 0);
  const begun: string[] = [];
  const ask = (lane: Lane, name: string, level = makeLevel('l'), seats = 1): void => {
    const turn = { level, seats, resume: () => void begun.push(name) } as unknown as Turn;
    if (gate.pass(lane, turn)) begun.push(name);
  };
  /** One turn of the loop, so long after the one before; the names of those begun in it. */
  const turn = (ms = 1): string[] => {
    time.now += ms;
    const due = next;
    next = [];
    begun.length = 0;
    for (const callback of due) callback();
    return [...begun];
  };
  return { gate, makeLevel, ask, turn, begun };
};

const count = (names: readonly string[], name: string): number => names.filter((one) => one === name).length;

it('begins so many seats’ worth in a turn, and the rest in the next ones', () => {
  const { gate, ask, turn, begun } = createWorld();
  const lane = createLane();
  for (let i = 0; i < 80; i++) ask(lane, `${i}`);
  expect(begun).toHaveLength(SEATS_PER_TURN);
  expect(gate.waiting).toBe(80 - SEATS_PER_TURN);
  const rest = [...turn(), ...turn(), ...turn()];
  expect(rest).toEqual(Array.from({ length: 80 - SEATS_PER_TURN }, (_, i) => `${i + SEATS_PER_TURN}`));
  expect(gate.waiting).toBe(0);
});

it('counts wide requests as what they are', () => {
  const { makeLevel, ask, begun } = createWorld();
  for (let i = 0; i < 80; i++) ask(createLane(), 'wide', makeLevel('l'), 8);
  expect(begun).toHaveLength(SEATS_PER_TURN / 8);
});

it('serves clusters alike, whatever they did before', () => {
  const { ask, turn } = createWorld();
  const [old, loud, quiet] = [createLane(), createLane(), createLane()];
  for (let i = 0; i < 300; i++) ask(old, 'old');
  while (turn().length > 0);
  for (let i = 0; i < 200; i++) ask(loud, 'loud');
  for (let i = 0; i < 40; i++) ask(old, 'old');
  for (let i = 0; i < 40; i++) ask(quiet, 'quiet');
  const both = [...turn(), ...turn()];
  expect(Math.abs(count(both, 'old') - count(both, 'quiet'))).toBeLessThanOrEqual(SEATS_PER_TURN / 2);
  expect(count(both, 'quiet')).toBeGreaterThan(15);
  expect(count(both, 'loud')).toBeLessThan(25);
});

it('lets the exempt of a cluster go first, and its levels in turns', () => {
  const { makeLevel, ask, turn } = createWorld();
  const lane = createLane();
  const [a, b, exempt] = [makeLevel('a'), makeLevel('b'), makeLevel('exempt', true)];
  for (let i = 0; i < SEATS_PER_TURN; i++) ask(lane, 'first', a);
  for (let i = 0; i < 3; i++) ask(lane, 'a', a);
  for (let i = 0; i < 3; i++) ask(lane, 'b', b);
  for (let i = 0; i < 2; i++) ask(lane, 'exempt', exempt);
  expect(turn()).toEqual(['exempt', 'exempt', 'a', 'b', 'a', 'b', 'a', 'b']);
});

it('begins fewer in a turn while turns are long, and more again when they are short', () => {
  const { ask, turn } = createWorld();
  const lane = createLane();
  for (let i = 0; i < 1000; i++) ask(lane, 'x');
  const sizes = [turn(), turn(40), turn(40), turn(40), turn(40), turn(7), turn(1), turn(1)].map(({ length }) => length);
  expect(sizes).toEqual([32, 16, 8, 4, 4, 4, 6, 8]);
});
