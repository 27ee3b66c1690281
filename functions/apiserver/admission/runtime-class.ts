import type { JsonObject } from '../../machinery/object.ts';
import { equalJson } from '../../machinery/patch/equal.ts';
import { forbidden } from '../../machinery/status.ts';
import { domainOf } from '../context.ts';
import { parseStored } from '../stored-object.ts';
import type { AdmissionPlugin } from './admission.ts';

/** A pod takes its overhead and its node selector from its runtime class, which must exist. KEP-688. */
export const runtimeClass: AdmissionPlugin = {
  name: 'RuntimeClass',
  admit: async ({ call, operation, subresource, object }) => {
    if (operation !== 'CREATE' || subresource || call.resource.group !== '' || call.resource.resource !== 'pods')
      return;
    const spec = object?.spec;
    if (!spec) return;
    const refuse = (why: string) => forbidden({ group: '', kind: 'pods', name: object.metadata.name ?? '' }, why);
    const name = spec.runtimeClassName;
    if (typeof name !== 'string' || !name) {
      if (spec.overhead) throw refuse('Pod Overhead set without corresponding RuntimeClass defined Overhead');
      return;
    }
    const classes = call.server.registry.find(call.info.cluster, 'node.k8s.io', 'v1', 'runtimeclasses');
    const stored = classes && (await call.server.store.get(domainOf(call.info.cluster, classes), name));
    if (!classes || !stored) throw refuse(`pod rejected: RuntimeClass "${name}" not found`);
    const found = parseStored(classes, stored.bytes);
    const overhead = (found.overhead as JsonObject | undefined)?.podFixed as JsonObject | undefined;
    if (spec.overhead && !equalJson(spec.overhead, overhead ?? {}))
      throw refuse("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    if (overhead) spec.overhead = overhead;
    const scheduling = found.scheduling as { nodeSelector?: JsonObject; tolerations?: JsonObject[] } | undefined;
    const own = (spec.nodeSelector ?? {}) as JsonObject;
    for (const [key, value] of Object.entries(scheduling?.nodeSelector ?? {})) {
      if (own[key] !== undefined && own[key] !== value)
        throw refuse(`pod rejected: conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${String(value)}`);
      spec.nodeSelector = { ...own, ...scheduling?.nodeSelector };
    }
    const given = (Array.isArray(spec.tolerations) ? spec.tolerations : []) as JsonObject[];
    const added = (scheduling?.tolerations ?? []).filter((t) => !given.some((g) => equalJson(g, t)));
    if (added.length) spec.tolerations = [...given, ...added];
  },
};
