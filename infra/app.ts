import { App } from 'aws-cdk-lib';
import { SkiffStack } from './stack.ts';

// What cdk.json runs. Context (-c name=value): stack, streaming, retentionHours, keepData, endpoint,
// gateway (ec2, or the URL of one), nodes, kmsKey (new, none, or an ARN).
const app = new App();
const context = (name: string): string | undefined => {
  const value: unknown = app.node.tryGetContext(name);
  return value === undefined ? undefined : String(value);
};
const endpoint = context('endpoint');
const gateway = context('gateway');

new SkiffStack(app, context('stack') ?? 'Skiff', {
  description: 'Kubernetes with a serverless control plane',
  streaming: context('streaming') !== 'false',
  retentionHours: Number(context('retentionHours') ?? 1),
  keepData: context('keepData') === 'true',
  ...(endpoint && { endpoint }),
  ...(gateway && { gateway }),
  nodes: context('nodes') === 'true',
  kmsKey: context('kmsKey') ?? 'new',
});
