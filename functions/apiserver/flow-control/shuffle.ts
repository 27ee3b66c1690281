/**
 * Shuffle sharding: a flow may wait in a few of many queues (its hand), so that two flows rarely share all of theirs.
 * Source: KEP-1040, "Queuing for API request handling".
 */

/** Where hashes start: chosen at random per process, so that nobody can pick names that share another flow's hand. */
export interface ShuffleSeed {
  a: number;
  b: number;
}

const fnv = (start: number, text: string): number => {
  let hash = start | 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16_777_619);
  return hash;
};

/** Well mixed 32 bits from a state (the finalizer of MurmurHash3). */
const mixed = (state: number): number => {
  let x = state;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
};

/** Deals `handSize` different numbers below `queues` into `hand`, the same ones for the same flow. */
export const dealHand = (
  seed: ShuffleSeed,
  schema: string,
  flow: string,
  queues: number,
  handSize: number,
  hand: number[],
): void => {
  let state = fnv(fnv(seed.a, schema) ^ 0x1f, flow);
  const step = fnv(fnv(seed.b, flow) ^ 0x1f, schema) | 1;
  hand.length = 0;
  while (hand.length < handSize) {
    state = (state + step) | 0;
    let card = mixed(state) % (queues - hand.length);
    // The hand is kept sorted: the card counts only among those not dealt yet.
    let at = 0;
    while (at < hand.length && (hand[at] ?? 0) <= card) {
      card++;
      at++;
    }
    hand.splice(at, 0, card);
  }
};
