import { CfnOutput, Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';

/** `new`: the stack makes a KMS key; `none`: secrets lie plain in the table; else the ARN of a key. */
export type KeyChoice = string;

/** The key under which secrets lie. */
export interface SecretsKey {
  arn: string;
  /** Lets a part of the control plane make data keys and unwrap them: those of Skiff, and nothing else. */
  grant(to: iam.IGrantable): void;
}

/** A KMS ARN of a key: aliases have no policies of their own. */
const KEY_ARN = /^arn:aws[\w-]*:kms:[\w-]+:\d{12}:key\/[\w-]+$/;

const made = (scope: Construct, keepData: boolean): string =>
  new kms.Key(scope, 'SecretsKey', {
    description: 'Wraps the data keys under which Skiff keeps secrets',
    enableKeyRotation: true,
    removalPolicy: keepData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    ...(!keepData && { pendingWindow: Duration.days(7) }),
  }).keyArn;

/** Undefined where secrets are to lie plain. Throws where the choice is no key. */
export const createSecretsKey = (scope: Construct, choice: KeyChoice, keepData: boolean): SecretsKey | undefined => {
  if (choice === 'none') return undefined;
  if (choice !== 'new' && !KEY_ARN.test(choice)) throw new Error(`${choice} is no ARN of a KMS key`);
  const arn = choice === 'new' ? made(scope, keepData) : choice;
  new CfnOutput(scope, 'SecretsKeyArn', { value: arn });
  return {
    arn,
    grant: (to) =>
      void to.grantPrincipal.addToPrincipalPolicy(
        new iam.PolicyStatement({
          actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
          resources: [arn],
          conditions: { StringEquals: { 'kms:EncryptionContext:skiff.dev/provider': 'skiff' } },
        }),
      ),
  };
};
