import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { dataDirectory, parse } from '../command.ts';
import { kubeconfigPath } from '../kubeconfig.ts';
import { cdk } from './cdk.ts';
import { awsEnvironment, readDeployment } from './deployment.ts';

/** `skiff destroy [--data DIR]`: removes all that deploy made, the data too where it was not to be kept. */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, { data: { type: 'string' } });
  const directory = dataDirectory(values.data);
  const deployment = readDeployment(directory);
  const { bundleFunctions } = await import('../../infra/bundle.ts');
  await bundleFunctions();
  await cdk(
    ['destroy', deployment.stack, '--force', '-c', `stack=${deployment.stack}`],
    awsEnvironment(deployment),
    () => {},
  );
  rmSync(join(directory, 'deployment.json'));
  rmSync(kubeconfigPath(directory), { force: true });
  console.log(`stack ${deployment.stack} is gone`);
  return 0;
};
