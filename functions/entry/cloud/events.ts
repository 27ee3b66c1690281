/** What Lambda hands over of each source, as far as the functions read it. */
export interface SqsEvent {
  Records: { messageId: string; body: string; attributes?: { MessageGroupId?: string } }[];
}
/** Messages that come again; of a FIFO queue also those of the same group after the first that failed. */
export interface BatchAnswer {
  batchItemFailures: { itemIdentifier: string }[];
}
export interface StreamEvent {
  Records: {
    eventName?: string;
    dynamodb?: { NewImage?: Record<string, unknown>; SequenceNumber?: string };
  }[];
}
export interface LambdaContext {
  getRemainingTimeInMillis(): number;
}
