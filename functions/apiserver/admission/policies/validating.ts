import type { KubeObject } from '../../../machinery/object.ts';
import { StatusError } from '../../../machinery/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { refusal } from '../refusal.ts';
import { storedObject } from '../stored.ts';
import type { Annotation, Decision, Evaluated } from './evaluate.ts';
import { type Engine, loadEngine } from './load-engine.ts';
import { type Matched, matches, type Subject, subjectOf } from './match.ts';
import { ConfigurationFault, collectParams, paramResource } from './params.ts';
import { type BoundPolicy, type Concerned, createPolicySource, type Hook, isExempt } from './source.ts';
import { type Versioned, versioned } from './versions.ts';

const CODES: Record<string, number> = { Forbidden: 403, Unauthorized: 401, RequestEntityTooLarge: 413, Invalid: 422 };
const ANNOTATION_BYTES_MAX = 10 * 1024;

interface Denied {
  hook: Hook;
  binding: BoundPolicy | undefined;
  message: string;
  reason: string;
}

/** The namespace that a request is in, for expressions; a Namespace itself is in none. */
export const namespaceOf = async ({ request, kind, namespace }: Subject): Promise<KubeObject | undefined> => {
  if (namespace === '' || (kind.group === '' && kind.kind === 'Namespace')) return undefined;
  return storedObject<KubeObject>(request.call, '', 'namespaces', namespace);
};

const refused = (request: AdmissionRequest, { hook, binding, message, reason }: Denied): StatusError => {
  const by = binding ? ` with binding '${binding.name}'` : '';
  const text = `ValidatingAdmissionPolicy '${hook.name}'${by} denied request: ${message}`;
  const { status } = refusal(request, text);
  const why = reason || 'Invalid';
  const causes = [...(status.details?.causes ?? []), { message: text }];
  return new StatusError({ ...status, reason: why, code: CODES[why] ?? 422, details: { ...status.details, causes } });
};

/** Failures as the audit event tells of them. */
const failureText = (binding: BoundPolicy, index: number, message: string): string =>
  JSON.stringify([
    {
      message,
      policy: binding.spec.policyName,
      binding: binding.name,
      expressionIndex: index,
      validationActions: binding.spec.validationActions,
    },
  ]);

const annotate = (request: AdmissionRequest, key: string, value: string): void => {
  request.annotations ??= {};
  request.annotations[key] = value;
};

const act = (request: AdmissionRequest, hook: Hook, binding: BoundPolicy, decisions: readonly Decision[]): Denied[] =>
  decisions.flatMap(({ result, message, reason }, i) => {
    if (result === 'admit' || (result === 'error' && hook.ignores)) return [];
    const { warnings } = request.call;
    const denied: Denied[] = [];
    for (const action of binding.spec.validationActions ?? []) {
      if (action === 'Deny') denied.push({ hook, binding, message, reason });
      else if (action === 'Audit')
        annotate(request, 'validation.policy.admission.k8s.io/validation_failure', failureText(binding, i, message));
      else if (action === 'Warn') {
        const text = `Validation failed for ValidatingAdmissionPolicy '${hook.name}' with binding '${binding.name}': ${message}`;
        if (!warnings.includes(text)) warnings.push(text);
      }
    }
    return denied;
  });

interface Gathered {
  denied: Denied[];
  annotations: Map<string, string[]>;
}

const gather = (into: Gathered, hook: Hook, binding: BoundPolicy, annotations: readonly Annotation[]): void => {
  for (const { key, value, error } of annotations) {
    if (error && !hook.ignores) into.denied.push({ hook, binding, message: error, reason: '' });
    if (error || !value) continue;
    const cut = Buffer.from(value).subarray(0, ANNOTATION_BYTES_MAX).toString();
    const values = into.annotations.get(key) ?? [];
    if (!values.includes(cut)) values.push(cut);
    into.annotations.set(key, values);
  }
};

/** One run of all policies that could concern a request. */
const createRun = (
  { decisionsOf, requestValue, objectValue, namespaceValue, evaluateHook }: Engine,
  subject: Subject,
) => {
  const { request } = subject;
  const decisions = decisionsOf(subject);
  let objects: { of: Matched['resource']; made: Versioned } | undefined;
  let namespace: { found: KubeObject | undefined } | undefined;

  const evaluate = async (hook: Hook, matched: Matched, param: KubeObject | undefined): Promise<Evaluated> => {
    if (objects?.of !== matched.resource) objects = { of: matched.resource, made: await versioned(subject, matched) };
    namespace ??= { found: await namespaceOf(subject) };
    const { object, old } = objects.made;
    const inputs = {
      ...decisions.values,
      object: objectValue(object),
      oldObject: objectValue(old),
      request: requestValue(subject, matched),
      namespaceObject: namespaceValue(namespace.found),
      params: objectValue(param),
    };
    return decisions.settle(() => evaluateHook(hook, inputs));
  };

  const runBinding = async (hook: Hook, binding: BoundPolicy, matched: Matched, into: Gathered): Promise<void> => {
    if (binding.criteria && !(await matches(binding.criteria, subject))) return;
    const resource = paramResource(request.call, hook);
    for (const param of await collectParams(request.call, resource, binding, subject.namespace)) {
      const { decisions: made, annotations } = await evaluate(hook, matched, param);
      into.denied.push(...act(request, hook, binding, made));
      gather(into, hook, binding, annotations);
    }
  };

  /** Faults of configuration refuse the request unless the policy ignores failures. */
  const guarded = async (into: Gathered, hook: Hook, binding: BoundPolicy | undefined, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ConfigurationFault) && !(error instanceof StatusError)) throw error;
      const message = `failed to configure ${binding ? 'binding' : 'policy'}: ${error.message}`;
      if (!hook.ignores) into.denied.push({ hook, binding, message, reason: '' });
    }
  };

  return async (hook: Hook): Promise<Denied[]> => {
    const into: Gathered = { denied: [], annotations: new Map() };
    await guarded(into, hook, undefined, async () => {
      const matched = await matches(hook.criteria, subject);
      if (!matched) return;
      paramResource(request.call, hook);
      for (const binding of hook.bindings)
        await guarded(into, hook, binding, () => runBinding(hook, binding, matched, into));
    });
    for (const [key, values] of into.annotations) annotate(request, `${hook.name}/${key}`, values.join(', '));
    return into.denied;
  };
};

const validate = async (request: AdmissionRequest, { hooks, equivalents }: Concerned): Promise<void> => {
  const run = createRun(await loadEngine(), subjectOf(request, equivalents));
  const denied: Denied[] = [];
  for (const hook of hooks) denied.push(...(await run(hook)));
  if (denied[0]) throw refused(request, denied[0]);
};

/** ValidatingAdmissionPolicy (KEP-3488). What no policy could be about is let through at once. */
export const createValidatingPolicies = (): AdmissionPlugin => {
  const source = createPolicySource('validatingadmissionpolicies', 'validatingadmissionpolicybindings', loadEngine);
  return {
    name: 'ValidatingAdmissionPolicy',
    validate: (request) => {
      if (isExempt(request)) return undefined;
      const concerned = source.hooksFor(request);
      if (concerned === undefined) return undefined;
      if (!(concerned instanceof Promise)) return validate(request, concerned);
      return concerned.then((found) => (found ? validate(request, found) : undefined));
    },
  };
};
