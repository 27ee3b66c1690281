import { join } from 'node:path';
import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps, Validations } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { DynamoEventSource, SqsDlq, SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { bellPrefix, grantBells } from './bells.ts';
import { BUNDLES, type FunctionName } from './bundle.ts';
import { createSecretsKey, type KeyChoice } from './encryption.ts';
import { createGateway } from './gateway.ts';
import { createNodeTemplate } from './nodes.ts';

export interface SkiffStackProps extends StackProps {
  /** Answers are streamed: watches last up to a quarter of an hour. Off where the platform buffers them. */
  streaming: boolean;
  /** Hours that a watch can go back. */
  retentionHours: number;
  /** Keeps the table when the stack is destroyed. */
  keepData: boolean;
  /** The endpoint of a stand-in for AWS, as the functions reach it. */
  endpoint?: string;
  /** `ec2`: the stack runs a gateway of its own; else the URL of one that runs elsewhere. */
  gateway?: string;
  /** Under which KMS key secrets lie: `new` where absent. */
  kmsKey?: KeyChoice;
  /** With a launch template for nodes on EC2. */
  nodes?: boolean;
  /** The folder of the bundles; where bundleFunctions makes them when absent. */
  bundles?: string;
}

const MEMORY_MB = 512;
const WORK_TIMEOUT = Duration.seconds(60);
/** A message that fails so often goes to the dead-letter queue. */
const DELIVERIES_MAX = 12;

interface Made {
  function: lambda.Function;
  name: FunctionName;
}

/** All of a deployment: one table, queues, functions, and what watches over them. */
export class SkiffStack extends Stack {
  constructor(scope: Construct, id: string, props: SkiffStackProps) {
    super(scope, id, props);
    const table = createTable(this, props);
    const queues = createQueues(this);
    const bundles = props.bundles ?? BUNDLES;
    const key = createSecretsKey(this, props.kmsKey ?? 'new', props.keepData);
    const gateway = props.gateway === 'ec2' ? createGateway(this, table, bundles, key) : props.gateway;
    const environment = {
      SKIFF_TABLE: table.tableName,
      SKIFF_WORK_QUEUE: queues.work.queueUrl,
      SKIFF_SCHEDULER_QUEUE: queues.scheduler.queueUrl,
      SKIFF_TIMERS_QUEUE: queues.timers.queueUrl,
      SKIFF_RETENTION_MS: `${props.retentionHours * 3_600_000}`,
      SKIFF_STREAMING: `${props.streaming}`,
      SKIFF_BELLS: bellPrefix(this),
      ...(key && { SKIFF_KMS_KEY: key.arn }),
      ...(gateway && { SKIFF_GATEWAY: gateway }),
      ...(props.endpoint && { AWS_ENDPOINT_URL: props.endpoint }),
    };
    const make = (id: string, name: FunctionName, timeout: Duration): Made => ({
      name,
      function: createFunction(this, id, join(bundles, name), timeout, environment),
    });
    const apiserver = make('Apiserver', 'apiserver', props.streaming ? Duration.minutes(15) : Duration.seconds(60));
    const dispatcher = make('Dispatcher', 'dispatcher', WORK_TIMEOUT);
    const worker = make('Worker', 'worker', WORK_TIMEOUT);
    const scheduler = make('Scheduler', 'worker', WORK_TIMEOUT);
    const timers = make('Timers', 'timers', WORK_TIMEOUT);
    for (const made of [apiserver, dispatcher, worker, scheduler]) {
      table.grantReadWriteData(made.function);
      key?.grant(made.function);
    }
    for (const made of [dispatcher, worker, scheduler, timers]) {
      for (const queue of [queues.work, queues.scheduler, queues.timers]) queue.grantSendMessages(made.function);
    }
    grantBells(this, apiserver.function, dispatcher.function);
    wire({ table, queues, dispatcher, worker, scheduler, timers });
    watchOver(this, queues, [apiserver, dispatcher, worker, scheduler, timers]);
    const url = apiserver.function.addFunctionUrl({
      authType: lambda.FunctionUrlAuthType.NONE,
      invokeMode: props.streaming ? lambda.InvokeMode.RESPONSE_STREAM : lambda.InvokeMode.BUFFERED,
    });
    acknowledge(queues, dispatcher);
    if (props.nodes) createNodeTemplate(this, url.url);
    new CfnOutput(this, 'Url', { value: url.url, description: 'The API, for kubectl' });
    new CfnOutput(this, 'TableName', { value: table.tableName });
  }
}

/** Where AWS's own rules (cdk-nag) see a fault in what is meant. */
const acknowledge = (queues: Queues, dispatcher: Made): void => {
  Validations.of(queues.lostChanges).acknowledge({
    id: 'AwsSolutions::AwsSolutions-SQS3',
    reason: "It is the end of the stream's failures, a dead-letter queue by another name",
  });
  const policy = dispatcher.function.role?.node.tryFindChild('DefaultPolicy');
  if (policy) {
    Validations.of(policy).acknowledge({
      id: 'AwsSolutions::AwsSolutions-IAM5[Resource::*]',
      reason: 'dynamodb:ListStreams takes no resource; the stream itself is named',
    });
  }
};

const createTable = (scope: Construct, props: SkiffStackProps): dynamodb.Table =>
  new dynamodb.Table(scope, 'Table', {
    partitionKey: { name: 'pk', type: dynamodb.AttributeType.STRING },
    sortKey: { name: 'sk', type: dynamodb.AttributeType.STRING },
    billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
    stream: dynamodb.StreamViewType.NEW_IMAGE,
    timeToLiveAttribute: 'ttl',
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    removalPolicy: props.keepData ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  });

interface Queues {
  work: sqs.Queue;
  scheduler: sqs.Queue;
  timers: sqs.Queue;
  /** What could not be handled, by the queue it came from. */
  dead: sqs.Queue[];
  lostChanges: sqs.Queue;
}

const createQueues = (scope: Construct): Queues => {
  const dead: sqs.Queue[] = [];
  const make = (id: string, fifo: boolean): sqs.Queue => {
    const own = {
      enforceSSL: true,
      ...(fifo && {
        fifo: true,
        deduplicationScope: sqs.DeduplicationScope.MESSAGE_GROUP,
        fifoThroughputLimit: sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
      }),
    };
    const letters = new sqs.Queue(scope, `${id}Dead`, { ...own, retentionPeriod: Duration.days(14) });
    dead.push(letters);
    return new sqs.Queue(scope, id, {
      ...own,
      visibilityTimeout: WORK_TIMEOUT,
      retentionPeriod: Duration.days(4),
      deadLetterQueue: { queue: letters, maxReceiveCount: DELIVERIES_MAX },
    });
  };
  const lostChanges = new sqs.Queue(scope, 'LostChanges', { enforceSSL: true, retentionPeriod: Duration.days(14) });
  return {
    work: make('Work', true),
    scheduler: make('SchedulerWork', true),
    timers: make('TimersDue', false),
    dead,
    lostChanges,
  };
};

const createFunction = (
  scope: Construct,
  id: string,
  /** The folder of its code. */
  code: string,
  timeout: Duration,
  environment: Record<string, string>,
): lambda.Function => {
  const logGroup = new logs.LogGroup(scope, `${id}Logs`, {
    retention: logs.RetentionDays.TWO_WEEKS,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  // A role of its own that writes its own log: Lambda's managed policy would let it write every log of the account.
  const role = new iam.Role(scope, `${id}Role`, { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
  logGroup.grantWrite(role);
  return new lambda.Function(scope, id, {
    role,
    runtime: lambda.Runtime.NODEJS_24_X,
    architecture: lambda.Architecture.ARM_64,
    handler: 'index.handler',
    code: lambda.Code.fromAsset(code),
    memorySize: MEMORY_MB,
    timeout,
    environment,
    logGroup,
  });
};

interface Wired {
  table: dynamodb.Table;
  queues: Queues;
  dispatcher: Made;
  worker: Made;
  scheduler: Made;
  timers: Made;
}

/** Table's stream -> dispatcher -> queues -> controllers and scheduler; timers -> queues. */
const wire = ({ table, queues, dispatcher, worker, scheduler, timers }: Wired): void => {
  dispatcher.function.addEventSource(
    // CDK's own classes do not fit its interfaces under exactOptionalPropertyTypes.
    new DynamoEventSource(table as dynamodb.ITable, {
      startingPosition: lambda.StartingPosition.LATEST,
      batchSize: 100,
      retryAttempts: 20,
      bisectBatchOnError: true,
      parallelizationFactor: 1,
      onFailure: new SqsDlq(queues.lostChanges),
      filters: [lambda.FilterCriteria.filter({ eventName: lambda.FilterRule.isEqual('INSERT') })],
    }),
  );
  const takes = (made: Made, queue: sqs.Queue): void =>
    made.function.addEventSource(new SqsEventSource(queue, { batchSize: 10, reportBatchItemFailures: true }));
  takes(worker, queues.work);
  takes(scheduler, queues.scheduler);
  takes(timers, queues.timers);
};

/** An alarm for anything that was given up, and one page that shows how the deployment does. */
const watchOver = (scope: Construct, queues: Queues, all: Made[]): void => {
  for (const queue of [...queues.dead, queues.lostChanges]) {
    queue
      .metricApproximateNumberOfMessagesVisible({ period: Duration.minutes(5) })
      .createAlarm(scope, `${queue.node.id}Alarm`, {
        alarmDescription: 'Work that was given up waits in a dead-letter queue',
        threshold: 1,
        evaluationPeriods: 1,
        treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
      });
  }
  const dashboard = new cloudwatch.Dashboard(scope, 'Dashboard');
  const graph = (title: string, left: cloudwatch.IMetric[]): cloudwatch.GraphWidget =>
    new cloudwatch.GraphWidget({ title, left, width: 12 });
  dashboard.addWidgets(
    graph(
      'Invocations',
      all.map((made) => made.function.metricInvocations()),
    ),
    graph(
      'Errors',
      all.map((made) => made.function.metricErrors()),
    ),
    graph(
      'Duration',
      all.map((made) => made.function.metricDuration({ statistic: 'p95' })),
    ),
    graph(
      'Waiting work',
      [queues.work, queues.scheduler, queues.timers].map((q) => q.metricApproximateAgeOfOldestMessage()),
    ),
  );
};
