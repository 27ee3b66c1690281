// The skiff command. Commands are loaded when called, so that none pays for another.
import { readFileSync } from 'node:fs';
import { CommandError, UsageError } from './command.ts';
import { USAGES } from './usage.ts';

interface Command {
  summary: string;
  load(): Promise<{ run(args: string[]): Promise<number> }>;
}

const commands: Record<string, Command> = {
  demo: { summary: 'set everything up, run a real application, show it working', load: () => import('./demo/demo.ts') },
  up: { summary: 'start the control plane and its nodes', load: () => import('./up.ts') },
  down: { summary: 'stop everything that up started', load: () => import('./down.ts') },
  status: { summary: 'what runs, and where', load: () => import('./status.ts') },
  kubeconfig: { summary: 'print the kubeconfig', load: () => import('./kubeconfig.ts') },
  token: { summary: 'a token by credentials of AWS, for kubectl', load: () => import('./token-command.ts') },
  deploy: { summary: 'put the control plane on AWS, or on a stand-in for it', load: () => import('./cloud/deploy.ts') },
  destroy: { summary: 'remove what deploy made', load: () => import('./cloud/destroy.ts') },
  front: { summary: 'TLS on this machine in front of a deployment without', load: () => import('./cloud/front.ts') },
  gateway: {
    summary: 'let exec, logs and port-forward reach the nodes of a deployment',
    load: () => import('./cloud/gateway.ts'),
  },
  cluster: {
    summary: 'create, list and delete clusters; their kubeconfigs',
    load: () => import('./cluster-command.ts'),
  },
  node: {
    summary: 'join this machine to a cluster; make a token for a node',
    load: () => import('./cloud/node-command.ts'),
  },
  keys: { summary: 'the keys that sign tokens and encrypt secrets', load: () => import('./keys-command.ts') },
  snapshot: { summary: 'save a cluster to a file, or make one from it', load: () => import('./snapshot-command.ts') },
  image: {
    summary: 'put images on the nodes: built from files, or out of an archive',
    load: () => import('./image-command.ts'),
  },
};

const usage = (): string =>
  [
    'usage: skiff COMMAND [options]',
    '',
    ...Object.entries(commands).map(([n, c]) => `  ${n.padEnd(12)}${c.summary}`),
    '',
    'skiff COMMAND --help says what a command takes.',
  ].join('\n');

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** Whether help is asked for: not by what stands after `--`. */
const asksForHelp = (args: readonly string[]): boolean => {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h');
};

const main = async (): Promise<number> => {
  const [name = '', ...args] = process.argv.slice(2);
  if (name === '' || name === 'help' || name === '--help' || name === '-h') {
    console.log(USAGES[args[0] ?? ''] ?? usage());
    return name === '' ? 1 : 0;
  }
  if (name === 'version' || name === '--version') {
    console.log(`skiff ${version()}`);
    return 0;
  }
  const command = commands[name];
  if (!command) {
    console.error(`skiff: no command "${name}"\n\n${usage()}`);
    return 1;
  }
  if (asksForHelp(args)) {
    console.log(USAGES[name] ?? usage());
    return 0;
  }
  try {
    return await (await command.load()).run(args);
  } catch (error) {
    if (error instanceof TypeError && error.message === 'fetch failed') {
      console.error(`skiff: no answer: ${error.cause instanceof Error ? error.cause.message : error.message}`);
      return 1;
    }
    if (!(error instanceof CommandError)) throw error;
    console.error(`skiff: ${error.message}`);
    if (error instanceof UsageError) console.error(`see ./skiff ${name} --help`);
    return error.exitCode;
  }
};

// What a command leaves open (connections, timers) must not keep it from ending.
process.exit(await main());
