import * as z from 'zod';

/** skiff.dev/v1 FlowControlConfiguration: what upstream has flags for. */
export interface FlowControlConfiguration {
  /** Seats that the priority levels of each cluster share: upstream's --max-requests-inflight and --max-mutating-requests-inflight together. */
  seats: number;
}

const document = z.strictObject({
  apiVersion: z.literal('skiff.dev/v1'),
  kind: z.literal('FlowControlConfiguration'),
  seats: z.int().min(1).max(100_000),
});

/** Reads the document. Throws an error that names the field. */
export const parseFlowControl = (given: unknown): FlowControlConfiguration => {
  const { data, error } = document.safeParse(given);
  if (data) return { seats: data.seats };
  const [issue] = error.issues;
  throw new Error(`${issue?.path.join('.') || 'document'}: ${issue?.message}`);
};
