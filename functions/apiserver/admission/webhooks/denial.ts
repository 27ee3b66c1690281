import type { JsonObject } from '../../../machinery/object.ts';
import { type Status, StatusError } from '../../../machinery/status.ts';

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/**
 * The Status of a webhook's refusal: what it gave, with its name before the message, and never a status below 400. A code
 * that no HTTP answer can have is sent as 500.
 */
export const denial = (webhook: string, given: JsonObject | undefined): StatusError => {
  const denied = `admission webhook "${webhook}" denied the request`;
  const message = text(given?.message);
  const reason = text(given?.reason);
  const why = message || reason;
  const code = typeof given?.code === 'number' && given.code >= 400 ? given.code : 400;
  const status = text(given?.status);
  const details = given?.details;
  const metadata = given?.metadata;
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: typeof metadata === 'object' && metadata !== null ? metadata : {},
    status: status === '' || status === 'Success' ? 'Failure' : status,
    message: why ? `${denied}: ${why}` : `${denied} without explanation`,
    ...(reason && { reason }),
    ...(typeof details === 'object' && details !== null && { details }),
    code,
  } as Status);
};
