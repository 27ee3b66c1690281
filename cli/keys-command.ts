import { createHttp2Fetch } from '../functions/client/http2-fetch.ts';
import type { KeyAnswer, KeyKind, KeyOperations, KeysStatus } from '../functions/entry/key-operations.ts';
import { readAccess } from './access.ts';
import { hasDeployment } from './cloud/deployment.ts';
import { CommandError, dataDirectory, parse, UsageError } from './command.ts';
import { isRunning, readState } from './directory.ts';

interface Opened extends KeyOperations {
  close(): Promise<void>;
}

/** The keys of a running server, which alone may change them. */
const inServer = (directory: string): Opened => {
  if (!isRunning(readState(directory)))
    throw new CommandError(`start it first: ./skiff up --detach --data ${directory}`);
  const { server, caCert, token } = readAccess(directory);
  const fetch2 = createHttp2Fetch({ ca: caCert, token });
  const call = async <T>(body?: object): Promise<T> => {
    const init = body ? { method: 'POST', body: JSON.stringify(body) } : {};
    const response = await fetch2(new Request(`${server}/skiff.dev/keys`, init));
    const told = (await response.json()) as T & { message?: string };
    if (response.ok) return told;
    if (response.status === 409) return { refused: told.message ?? 'refused' } as T;
    throw new CommandError(told.message ?? `the server answers ${response.status}`);
  };
  return {
    status: () => call<KeysStatus>(),
    rotate: (what) => call<KeyAnswer>({ action: 'rotate', what }),
    remove: (what, name) => call<KeyAnswer>({ action: 'remove', what, name }),
    close: async () => fetch2.close(),
  };
};

const inTable = async (directory: string): Promise<Opened> => {
  const { openDeployment } = await import('./cloud/keys.ts');
  const { cloudKeyOperations } = await import('../functions/entry/cloud/key-operations.ts');
  const opened = await openDeployment(directory);
  return { ...cloudKeyOperations({ ...opened, log: console.log }), close: () => opened.inner.close() };
};

const shown = ({ signing, encryption }: KeysStatus): string[] => [
  'keys that sign tokens:',
  ...signing.map(({ kid, createdAt, state, signsFrom, tokensEndBy }) => {
    const more = signsFrom ? ` signs from ${signsFrom}` : tokensEndBy ? ` its tokens end by ${tokensEndBy}` : '';
    return `  ${kid}  ${state}${createdAt ? `  made ${createdAt}` : ''}${more}`;
  }),
  'keys that encrypt values at rest:',
  ...encryption.keys.map(({ name, createdAt }) => `  ${name}  made ${createdAt}`),
  `what encrypts now: ${encryption.writers || 'nothing'}`,
  ...(encryption.rewritten ? [] : ['values of older keys are being encrypted anew']),
  'stored values by key:',
  ...Object.entries(encryption.values).map(([name, count]) => `  ${count}\t${name}`),
];

const told = (answer: KeyAnswer, done: (name: string) => string): number => {
  if ('refused' in answer) throw new CommandError(answer.refused);
  console.log(done(answer.name));
  return 0;
};

const kindOf = (values: { signing?: boolean | undefined; encryption?: boolean | undefined }): KeyKind => {
  if (values.signing === values.encryption) throw new UsageError('say --signing or --encryption');
  return values.signing ? 'signing' : 'encryption';
};

const options = {
  data: { type: 'string' },
  signing: { type: 'boolean' },
  encryption: { type: 'boolean' },
} as const;

/** `skiff keys status`, `skiff keys rotate --signing|--encryption`, `skiff keys remove --signing|--encryption NAME` */
export const run = async (args: string[]): Promise<number> => {
  const { values, positionals } = parse(args, options, 2);
  const [action, name] = positionals;
  if (action !== 'status' && action !== 'rotate' && action !== 'remove')
    throw new UsageError('keys takes status, rotate or remove');
  if ((action === 'remove') !== (name !== undefined)) throw new UsageError('remove takes the name of a key');
  const what = action === 'status' ? 'signing' : kindOf(values);
  const directory = dataDirectory(values.data);
  const keys = hasDeployment(directory) ? await inTable(directory) : inServer(directory);
  try {
    if (action === 'status') {
      for (const line of shown(await keys.status())) console.log(line);
      return 0;
    }
    if (action === 'rotate') return told(await keys.rotate(what), (made) => `new key ${made}`);
    return told(await keys.remove(what, name ?? ''), (gone) => `key ${gone} is gone`);
  } finally {
    await keys.close();
  }
};
