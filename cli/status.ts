import type { Node, Pod } from '../functions/machinery/kinds.d.ts';
import { connectClient, readAccess } from './access.ts';
import { hasDeployment, readDeployment } from './cloud/deployment.ts';
import { CommandError, dataDirectory, parse } from './command.ts';
import { isNodeReady, NODES, PODS } from './demo/context.ts';
import { isRunning, readState } from './directory.ts';
import { kubeconfigPath } from './kubeconfig.ts';

/** `skiff status [--data DIR]`: exit 0 when it is up and every node is Ready, 1 otherwise. */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, { data: { type: 'string' } });
  const directory = dataDirectory(values.data);
  const state = readState(directory);
  if ((!state || !isRunning(state)) && hasDeployment(directory)) {
    const { stack, url } = readDeployment(directory);
    console.log(`deployed      stack ${stack}, ${url}`);
    console.log(`data          ${directory}`);
    const ok = await fetch(`${url}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    );
    console.log(`API           ${ok ? 'answers' : 'does not answer'}`);
    return ok ? 0 : 1;
  }
  if (!state || !isRunning(state)) {
    console.log(`not running (${directory}${state ? '' : ', never started'})`);
    return 1;
  }
  const access = readAccess(directory);
  const remote = connectClient(access);
  try {
    const nodes = (await remote.client.list<Node>(NODES)).items;
    const pods = (await remote.client.list<Pod>(PODS)).items;
    console.log(`running       process ${state.pid}, ${access.server}`);
    console.log(`data          ${directory}`);
    console.log(`kubeconfig    ${kubeconfigPath(directory)}`);
    for (const node of nodes) {
      const count = pods.filter((p) => p.spec?.nodeName === node.metadata.name).length;
      console.log(
        `node          ${node.metadata.name} ${isNodeReady(node) ? 'Ready' : 'NotReady'}, ${count} pod(s), ${state.runtime}`,
      );
    }
    return nodes.every(isNodeReady) ? 0 : 1;
  } catch (error) {
    const why = error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : String(error);
    throw new CommandError(`process ${state.pid} runs, but ${access.server} does not answer: ${why}`);
  } finally {
    remote.close();
  }
};
