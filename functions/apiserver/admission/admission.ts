import type { AnyObject, Call } from '../context.ts';

/** One write as admission sees it. `object` may be changed by admit(), never by validate(). */
export interface AdmissionRequest {
  call: Call;
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  subresource: string;
  /** Absent for DELETE. */
  object?: AnyObject;
  old?: AnyObject;
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
