/**
 * The policies of a cluster with their bindings, as they are stored now. A look that finds nothing changed costs two
 * comparisons; where the store does not tell of its commits it is asked anew every 500 ms.
 */
import type { Expression } from '../../../machinery/cel/admission.ts';
import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '../../../machinery/kinds.d.ts';
import { decode } from '../../../store/decoded.ts';
import type { Replica } from '../../../store/replica-port.ts';
import type { Revision, Stored } from '../../../store/store.ts';
import type { Server } from '../../context.ts';
import type { ResourceInfo } from '../../registry.ts';
import type { AdmissionRequest } from '../admission.ts';
import { type Criteria, couldMatch, criteriaOf, equivalentsOf } from './match.ts';

const GROUP = 'admissionregistration.k8s.io';
const LOOK_MS = 500;

export type Policy = ValidatingAdmissionPolicy & MutatingAdmissionPolicy;
type Binding = ValidatingAdmissionPolicyBinding & MutatingAdmissionPolicyBinding;

export interface BoundPolicy {
  name: string;
  spec: NonNullable<Binding['spec']>;
  /** Absent where the binding narrows nothing. */
  criteria: Criteria | undefined;
}
/** A policy that has bindings, ready to run. */
export interface Hook {
  name: string;
  spec: NonNullable<Policy['spec']>;
  ignores: boolean;
  criteria: Criteria;
  bindings: readonly BoundPolicy[];
  programs: Programs;
}
/** The expressions of a policy, compiled; an absent message has none. */
export interface Programs {
  variables: readonly { name: string; expression: Expression }[];
  conditions: readonly Expression[];
  validations: readonly Expression[];
  messages: readonly (Expression | undefined)[];
  annotations: readonly Expression[];
  mutations: readonly Expression[];
}
export type CompilePolicy = (policy: Policy) => Programs;

/** Which hooks could concern a kind of request, and the resource's other versions. */
export interface Concerned {
  hooks: readonly Hook[];
  equivalents: readonly ResourceInfo[];
}

interface Known {
  policies: Replica;
  bindings: Replica;
  policyRevision: Revision;
  bindingRevision: Revision;
  lookedAt: number;
  hooks: readonly Hook[];
  concerned: WeakMap<ResourceInfo, Map<string, Concerned>>;
}

const nobody: Concerned = { hooks: [], equivalents: [] };

const bindingOf = (stored: Stored): BoundPolicy => {
  const { metadata, spec } = decode(stored) as unknown as Binding;
  const match = spec?.matchResources;
  return { name: metadata?.name ?? '', spec: spec ?? ({} as never), criteria: match && criteriaOf(match) };
};

export type PolicySource = ReturnType<typeof createPolicySource>;

/** `policies` and `bindings` are resource names; `load` brings the compiler, which few clusters need. */
export const createPolicySource = (
  policies: string,
  bindings: string,
  load: () => Promise<{ compilePolicy: CompilePolicy }>,
) => {
  const clusters = new Map<string, Known>();
  const compiled = new WeakMap<Stored, Programs>();

  const hooksOf = async (policyReplica: Replica, bindingReplica: Replica): Promise<Hook[]> => {
    if (policyReplica.size === 0 || bindingReplica.size === 0) return [];
    const { compilePolicy } = await load();
    const bound = new Map<string, BoundPolicy[]>();
    for (const stored of bindingReplica.list({})) {
      const binding = bindingOf(stored);
      const { policyName = '' } = binding.spec;
      const others = bound.get(policyName);
      if (others) others.push(binding);
      else bound.set(policyName, [binding]);
    }
    return policyReplica.list({}).flatMap((stored) => {
      const policy = decode(stored) as unknown as Policy;
      const name = policy.metadata?.name ?? '';
      const { spec } = policy;
      const own = bound.get(name);
      if (!own || !spec?.matchConstraints) return [];
      const programs = compiled.get(stored) ?? compilePolicy(policy);
      compiled.set(stored, programs);
      const criteria = criteriaOf(spec.matchConstraints);
      return [{ name, spec, ignores: spec.failurePolicy === 'Ignore', criteria, bindings: own, programs }];
    });
  };

  const look = async (server: Server, cluster: string): Promise<Known> => {
    const domain = (resource: string) => ({ cluster, group: GROUP, resource });
    const [policyReplica, bindingReplica] = await Promise.all([
      server.replicas.of(domain(policies)),
      server.replicas.of(domain(bindings)),
    ]);
    const [policyRevision, bindingRevision] = await Promise.all([policyReplica.fresh(), bindingReplica.fresh()]);
    const before = clusters.get(cluster);
    const lookedAt = server.clock.now();
    const same =
      before?.policies === policyReplica &&
      before.bindings === bindingReplica &&
      before.policyRevision === policyRevision &&
      before.bindingRevision === bindingRevision;
    if (same) {
      before.lookedAt = lookedAt;
      return before;
    }
    const hooks = await hooksOf(policyReplica, bindingReplica);
    const next: Known = {
      policies: policyReplica,
      bindings: bindingReplica,
      policyRevision,
      bindingRevision,
      lookedAt,
      hooks,
      concerned: new WeakMap(),
    };
    clusters.set(cluster, next);
    return next;
  };

  const concernedBy = (known: Known, request: AdmissionRequest): Concerned => {
    if (known.hooks.length === 0) return nobody;
    const { resource } = request.call;
    let byKind = known.concerned.get(resource);
    if (!byKind) {
      byKind = new Map();
      known.concerned.set(resource, byKind);
    }
    const name = `${request.operation}/${request.subresource}`;
    const found = byKind.get(name);
    if (found) return found;
    const equivalents = equivalentsOf(request);
    const resources = [resource, ...equivalents];
    const hooks = known.hooks.filter(({ criteria }) =>
      couldMatch(criteria, resources, request.subresource, request.operation),
    );
    const made = hooks.length === 0 ? nobody : { hooks, equivalents };
    byKind.set(name, made);
    return made;
  };

  return {
    /** The hooks that could be about a request; undefined at once where there are none. */
    hooksFor: (request: AdmissionRequest): Concerned | undefined | Promise<Concerned | undefined> => {
      const { server, info } = request.call;
      const known = clusters.get(info.cluster);
      const fresh =
        known !== undefined &&
        known.policies.revision === known.policyRevision &&
        known.bindings.revision === known.bindingRevision &&
        server.clock.now() - known.lookedAt < LOOK_MS;
      const some = (concerned: Concerned) => (concerned.hooks.length > 0 ? concerned : undefined);
      if (fresh) return some(concernedBy(known, request));
      return look(server, info.cluster).then((next) => some(concernedBy(next, request)));
    },
  };
};

/** Kinds that configure admission are never subject to it, so that a policy can always be repaired. */
export const isExempt = ({ call }: AdmissionRequest): boolean => call.resource.group === GROUP;
