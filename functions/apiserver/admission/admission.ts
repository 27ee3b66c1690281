import type { AnyObject, Call } from '../context.ts';
import type { ResourceInfo } from '../registry.ts';

/** One write as admission sees it. `object` may be changed by admit(), never by validate(). */
export interface AdmissionRequest {
  call: Call;
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  subresource: string;
  /** Absent for DELETE. */
  object?: AnyObject;
  old?: AnyObject;
  /** meta/v1 DeleteOptions of a DELETE. */
  options?: object;
  /** Set by a plugin that changed the object after others had seen it: all of them are asked once more. */
  reinvoke?: boolean;
  /** True while they are. */
  reinvoked?: boolean;
  /** What the audit event of the request is to say, by key. */
  annotations?: Record<string, string>;
  /** Set by a plugin that has to hear whether the write was stored in the end. */
  settled?: (stored: boolean) => Promise<void>;
}

/** An admission plugin by upstream's name. Both steps throw StatusError to refuse. */
export interface AdmissionPlugin {
  name: string;
  /** Resource types that it looks at, by `group/resource` (`/pods`, `batch/jobs`); all of them where absent. */
  about?: readonly string[];
  admit?(request: AdmissionRequest): void | Promise<void>;
  validate?(request: AdmissionRequest): void | Promise<void>;
}

interface Steps {
  of: readonly AdmissionPlugin[];
  admit: readonly AdmissionPlugin[];
  validate: readonly AdmissionPlugin[];
}

/** The plugins that look at a resource type, found once: a request waits for no other. */
const steps = new WeakMap<ResourceInfo, Steps>();

const stepsFor = ({ call }: AdmissionRequest): Steps => {
  const { plugins } = call.server;
  const known = steps.get(call.resource);
  if (known?.of === plugins) return known;
  const { group, resource } = call.resource;
  const concerned = plugins.filter(({ about }) => !about || about.includes(`${group}/${resource}`));
  const found = {
    of: plugins,
    admit: concerned.filter((plugin) => plugin.admit),
    validate: concerned.filter((plugin) => plugin.validate),
  };
  steps.set(call.resource, found);
  return found;
};

export const admit = async (request: AdmissionRequest): Promise<void> => {
  const plugins = stepsFor(request).admit;
  for (const plugin of plugins) await plugin.admit?.(request);
  if (!request.reinvoke) return;
  request.reinvoked = true;
  for (const plugin of plugins) await plugin.admit?.(request);
};
export const validate = async (request: AdmissionRequest): Promise<void> => {
  try {
    for (const plugin of stepsFor(request).validate) await plugin.validate?.(request);
  } finally {
    const { annotations, call } = request;
    for (const key in annotations) call.trail?.annotate(key, annotations[key] ?? '');
  }
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
