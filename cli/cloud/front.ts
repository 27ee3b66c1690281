import { once } from 'node:events';
import { createFront } from '../../functions/entry/front.ts';
import { loadPki } from '../../functions/entry/pki.ts';
import { createListener } from '../../functions/entry/server.ts';
import { dataDirectory, parse, wholeNumber } from '../command.ts';
import { writeKubeconfig } from '../kubeconfig.ts';
import { readDeployment } from './deployment.ts';
import { readKeys } from './keys.ts';

/** `skiff front [--port N] [--data DIR]`: TLS on this machine in front of a deployment that has none, until interrupted. */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, { data: { type: 'string' }, port: { type: 'string' } });
  const directory = dataDirectory(values.data);
  const port = wholeNumber('port', values.port, 6443, 0, 65_535);
  const { url } = readDeployment(directory);
  const { adminToken } = await readKeys(directory);
  const pki = await loadPki(directory);
  const listener = await createListener({
    app: createFront({ server: url }),
    tls: { cert: pki.serverCert, key: pki.serverKey, clientCa: pki.caCert },
    host: '127.0.0.1',
    port,
  });
  const server = `https://127.0.0.1:${listener.port}`;
  const path = writeKubeconfig(directory, { server, caCert: pki.caCert, token: adminToken, name: 'skiff' });
  console.log(`${server} leads to ${url}`);
  console.log(`export KUBECONFIG=${path}`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  await listener.close();
  return 0;
};
