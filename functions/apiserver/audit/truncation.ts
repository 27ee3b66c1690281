import type { Backend } from './backend.ts';
import type { TruncateConfig } from './sink-document.ts';

/**
 * Takes the bodies out of events that are too large, and leaves out those that still are. Sizes are of the JSON, in bytes.
 */
export const truncating = (
  config: TruncateConfig,
  backend: Backend,
  onFault: (error: Error, events: number) => void,
): Backend => {
  if (!config.enabled) return backend;
  const tooLarge = (json: string): boolean =>
    json.length > config.maxEventSize ||
    (json.length * 3 > config.maxEventSize && Buffer.byteLength(json) > config.maxEventSize);
  return {
    ...backend,
    process: (event) => {
      if (!tooLarge(event.json)) return backend.process(event);
      const withBodies = event.level === 'Request' || event.level === 'RequestResponse';
      const json = withBodies ? event.truncated() : event.json;
      if (!tooLarge(json)) return backend.process({ ...event, json });
      onFault(new Error('event is too large even after truncating'), 1);
      return true;
    },
  };
};
