import { internalError, type Status, StatusError } from '../machinery/status.ts';

/** The Status to tell a client for whatever was thrown; `fault` where it was not meant for one. */
export const parseStatusError = (error: unknown, requestId: string): { status: Status; fault: boolean } =>
  error instanceof StatusError
    ? { status: error.status, fault: false }
    : { status: internalError(`request ${requestId} failed`).status, fault: true };
