import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const BANNED_NAMES = /(^|[/-])(utils?|helpers?|common|misc)([/.-]|$)/;

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], { cwd: root })
  .toString()
  .split('\n')
  .filter((f) => f !== '' && !f.endsWith('.d.ts') && !f.startsWith('test/behaviour/'));
const sources = new Map(
  files.flatMap((f) => {
    try {
      return [[f, readFileSync(join(root, f), 'utf8')] as const];
    } catch {
      return [];
    }
  }),
);

/** Where a file may import from, by the longest prefix of its path. Ports may be seen by everyone. */
const PORTS = [
  'functions/store/store.ts',
  'functions/store/replica-port.ts',
  'functions/queue/queue.ts',
  'functions/clock/clock.ts',
  'functions/client/client.ts',
  'functions/client/reader.ts',
  'functions/controllers/controller.ts',
  'functions/apiserver/streams.ts',
];
const MAY_IMPORT: Record<string, { from: string[]; instead: string }> = {
  'functions/machinery/': {
    from: ['functions/machinery/', 'facts/'],
    instead: 'machinery is pure: pass what it needs',
  },
  'functions/store/': {
    from: ['functions/machinery/', 'functions/store/'],
    instead: 'a store knows ports and machinery only',
  },
  'functions/queue/': {
    from: ['functions/machinery/', 'functions/queue/', 'functions/clock/'],
    instead: 'see the ports',
  },
  'functions/clock/': { from: ['functions/clock/'], instead: 'a clock imports nothing' },
  'functions/client/': {
    from: ['functions/machinery/', 'functions/client/', 'functions/clock/'],
    instead: 'use fetch',
  },
  'functions/dispatcher/': {
    from: ['functions/machinery/', 'functions/dispatcher/', 'functions/controllers/'],
    instead: 'take the store as its port',
  },
  'functions/controllers/': {
    from: ['functions/machinery/', 'functions/client/', 'functions/controllers/', 'functions/clock/'],
    instead: 'read through the Reader port and write through the Client port',
  },
  'functions/scheduler/': {
    from: ['functions/machinery/', 'functions/client/', 'functions/scheduler/', 'functions/clock/'],
    instead: 'read through the Reader port and write through the Client port',
  },
  'functions/apiserver/': {
    from: [
      'functions/machinery/',
      'functions/store/',
      'functions/client/',
      'functions/clock/',
      'functions/apiserver/',
      'facts/',
    ],
    instead: 'the apiserver reaches nodes through NodeDialer and storage through Store',
  },
  'functions/fleet/': {
    from: [
      'functions/machinery/',
      'functions/store/',
      'functions/client/',
      'functions/clock/',
      'functions/apiserver/',
      'functions/fleet/',
    ],
    instead: 'the fleet knows the apiserver and the store port; entry composes it',
  },
  'agent/': {
    from: ['functions/machinery/', 'functions/client/', 'functions/clock/', 'agent/'],
    instead: 'the agent talks to the apiserver through Client and to containers through Runtime',
  },
};

const importsOf = (file: string, source: string): string[] =>
  [
    ...source.matchAll(/^(?:import|export)\s[^;]*?from\s+'(\.[^']+)'/gm),
    ...source.matchAll(/import\('(\.[^']+)'\)/g),
  ].map((m) => normalize(join(dirname(file), m[1] ?? '')));
const isTest = (file: string): boolean => file.endsWith('.test.ts');

/** Lines of every function that is a statement of its file or a member of one: by indentation, which biome keeps. */
const longFunctions = (source: string): string[] => {
  const lines = source.split('\n');
  const long: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const head = /^(\s*)(?:export )?(?:const (\w+) = (?:async )?(?:<[^(]*>)?\(|(?:async )?function\*? (\w+))/.exec(
      lines[i] ?? '',
    );
    if (!head) continue;
    const indent = head[1] ?? '';
    let end = i;
    while (end < lines.length && !new RegExp(`^${indent}[}\\])].*;?$`).test(lines[end] ?? '')) {
      if (end > i && /^\s*\S/.test(lines[end] ?? '') && !(lines[end] ?? '').startsWith(`${indent} `)) break;
      end++;
    }
    const opensBody = lines.slice(i, end + 1).some((l) => l.startsWith(indent) && / => \{$|\) \{$|\{$/.test(l));
    if (opensBody && end - i + 1 > FUNCTION_LINES_MAX) long.push(`${head[2] ?? head[3]}: ${end - i + 1} lines`);
  }
  return long;
};

describe('tidy', () => {
  it('imports point one way', () => {
    const wrong: string[] = [];
    for (const [file, source] of sources) {
      if (isTest(file)) continue;
      const rule = Object.entries(MAY_IMPORT).find(([prefix]) => file.startsWith(prefix));
      for (const target of importsOf(file, source)) {
        if (target.startsWith('functions/entry/') && !/^(functions\/entry|cli|test|bench)\//.test(file)) {
          wrong.push(`${file} imports ${target}: nothing imports entry`);
        }
        if (!rule || PORTS.includes(target) || rule[1].from.some((p) => target.startsWith(p))) continue;
        wrong.push(`${file} imports ${target}: ${rule[1].instead}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it(`files have at most ${FILE_LINES_MAX} lines`, () => {
    const long = [...sources]
      .map(([f, s]) => [f, s.split('\n').length - 1] as const)
      .filter(([, n]) => n > FILE_LINES_MAX);
    expect(long).toEqual([]);
  });

  it(`functions have at most ${FUNCTION_LINES_MAX} lines`, () => {
    const long = [...sources]
      .filter(([f]) => !isTest(f) && !f.startsWith('test/'))
      .flatMap(([f, s]) => longFunctions(s).map((l) => `${f} ${l}`));
    // A factory (createX; startX and connectX give a thing that already runs) is as long as its methods together, and each
    // of those is counted by itself.
    expect(long.filter((l) => !/ (create|start|connect)\w+: /.test(l))).toEqual([]);
  });

  it('no file is called utils, helpers or common', () => {
    expect(files.filter((f) => BANNED_NAMES.test(f))).toEqual([]);
  });

  it('nothing is left unfinished or skipped without a reason', () => {
    const marks = /\b(TODO|FIXME|XXX)\b|[Nn]ot (yet )?implemented|\b(describe|it|test)\.(only|todo)\(/;
    const found = [...sources].filter(([f]) => f !== 'test/tidy.test.ts').filter(([, s]) => marks.test(s));
    expect(found.map(([f]) => f)).toEqual([]);
  });
});
