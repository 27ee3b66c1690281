import type { KubeObject } from '../../../machinery/object.ts';
import { equalJson } from '../../../machinery/patch/equal.ts';
import { StatusError, serviceUnavailable } from '../../../machinery/status.ts';
import type { AnyObject } from '../../context.ts';
import { asJson } from '../../stored-object.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { refusal } from '../refusal.ts';
import { type Engine, loadEngine } from './load-engine.ts';
import { type Matched, matches, type Subject, subjectOf } from './match.ts';
import { ConfigurationFault, collectParams, paramResource } from './params.ts';
import { type BoundPolicy, type Concerned, createPolicySource, type Hook, isExempt } from './source.ts';
import { namespaceOf } from './validating.ts';
import { convertedTo, replaceContent, schemaFor, versioned } from './versions.ts';

interface Invocation {
  hook: Hook;
  binding: BoundPolicy;
  matched: Matched;
  param: KubeObject | undefined;
  /** Of policy, binding and parameter. */
  key: string;
}
interface Fault {
  hook: Hook;
  binding: BoundPolicy | undefined;
  message: string;
  reason: string;
}

/** Which policies ran on a request, and which are to run once more since another changed the object after them. */
interface Progress {
  ran: Set<string>;
  again: Set<string>;
  /** The object as it was left, to see whether others changed it since. */
  left: string;
}
const progresses = new WeakMap<AdmissionRequest, Progress>();
const progressOf = (request: AdmissionRequest): Progress => {
  const known = progresses.get(request);
  if (known) return known;
  const made = { ran: new Set<string>(), again: new Set<string>(), left: '' };
  progresses.set(request, made);
  return made;
};
const askAgain = (progress: Progress): void => {
  for (const key of progress.ran) progress.again.add(key);
  progress.ran.clear();
};

const refused = (request: AdmissionRequest, faults: readonly Fault[]): StatusError => {
  const texts = faults.map(({ hook, binding, message }) =>
    binding
      ? `policy '${hook.name}' with binding '${binding.name}' denied request: ${message}`
      : `policy ${JSON.stringify(hook.name)} denied request: ${message}`,
  );
  const { status } = refusal(request, '');
  const reason = faults[0]?.reason || status.reason || '';
  const causes = [...(status.details?.causes ?? []), ...texts.map((message) => ({ message }))];
  return new StatusError({ ...status, message: texts[0] ?? '', reason, details: { ...status.details, causes } });
};

const collect = async (subject: Subject, hooks: readonly Hook[], faults: Fault[]): Promise<Invocation[]> => {
  const out: Invocation[] = [];
  const { call } = subject.request;
  const guarded = async (hook: Hook, binding: BoundPolicy | undefined, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ConfigurationFault) && !(error instanceof StatusError)) throw error;
      const message = `failed to configure ${binding ? 'binding' : 'policy'}: ${error.message}`;
      faults.push({ hook, binding, message, reason: '' });
    }
  };
  for (const hook of hooks)
    await guarded(hook, undefined, async () => {
      const matched = await matches(hook.criteria, subject);
      if (!matched) return;
      const resource = paramResource(call, hook);
      for (const binding of hook.bindings)
        await guarded(hook, binding, async () => {
          if (binding.criteria && !(await matches(binding.criteria, subject))) return;
          for (const param of await collectParams(call, resource, binding, subject.namespace)) {
            const { namespace = '', name = '' } = param?.metadata ?? {};
            const key = `${hook.name}/${binding.name}/${namespace}/${name}`;
            out.push({ hook, binding, matched, param, key });
          }
        });
    });
  return out;
};

