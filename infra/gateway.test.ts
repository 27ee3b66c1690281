import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FUNCTIONS } from './bundle.ts';
import { nodeScript } from './nodes.ts';
import { SkiffStack } from './stack.ts';

const scratch = mkdtempSync(join(tmpdir(), 'skiff-gateway-stack-'));

beforeAll(() => {
  for (const name of [...FUNCTIONS, 'gateway']) {
    mkdirSync(join(scratch, name));
    writeFileSync(join(scratch, name, 'index.mjs'), 'export const handler = async () => {};\n');
  }
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const templateOf = (more: { gateway?: string; nodes?: boolean }): Template => {
  const app = new App({ outdir: mkdtempSync(join(scratch, 'cdk-')) });
  const given = { streaming: true, retentionHours: 1, keepData: false, bundles: scratch };
  return Template.fromStack(new SkiffStack(app, 'Skiff', { ...given, ...more }));
};

it('runs the gateway on one small machine with an address that stays, and tells the API of it', () => {
  const template = templateOf({ gateway: 'ec2' });
  template.hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', { MinSize: '1', MaxSize: '1' });
  template.hasResourceProperties('AWS::EC2::LaunchTemplate', {
    LaunchTemplateData: Match.objectLike({ InstanceType: 't4g.nano', MetadataOptions: { HttpTokens: 'required' } }),
  });
  template.resourceCountIs('AWS::EC2::NatGateway', 0);
  template.hasResourceProperties('AWS::Lambda::Function', {
    Environment: {
      Variables: Match.objectLike({
        SKIFF_GATEWAY: { 'Fn::Join': ['', ['https://', { 'Fn::GetAtt': ['GatewayAddress', 'PublicIp'] }]] },
      }),
    },
  });
  const open = Object.values(template.findResources('AWS::EC2::SecurityGroup')).flatMap(
    (group) => group.Properties.SecurityGroupIngress ?? [],
  );
  expect(open.map((rule: { FromPort: number; ToPort: number }) => [rule.FromPort, rule.ToPort])).toEqual([[443, 443]]);
});

it('takes the URL of a gateway that runs elsewhere, and then runs none', () => {
  const template = templateOf({ gateway: 'https://gateway.example' });
  template.resourceCountIs('AWS::EC2::EIP', 0);
  template.hasResourceProperties('AWS::Lambda::Function', {
    Environment: { Variables: Match.objectLike({ SKIFF_GATEWAY: 'https://gateway.example' }) },
  });
});

it('lets machines of the launch template read the join token and nothing else of the account', () => {
  const template = templateOf({ nodes: true });
  const policies = Object.entries(template.findResources('AWS::IAM::Policy')).filter(([id]) =>
    id.startsWith('NodeRole'),
  );
  const actions = policies.flatMap(([, policy]) =>
    policy.Properties.PolicyDocument.Statement.flatMap((one: { Action: string | string[] }) => one.Action),
  );
  expect(new Set(actions)).toEqual(
    new Set([
      'secretsmanager:GetSecretValue',
      'secretsmanager:DescribeSecret',
      's3:GetObject*',
      's3:GetBucket*',
      's3:List*',
    ]),
  );
  const script = nodeScript('https://api.example', 'arn:secret', 'eu-north-1').join('\n');
  expect(script).toContain('skiff node join --server https://api.example --token "$token"');
  expect(script).not.toContain('undefined');
});
