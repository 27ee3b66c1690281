import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleFunctions, FUNCTIONS } from './bundle.ts';
import { SkiffStack } from './stack.ts';

const bundles = mkdtempSync(join(tmpdir(), 'skiff-bundles-'));

describe('the stack', () => {
  beforeAll(() => {
    for (const name of FUNCTIONS) {
      mkdirSync(join(bundles, name));
      writeFileSync(join(bundles, name, 'index.mjs'), 'export const handler = async () => {};\n');
    }
  });
  afterAll(() => rmSync(bundles, { recursive: true, force: true }));

  const synthesized = (streaming = true, kmsKey = 'new') => {
    const app = new App({ outdir: mkdtempSync(join(tmpdir(), 'skiff-cdk-')) });
    const props = { streaming, retentionHours: 1, keepData: false, bundles, kmsKey };
    return { app, stack: new SkiffStack(app, 'Skiff', props) };
  };

  it('keeps the rules of AWS Solutions, but for what is acknowledged with a reason', () => {
    const { app } = synthesized();
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    expect(() => app.synth()).not.toThrow();
  });

  it('has a table that can be restored to any second, and forgets old log entries', () => {
    Template.fromStack(synthesized().stack).hasResourceProperties('AWS::DynamoDB::Table', {
      BillingMode: 'PAY_PER_REQUEST',
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      StreamSpecification: { StreamViewType: 'NEW_IMAGE' },
      TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: true },
    });
  });

  it('gives up no message without an alarm', () => {
    const template = Template.fromStack(synthesized().stack);
    const queues = template.findResources('AWS::SQS::Queue');
    const dead = Object.values(queues).filter((queue) => !queue.Properties.RedrivePolicy);
    expect(dead.length).toBe(4);
    template.resourceCountIs('AWS::CloudWatch::Alarm', dead.length);
    template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      BisectBatchOnFunctionError: true,
      DestinationConfig: { OnFailure: Match.anyValue() },
    });
    const mappings = Object.values(template.findResources('AWS::Lambda::EventSourceMapping'));
    const partial = mappings.filter((m) => m.Properties.FunctionResponseTypes?.includes('ReportBatchItemFailures'));
    expect([mappings.length, partial.length]).toEqual([4, 3]);
  });

  it('runs nothing while nobody asks: no schedule, no server, no provisioned capacity', () => {
    const template = Template.fromStack(synthesized().stack);
    const kinds = new Set(
      Object.values(template.toJSON().Resources as Record<string, { Type: string }>).map((r) => r.Type),
    );
    for (const kind of ['AWS::Events::Rule', 'AWS::Scheduler::Schedule', 'AWS::ECS::Service', 'AWS::EC2::Instance'])
      expect(kinds).not.toContain(kind);
  });

  it('takes no more than 512 MB per function, and lets each write only its own log', () => {
    const template = Template.fromStack(synthesized().stack);
    for (const made of Object.values(template.findResources('AWS::Lambda::Function')))
      expect(made.Properties.MemorySize).toBeLessThanOrEqual(512);
    for (const role of Object.values(template.findResources('AWS::IAM::Role')))
      expect(role.Properties.ManagedPolicyArns).toBeUndefined();
  });

  it('keeps secrets under a KMS key that turns over, and lets functions with the table make and unwrap data keys alone', () => {
    const template = Template.fromStack(synthesized().stack);
    template.hasResourceProperties('AWS::KMS::Key', { EnableKeyRotation: true });
    const policies = Object.values(template.findResources('AWS::IAM::Policy'));
    const statements = policies.flatMap((policy) => policy.Properties.PolicyDocument.Statement);
    const uses = statements.filter((statement) => JSON.stringify(statement.Action).includes('kms:'));
    expect(uses.length).toBe(4);
    for (const { Action, Resource, Condition } of uses) {
      expect(Action).toEqual(['kms:Decrypt', 'kms:GenerateDataKey']);
      expect(Resource).toEqual({ 'Fn::GetAtt': [expect.stringMatching(/^SecretsKey/), 'Arn'] });
      expect(Condition).toEqual({ StringEquals: { 'kms:EncryptionContext:skiff.dev/provider': 'skiff' } });
    }
    const functions = Object.values(template.findResources('AWS::Lambda::Function'));
    for (const made of functions) expect(made.Properties.Environment.Variables.SKIFF_KMS_KEY).toBeDefined();
  });

  it("takes a key of one's own, or none", () => {
    const arn = 'arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012';
    const own = Template.fromStack(synthesized(true, arn).stack);
    own.resourceCountIs('AWS::KMS::Key', 0);
    expect(JSON.stringify(own.toJSON())).toContain(arn);
    const none = Template.fromStack(synthesized(true, 'none').stack);
    none.resourceCountIs('AWS::KMS::Key', 0);
    expect(JSON.stringify(none.toJSON())).not.toMatch(/kms|SKIFF_KMS_KEY/i);
    expect(() => synthesized(true, 'alias/mine')).toThrow('alias/mine is no ARN of a KMS key');
  });

  it.each([true, false])('streams answers where it is told to (%s)', (streaming) => {
    Template.fromStack(synthesized(streaming).stack).hasResourceProperties('AWS::Lambda::Url', {
      InvokeMode: streaming ? 'RESPONSE_STREAM' : 'BUFFERED',
    });
  });
});

describe('bundles', () => {
  it('are small: the API server under 3 MB, with all that it loads later', async () => {
    const sizes = await bundleFunctions();
    expect(sizes.apiserver).toBeLessThan(3_000_000);
    expect(Math.max(...Object.values(sizes))).toBeLessThan(3_300_000);
  });
});
