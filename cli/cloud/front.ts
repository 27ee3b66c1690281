import { once } from 'node:events';
import { createHttp2Fetch } from '../../functions/client/http2-fetch.ts';
import { loadAuthority } from '../../functions/entry/cloud/authority.ts';
import { createFront } from '../../functions/entry/front.ts';
import { passUpgrades, withGateway } from '../../functions/entry/gateway-pass.ts';
import { loadPki } from '../../functions/entry/pki.ts';
import { createListener } from '../../functions/entry/server.ts';
import { dataDirectory, parse, wholeNumber } from '../command.ts';
import { writeKubeconfig } from '../kubeconfig.ts';
import { readDeployment } from './deployment.ts';
import { openDeployedStore, readKeys } from './keys.ts';

/** What leads to a gateway: for requests that a node answers, and for those that leave HTTP. */
const leadTo = async (directory: string, server: string) => {
  const store = await openDeployedStore(directory);
  const { caCert: ca } = await loadAuthority(store).finally(() => store.close());
  const send = createHttp2Fetch({ ca });
  return { target: { server, ca }, send };
};

/**
 * `skiff front [--port N] [--gateway URL] [--data DIR]`: TLS on this machine in front of a deployment that has none, until
 * interrupted. What concerns nodes goes to the gateway, where the deployment has one or one is named.
 */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, { data: { type: 'string' }, port: { type: 'string' }, gateway: { type: 'string' } });
  const directory = dataDirectory(values.data);
  const port = wholeNumber('port', values.port, 6443, 0, 65_535);
  const deployment = readDeployment(directory);
  const { url } = deployment;
  const gateway = values.gateway ?? deployment.gateway;
  const { adminToken } = await readKeys(directory);
  const pki = await loadPki(directory);
  const plain = createFront({ server: url });
  const nodes = gateway ? await leadTo(directory, gateway) : undefined;
  const listener = await createListener({
    app: nodes ? withGateway(plain, nodes.target, nodes.send) : plain,
    tls: { cert: pki.serverCert, key: pki.serverKey, clientCa: pki.caCert },
    host: '127.0.0.1',
    port,
    ...(nodes && { onUpgrade: passUpgrades(nodes.target) }),
  });
  const server = `https://127.0.0.1:${listener.port}`;
  const path = writeKubeconfig(directory, { server, caCert: pki.caCert, token: adminToken, name: 'skiff' });
  console.log(`${server} leads to ${url}`);
  console.log(`export KUBECONFIG=${path}`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  await listener.close();
  nodes?.send.close();
  return 0;
};