/** Runs the mutations of one invocation on the request's object, in their order; whether it was changed. */
const createRun = (e: Engine, subject: Subject) => {
  const { request, resource } = subject;
  const decisions = e.decisionsOf(subject);
  let namespace: { found: KubeObject | undefined } | undefined;

  const inputsFor = async ({ matched, param }: Invocation, object: AnyObject, old: AnyObject | undefined) => {
    namespace ??= { found: await namespaceOf(subject) };
    return {
      ...decisions.values,
      object: e.objectValue(object),
      oldObject: e.objectValue(old),
      request: e.requestValue(subject, matched),
      namespaceObject: e.namespaceValue(namespace.found),
      params: e.objectValue(param),
    };
  };

  const mutated = async (one: Invocation, first: AnyObject, old: AnyObject | undefined, faults: Fault[]) => {
    const { hook, binding, matched } = one;
    const schema = schemaFor(subject, matched.resource, matched.kind);
    if (!schema) throw serviceUnavailable(`Resource kind ${matched.kind.kind} not found`);
    let object = first;
    for (const i of hook.programs.mutations.keys())
      try {
        const inputs = await inputsFor(one, object, old);
        const next = await decisions.settle(() => e.applyMutation(hook, i, asJson(object), schema, inputs));
        object = next as unknown as AnyObject;
      } catch (error) {
        if (!(error instanceof e.MutationFault) && !(error instanceof e.OutOfBudget)) throw error;
        faults.push({ hook, binding, message: error.message, reason: 'Invalid' });
      }
    if (object !== first) matched.resource.strategy.defaults?.(object);
    return object;
  };

  return async (one: Invocation, faults: Fault[]): Promise<boolean> => {
    const { hook, binding, matched } = one;
    const target = request.object;
    if (!target) return false;
    const { object = target, old } = await versioned(subject, matched);
    const inputs = await inputsFor(one, object, old);
    const holds = await decisions.settle(() => e.matchConditions(hook.programs, hook.ignores, inputs));
    if ('error' in holds) {
      faults.push({ hook, binding, message: holds.error, reason: 'Invalid' });
      return false;
    }
    const progress = progressOf(request);
    if (!holds.matches || (request.reinvoked && !progress.again.has(one.key))) return false;
    const next = await mutated(one, object, old, faults);
    if (hook.spec.reinvocationPolicy === 'IfNeeded') progress.ran.add(one.key);
    if (next === object || equalJson(asJson(next), asJson(object))) return false;
    const back = object === target ? next : await convertedTo(next, matched.resource, resource);
    const { namespace } = target.metadata;
    replaceContent(target, asJson(back));
    // A patch of the metadata as a whole does not take an object out of its namespace.
    if (namespace && !target.metadata?.namespace) target.metadata = { ...target.metadata, namespace };
    return true;
  };
};

const mutate = async (request: AdmissionRequest, { hooks, equivalents }: Concerned): Promise<void> => {
  const subject = subjectOf(request, equivalents);
  const faults: Fault[] = [];
  const invocations = await collect(subject, hooks, faults);
  if (invocations.length > 0) {
    const progress = progressOf(request);
    if (request.reinvoked && progress.left !== JSON.stringify(request.object)) askAgain(progress);
    const run = createRun(await loadEngine(), subject);
    for (const one of invocations)
      if (await run(one, faults)) {
        askAgain(progress);
        request.reinvoke = true;
      }
    progress.left = JSON.stringify(request.object);
  }
  const counted = faults.filter(({ hook }) => !hook.ignores);
  if (counted.length > 0) throw refused(request, counted);
};

/** MutatingAdmissionPolicy (KEP-3962). Deletes are nothing to be mutated. */
export const createMutatingPolicies = (): AdmissionPlugin => {
  const source = createPolicySource('mutatingadmissionpolicies', 'mutatingadmissionpolicybindings', loadEngine);
  return {
    name: 'MutatingAdmissionPolicy',
    admit: (request) => {
      if (request.operation === 'DELETE' || isExempt(request)) return undefined;
      const concerned = source.hooksFor(request);
      if (concerned === undefined) return undefined;
      if (!(concerned instanceof Promise)) return mutate(request, concerned);
      return concerned.then((found) => (found ? mutate(request, found) : undefined));
    },
  };
};
