import type { Json, JsonObject } from '../../functions/machinery/object.ts';
import type { Random } from './random.ts';
import { anything, nastyKeys, put, scalar } from './values.ts';

/** Stands in a value for what is too deep to build; `writeJson` (bodies.ts) puts text in its place. */
export const deepMark = '@deep@';

/** A place in a value: `holder[key]`. */
interface Place {
  holder: JsonObject | Json[];
  key: string | number;
}

const isHolder = (value: Json | undefined): value is JsonObject | Json[] => typeof value === 'object' && value !== null;
const read = ({ holder, key }: Place): Json | undefined =>
  Array.isArray(holder) ? holder[key as number] : Object.hasOwn(holder, key) ? holder[key] : undefined;
const write = ({ holder, key }: Place, value: Json): void => {
  if (Array.isArray(holder)) holder[key as number] = value;
  else put(holder, String(key), value);
};
const remove = ({ holder, key }: Place): void => {
  if (Array.isArray(holder)) holder.splice(key as number, 1);
  else delete holder[key];
};

/** Every place in a value, at most 2,000. */
const placesOf = (root: Json): Place[] => {
  const places: Place[] = [];
  const walk = (value: Json | undefined): void => {
    if (!isHolder(value) || places.length > 2000) return;
    const keys = Array.isArray(value) ? value.keys() : Object.keys(value);
    for (const key of keys) {
      const place = { holder: value, key };
      places.push(place);
      walk(read(place));
    }
  };
  walk(root);
  return places;
};

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));

const swapType = (random: Random, value: Json | undefined): Json => {
  const number = isHolder(value) ? 0 : Number(value) || 0;
  const options: Json[] = [textOf(value), number, true, null, [], {}, [value ?? null], { a: value ?? null }];
  return random.pick(options);
};

/** Values that only size makes special; few, for their cost. */
const large = (random: Random, value: Json | undefined): Json => {
  const of = random.int(20);
  if (of === 0) return 'x'.repeat(random.pick([1_100_000, 2_000_000, 4_000_000, 10_000_000]));
  if (of === 1) return Array.from({ length: 100_000 }, () => (isHolder(value) ? null : (value ?? null)));
  if (of === 2) return Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, 'v']));
  if (of < 8) return deepMark;
  return 'y'.repeat(random.pick([100, 1024, 65_536, 262_145]));
};

const clone = (value: Json | undefined): Json => (value === undefined ? null : structuredClone(value));

const mutators: readonly ((random: Random, place: Place, places: readonly Place[]) => void)[] = [
  (_, place) => remove(place),
  (random, place) => write(place, scalar(random)),
  (random, place) => write(place, scalar(random)),
  (random, place) => write(place, swapType(random, read(place))),
  (random, place) => write(place, anything(random)),
  (random, place, places) => write(place, clone(read(random.pick(places)))),
  (random, place) => {
    const value = read(place);
    if (Array.isArray(value) && value.length > 0) value.push(clone(random.pick(value)));
    else write(place, null);
  },
  (random, place) => {
    const value = read(place);
    if (isHolder(value) && !Array.isArray(value)) put(value, random.pick(nastyKeys), anything(random));
    else write(place, [clone(value), clone(value)]);
  },
  (random, place) => {
    const value = read(place);
    if (Array.isArray(value)) value.splice(random.int(value.length + 1), 0, anything(random));
    else write(place, '');
  },
  (random, place) => {
    const value = clone(read(place));
    remove(place);
    if (Array.isArray(place.holder)) place.holder.push(value);
    else put(place.holder, random.pick(nastyKeys), value);
  },
  (random, place) => {
    if (random.chance(0.03)) write(place, large(random, read(place)));
    else write(place, random.chance(0.5) ? {} : []);
  },
];

/** Changes a value in place, `times` times, at random places. */
export const mutate = (random: Random, value: Json, times: number): void => {
  for (let i = 0; i < times; i++) {
    const places = placesOf(value);
    if (places.length === 0) return;
    random.pick(mutators)(random, random.pick(places), places);
  }
};
