import { loadRegex } from '../../../machinery/regex.ts';
import type { AnyObject } from '../../context.ts';
import type { AdmissionRequest } from '../admission.ts';
import { subjectOf } from '../policies/match.ts';
import type { Programs } from '../policies/source.ts';
import type { Hook, Match } from './configurations.ts';
import { kindAt } from './shown.ts';

/** What the match conditions of a webhook (KEP-3716) come to; `fault` where they could not be told and it must not pass. */
export type Verdict = 'call' | 'skip' | { fault: string };

const load = async () => {
  const [admission, engine] = await Promise.all([
    import('../../../machinery/cel/admission.ts'),
    import('../policies/engine.ts'),
    loadRegex(),
  ]);
  return { ...admission, ...engine };
};
type Engine = Awaited<ReturnType<typeof load>>;

let loading: Promise<Engine> | undefined;

const compiled = new WeakMap<Hook, Programs>();

const compile = (hook: Hook, { admissionEnvironment, compileFor, RESULTS }: Engine): Programs => {
  const known = compiled.get(hook);
  if (known) return known;
  const environment = admissionEnvironment({ params: false, authorizer: true });
  const conditions = (hook.spec.matchConditions ?? []).map(({ expression }) =>
    compileFor(environment, expression, RESULTS.condition),
  );
  const made = { variables: [], conditions, validations: [], messages: [], annotations: [], mutations: [] };
  compiled.set(hook, made);
  return made;
};

/**
 * Asks the conditions in turn. One that is false ends it; where none is and some failed, the failure policy decides. The
 * expression language is loaded by the first webhook that has conditions. `objects` are as the hook sees them.
 */
export const askConditions = async (
  request: AdmissionRequest,
  { hook, resource }: Match,
  objects: { object?: AnyObject | undefined; old?: AnyObject | undefined },
): Promise<Verdict> => {
  if (!hook.spec.matchConditions?.length) return 'call';
  loading ??= load();
  const engine = await loading;
  const programs = compile(hook, engine);
  const subject = subjectOf(request, []);
  const decisions = engine.decisionsOf(subject);
  const inputs = {
    ...decisions.values,
    object: engine.objectValue(objects.object),
    oldObject: engine.objectValue(objects.old),
    request: engine.requestValue(subject, { resource, kind: kindAt(resource, request.subresource) }),
  };
  const ignores = hook.spec.failurePolicy === 'Ignore';
  const outcome = await decisions.settle(() => engine.matchConditions(programs, ignores, inputs));
  if ('error' in outcome) return { fault: outcome.error };
  return outcome.matches ? 'call' : 'skip';
};
