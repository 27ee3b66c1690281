import { Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';

/** How the names of the queues begin that ring nodes: the API makes one per node, so they are no resources of the stack. */
export const bellPrefix = (scope: Construct): string => `${Stack.of(scope).stackName}-bell-`;

/** The API makes bells and gives out URLs to listen at; the dispatcher rings them, and removes those of nodes that are gone. */
export const grantBells = (scope: Construct, apiserver: lambda.Function, dispatcher: lambda.Function): void => {
  const { region, account, partition } = Stack.of(scope);
  const resources = [`arn:${partition}:sqs:${region}:${account}:${bellPrefix(scope)}*`];
  const grant = (to: lambda.Function, actions: string[]): void => {
    to.addToRolePolicy(new iam.PolicyStatement({ actions, resources }));
    const policy = to.role?.node.tryFindChild('DefaultPolicy');
    if (!policy) return;
    Validations.of(policy).acknowledge({
      id: `AwsSolutions::AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:sqs:<AWS::Region>:<AWS::AccountId>:${bellPrefix(scope)}*]`,
      reason: 'A queue per node, made when the node comes: only their common prefix is known',
    });
  };
  grant(apiserver, ['sqs:CreateQueue', 'sqs:ReceiveMessage']);
  grant(dispatcher, ['sqs:SendMessage', 'sqs:DeleteQueue']);
};
