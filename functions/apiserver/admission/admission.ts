import type { AnyObject, Call } from '../context.ts';

/** One write as admission sees it. `object` may be changed by admit(), never by validate(). */
export interface AdmissionRequest {
  call: Call;
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  subresource: string;
  /** Absent for DELETE. */
  object?: AnyObject;
  old?: AnyObject;
  /** Set by a plugin that has to hear whether the write was stored in the end. */
  settled?: (stored: boolean) => Promise<void>;
}

/** An admission plugin by upstream's name. Both steps throw StatusError to refuse. */
export interface AdmissionPlugin {
  name: string;
  admit?(request: AdmissionRequest): void | Promise<void>;
  validate?(request: AdmissionRequest): void | Promise<void>;
}

export const admit = async (request: AdmissionRequest): Promise<void> => {
  for (const plugin of request.call.server.plugins) await plugin.admit?.(request);
};
export const validate = async (request: AdmissionRequest): Promise<void> => {
  for (const plugin of request.call.server.plugins) await plugin.validate?.(request);
};

/** Tells who asked how a validated write ended. It waits for a refund, and not for what follows a stored write. */
export const settle = async (request: AdmissionRequest, stored: boolean): Promise<void> => {
  const { settled } = request;
  if (!settled) return;
  delete request.settled;
  // What was not put right here, the quota's next count puts right.
  const done = settled(stored).catch(() => undefined);
  if (!stored) await done;
};
