import type { Random } from './random.ts';
import { nastyTexts } from './values.ts';
import type { Memory } from './world.ts';

type Chooser = (random: Random, memory: Memory) => string;
const one =
  (...from: string[]): Chooser =>
  (random) =>
    random.pick(from);
const version: Chooser = (random, memory) =>
  random.chance(0.6)
    ? random.pick(memory.versions)
    : random.pick(['', '0', '1', '-1', 'x', '9'.repeat(19), '9'.repeat(60), '1e3', '0x1', ' 1', '00']);
const selector = one(
  ...[
    'a=b',
    'l=1',
    'a',
    '!a',
    'a in (b,c)',
    'a notin (b)',
    'a!=b',
    'a>1',
    'app==x,tier!=y',
    'a in ()',
    'a in (',
    ',',
    '=',
    'a=b=c',
    'a in (b',
    '(a)',
  ],
);
const fieldSelector = one(
  ...[
    'metadata.name=n0-l0',
    'metadata.namespace=fuzz-0',
    'metadata.namespace!=fuzz-0',
    'status.phase=Running',
    'spec.nodeName=',
    'spec.mode=a',
  ],
  ...[
    'type=Opaque',
    'spec.unschedulable=true',
    'x=y',
    'metadata.name',
    'metadata.name=a,metadata.name=b',
    '=',
    'metadata.name==a\\,b',
    'a!b',
  ],
);
const flag = one('', 'true', 'false', '1', '0', 'x', 'TRUE');

const common: Record<string, Chooser> = { pretty: flag };
const reads: Record<string, Chooser> = {
  ...common,
  limit: one('1', '2', '500', '0', '-1', 'x', '9999999999999999999999', '1.5', ''),
  continue: (random, memory) => {
    if (memory.tokens.length > 0 && random.chance(0.6)) return random.pick(memory.tokens);
    const bent = [
      null,
      {},
      [],
      { v: 'meta.k8s.io/v1', rv: '1', start: '\u0000' },
      { v: 'meta.k8s.io/v1', rv: '-1', start: 'a' },
    ];
    const token = {
      v: 'meta.k8s.io/v1',
      rv: random.pick(memory.versions),
      start: random.pick(['a', '', '/', '../x', '\ud800']),
    };
    return Buffer.from(JSON.stringify(random.pick([...bent, token]))).toString('base64url');
  },
  resourceVersion: version,
  resourceVersionMatch: one('Exact', 'NotOlderThan', 'x', ''),
  labelSelector: selector,
  fieldSelector,
  timeoutSeconds: one('1', '0', '-1', 'x', '9'.repeat(30)),
  includeObject: one('None', 'Metadata', 'Object', 'x'),
  sendInitialEvents: flag,
  allowWatchBookmarks: flag,
  watch: one('0', 'false'),
};
const writes: Record<string, Chooser> = {
  ...common,
  dryRun: one('All', 'All', 'All', '', 'x', 'all'),
  fieldManager: one('m1', 'm2', 'x'.repeat(128), 'x'.repeat(129), 'a\u0000', 'é', ''),
  fieldValidation: one('Ignore', 'Warn', 'Strict', 'Strict', 'x', ''),
};
const patches: Record<string, Chooser> = { ...writes, force: flag };
const deletes: Record<string, Chooser> = {
  ...writes,
  ...reads,
  gracePeriodSeconds: one('0', '1', '30', '-1', 'x', '99999999999999999999', ''),
  propagationPolicy: one('Orphan', 'Background', 'Foreground', 'x', ''),
  orphanDependents: flag,
  ignoreStoreReadErrorWithClusterBreakingPotential: flag,
};
const byVerb: Record<string, Record<string, Chooser>> = {
  get: reads,
  list: reads,
  watch: reads,
  create: writes,
  update: writes,
  patch: patches,
  delete: deletes,
  deletecollection: deletes,
};

const encode = (random: Random, text: string): string => {
  if (random.chance(0.02)) return text.replace(/[\s#]/g, '+');
  return encodeURIComponent(text.toWellFormed());
};

/** The query of a verb, with its `?`; '' for most requests. `must` are there always. */
export const queryOf = (random: Random, memory: Memory, verb: string, must: Record<string, string>): string => {
  const parts = Object.entries(must).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const known = Object.entries(byVerb[verb] ?? reads);
  const density = random.pick([0, 0, 0, 0.1, 0.1, 0.25, 0.5]);
  for (const [name, choose] of known) {
    if (Object.hasOwn(must, name) || !random.chance(density)) continue;
    const value = random.chance(0.05) ? random.pick(nastyTexts) : choose(random, memory);
    parts.push(`${name}=${encode(random, value)}`);
  }
  if (random.chance(0.02))
    parts.push(
      random.pick(['%', '%zz=1', '=', '&&', '__proto__=1', `${'a'.repeat(4000)}=b`, 'a=%00', 'container=', '?']),
    );
  return parts.length > 0 ? `?${parts.join('&')}` : '';
};
