/** What a run on the stand-ins used: requests and units as AWS bills them. */
export interface Usage {
  /** Invocations by function, and milliseconds that they took together. */
  invocations: Record<string, number>;
  functionMs: number;
  /** DynamoDB's request units, as DynamoDB Local counts them. */
  writeUnits: number;
  readUnits: number;
  /** Requests to standard and to FIFO queues. */
  standardRequests: number;
  fifoRequests: number;
}

export interface Price {
  dollars: number;
  per: number;
  unit: string;
  source: string;
}

/** Public prices of us-east-1 without any free tier, as their pages said on the day named in docs/cost.md. */
export const PRICES = {
  lambdaRequest: { dollars: 0.2, per: 1e6, unit: 'invocations', source: 'https://aws.amazon.com/lambda/pricing/' },
  lambdaDuration: {
    dollars: 0.0000133334,
    per: 1,
    unit: 'GB-seconds (Arm)',
    source: 'https://aws.amazon.com/lambda/pricing/',
  },
  dynamoWrite: {
    dollars: 0.625,
    per: 1e6,
    unit: 'write request units',
    source: 'https://aws.amazon.com/dynamodb/pricing/on-demand/',
  },
  dynamoRead: {
    dollars: 0.125,
    per: 1e6,
    unit: 'read request units',
    source: 'https://aws.amazon.com/dynamodb/pricing/on-demand/',
  },
  dynamoStorage: {
    dollars: 0.25,
    per: 1,
    unit: 'GB-months',
    source: 'https://aws.amazon.com/dynamodb/pricing/on-demand/',
  },
  dynamoRestore: {
    dollars: 0.2,
    per: 1,
    unit: 'GB-months of point-in-time recovery',
    source: 'https://aws.amazon.com/dynamodb/pricing/on-demand/',
  },
  sqsStandard: { dollars: 0.4, per: 1e6, unit: 'requests', source: 'https://aws.amazon.com/sqs/pricing/' },
  sqsFifo: { dollars: 0.5, per: 1e6, unit: 'FIFO requests', source: 'https://aws.amazon.com/sqs/pricing/' },
  logs: { dollars: 0.5, per: 1, unit: 'GB of log', source: 'https://aws.amazon.com/cloudwatch/pricing/' },
  alarm: { dollars: 0.1, per: 1, unit: 'alarms', source: 'https://aws.amazon.com/cloudwatch/pricing/' },
  dashboard: { dollars: 3, per: 1, unit: 'dashboards', source: 'https://aws.amazon.com/cloudwatch/pricing/' },
  kmsKey: { dollars: 1, per: 1, unit: 'KMS keys', source: 'https://aws.amazon.com/kms/pricing/' },
  eks: { dollars: 0.1, per: 1, unit: 'cluster-hours', source: 'https://aws.amazon.com/eks/pricing/' },
} satisfies Record<string, Price>;

export const MONTH_HOURS = 730;
const FUNCTION_GB = 0.5;
/** Bytes of log that an invocation leaves: the platform's three lines and one of ours. */
const LOG_BYTES = 400;
/** A long poll of SQS. */
const POLL_SECONDS = 20;
/** Lambda keeps so many long polls open at a queue that is idle. */
const POLLERS = 5;
const HOUR_SECONDS = 3600;

export const dollars = (price: Price, amount: number): number => (price.dollars / price.per) * amount;

export type Bill = Record<string, number>;

export const sum = (bill: Bill): number => Object.values(bill).reduce((all, one) => all + one, 0);

/** Dollars for what was used, times `times`. */
export const bill = (usage: Usage, times: number): Bill => {
  const invocations = Object.values(usage.invocations).reduce((all, one) => all + one, 0) * times;
  const gbSeconds = (usage.functionMs / 1000) * FUNCTION_GB * times;
  return {
    'Lambda requests': dollars(PRICES.lambdaRequest, invocations),
    'Lambda time': dollars(PRICES.lambdaDuration, gbSeconds),
    'DynamoDB writes': dollars(PRICES.dynamoWrite, usage.writeUnits * times),
    'DynamoDB reads': dollars(PRICES.dynamoRead, usage.readUnits * times),
    SQS:
      dollars(PRICES.sqsStandard, usage.standardRequests * times) + dollars(PRICES.sqsFifo, usage.fifoRequests * times),
    Logs: dollars(PRICES.logs, (invocations * LOG_BYTES) / 1e9),
  };
};

/** Receives of the bells of so many nodes in a month: an agent waits at its own all the time. */
export const bells = (nodes: number): Bill => ({
  Bells: dollars(PRICES.sqsStandard, (nodes * MONTH_HOURS * HOUR_SECONDS) / POLL_SECONDS),
});

/** A month of what is stored. */
export const storage = (bytes: number): Bill => ({
  Storage: (dollars(PRICES.dynamoStorage, 1) + dollars(PRICES.dynamoRestore, 1)) * (bytes / 1e9),
});

/**
 * What a deployment costs in a month whatever its clusters do: Lambda's polls at its queues (two FIFO, one standard),
 * alarms, the dashboard, and the key under which secrets lie.
 */
export const fixed = (): Bill => {
  const polls = (POLLERS * MONTH_HOURS * HOUR_SECONDS) / POLL_SECONDS;
  return {
    'Polls at the queues': dollars(PRICES.sqsFifo, 2 * polls) + dollars(PRICES.sqsStandard, polls),
    Alarms: dollars(PRICES.alarm, 4),
    Dashboard: dollars(PRICES.dashboard, 1),
    'KMS key': dollars(PRICES.kmsKey, 1),
  };
};

/** The same where the account uses its free tiers for nothing else: a million requests of SQS, 10 alarms, 3 dashboards. */
export const fixedWithFreeTier = (): Bill => {
  const polls = (POLLERS * MONTH_HOURS * HOUR_SECONDS) / POLL_SECONDS;
  return {
    'Polls at the queues': dollars(PRICES.sqsFifo, Math.max(0, 3 * polls - 1e6)),
    'KMS key': dollars(PRICES.kmsKey, 1),
  };
};

/** A month of an EKS control plane. */
export const eks = (): number => dollars(PRICES.eks, MONTH_HOURS);
