import { badRequest, internalError, type Status, StatusError } from '../machinery/status.ts';

/** Bodies are of bounded depth, but patches can pile up on each other until a walk over their result ends the stack. */
const tooDeep = (error: unknown): boolean =>
  error instanceof RangeError && error.message === 'Maximum call stack size exceeded';

/** The Status to tell a client for whatever was thrown; `fault` where it was not meant for one. */
export const parseStatusError = (error: unknown, requestId: string): { status: Status; fault: boolean } => {
  if (error instanceof StatusError) return { status: error.status, fault: false };
  if (tooDeep(error)) return { status: badRequest('the object is nested too deeply').status, fault: false };
  return { status: internalError(`request ${requestId} failed`).status, fault: true };
};
