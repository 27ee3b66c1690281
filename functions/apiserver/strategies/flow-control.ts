// flowcontrol.apiserver.k8s.io: which requests belong together, and how many of them run at a time (KEP-1040).
import { flowSchemas, MANDATORY, priorityLevels } from '../../machinery/flow-control-defaults.ts';
import type {
  FlowSchema,
  LimitedPriorityLevelConfiguration,
  PriorityLevelConfiguration,
  PriorityLevelConfigurationCondition,
} from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { at, type Causes, checkDnsLabel, checkSubdomain, oneOf, required, same } from './checks.ts';
import { levelValue, schemaValue } from './flow-control-values.ts';

type Rule = NonNullable<NonNullable<FlowSchema['spec']>['rules']>[number];
type Subject = NonNullable<Rule['subjects']>[number];

const VERBS = ['get', 'list', 'create', 'update', 'delete', 'deletecollection', 'patch', 'watch', 'proxy'].sort();
const PRECEDENCE_MAX = 10_000;
const QUEUES_MAX = 10_000_000;
/** Shuffle sharding deals its hands from a hash of so many bits. */
const HASH_BITS_MAX = 60;

const onlyWildcard = (
  out: Causes,
  path: string,
  values: readonly string[] | undefined,
  words: string,
  missing = `resource rules must supply at least one ${words}`,
): void => {
  if (!values?.length) out.push(cause.required(path, missing));
  else if (values.length > 1 && values.includes('*'))
    out.push(cause.invalid(path, values, `if '*' is present, must not specify other ${words}s`));
};

const checkVerbs = (out: Causes, path: string, verbs: readonly string[] | undefined): void => {
  onlyWildcard(out, path, verbs, 'verb', 'verbs must contain at least one value');
  if (verbs?.includes('*')) return;
  if (verbs?.some((verb) => !VERBS.includes(verb))) out.push(cause.notSupported(path, verbs, VERBS));
};

const subjectFields = { User: 'user', Group: 'group', ServiceAccount: 'serviceAccount' } as const;
const isKind = (kind: string): kind is keyof typeof subjectFields => Object.hasOwn(subjectFields, kind);

const checkSubject = (out: Causes, path: string, subject: Subject): void => {
  const { kind } = subject;
  if (!isKind(kind)) {
    out.push(cause.notSupported(`${path}.kind`, kind, Object.keys(subjectFields).sort()));
    return;
  }
  const own = subjectFields[kind];
  const given = subject[own];
  if (!given) out.push(cause.required(`${path}.${own}`, `${own} is required when subject kind is '${kind}'`));
  else {
    const { name } = given;
    if (required(out, `${path}.${own}.name`, name) && kind === 'ServiceAccount' && name !== '*')
      checkSubdomain(out, `${path}.${own}.name`, name);
    const namespace = `${path}.${own}.namespace`;
    if ('namespace' in given || kind === 'ServiceAccount') {
      const value = 'namespace' in given ? given.namespace : '';
      if (required(out, namespace, value, 'must specify namespace for service account'))
        checkDnsLabel(out, namespace, value);
    }
  }
  for (const [other, field] of Object.entries(subjectFields))
    if (other !== kind && subject[field])
      out.push(cause.forbidden(`${path}.${field}`, `${field} is forbidden when subject kind is not '${other}'`));
};

const urlFault = (url: string): string | undefined => {
  if (url === '') return 'must not be empty';
  if (url === '/') return undefined;
  if (!url.startsWith('/')) return 'must start with slash';
  if (url.includes(' ')) return 'must not contain white-space';
  if (url.includes('//')) return 'must not contain double slash';
  const wildcards = url.split('*').length - 1;
  return wildcards > 1 || (wildcards === 1 && !url.endsWith('/*')) ? 'wildcard can only do suffix matching' : undefined;
};

const NAMESPACE_WORDS = "each member of this list must be '*' or a DNS-1123 label; ";

const checkRule = (out: Causes, path: string, rule: Rule): void => {
  rule.subjects?.forEach((subject, i) => {
    checkSubject(out, at(`${path}.subjects`, i), subject);
  });
  if (!rule.subjects?.length) out.push(cause.required(`${path}.subjects`, 'subjects must contain at least one value'));
  if (!rule.resourceRules?.length && !rule.nonResourceRules?.length)
    out.push(cause.required(path, 'at least one of resourceRules and nonResourceRules has to be non-empty'));
  rule.resourceRules?.forEach((one, i) => {
    const where = at(`${path}.resourceRules`, i);
    checkVerbs(out, `${where}.verbs`, one.verbs);
    onlyWildcard(out, `${where}.apiGroups`, one.apiGroups, 'api group');
    onlyWildcard(out, `${where}.resources`, one.resources, 'resource');
    if (!one.namespaces?.length && one.clusterScope) return;
    const missing = 'resource rules that are not cluster scoped must supply at least one namespace';
    onlyWildcard(out, `${where}.namespaces`, one.namespaces, 'namespace', missing);
    if (!one.namespaces?.includes('*'))
      one.namespaces?.forEach((namespace, n) => {
        const faults: Causes = [];
        checkDnsLabel(faults, at(`${where}.namespaces`, n), namespace);
        for (const fault of faults)
          out.push({ ...fault, message: fault.message.replace(/: (?=an? )/, `: ${NAMESPACE_WORDS}`) });
      });
  });
  rule.nonResourceRules?.forEach((one, i) => {
    const where = at(`${path}.nonResourceRules`, i);
    checkVerbs(out, `${where}.verbs`, one.verbs);
    const missing = 'nonResourceURLs must contain at least one value';
    onlyWildcard(out, `${where}.nonResourceURLs`, one.nonResourceURLs, 'non-resource URL', missing);
    if (one.nonResourceURLs?.includes('*')) return;
    one.nonResourceURLs?.forEach((url, n) => {
      const fault = urlFault(url);
      if (fault) out.push(cause.invalid(at(`${where}.nonResourceURLs`, n), url, fault));
    });
  });
};

const checkConditions = (out: Causes, conditions: readonly PriorityLevelConfigurationCondition[] = []): void => {
  const seen = new Set<string | undefined>();
  conditions.forEach(({ type }, i) => {
    const where = `${at('status.conditions', i)}.type`;
    if (seen.has(type)) out.push(cause.duplicate(where, type));
    seen.add(type);
    required(out, where, type);
  });
};

const specOf = (object: KubeObject | undefined): Record<string, unknown> | undefined =>
  (object as { spec?: Record<string, unknown> } | undefined)?.spec;
/** The objects that hold the server up keep their specs. */
const isChanged = (object: KubeObject, seeds: readonly KubeObject[], free?: string): boolean => {
  const { name = '' } = object.metadata;
  if (!MANDATORY.has(name)) return false;
  const fixed = specOf(seeds.find((seed) => seed.metadata.name === name));
  const without = (spec: Record<string, unknown> | undefined) => (free ? { ...spec, [free]: undefined } : spec);
  return !same(without(specOf(object)), without(fixed));
};

const METHODS = ['ByNamespace', 'ByUser'];
/** The value is told as the whole method, as upstream's types print it. */
const checkMethod = (out: Causes, type: string): void => {
  if (!METHODS.includes(type)) out.push(cause.notSupported('spec.distinguisherMethod.type', { Type: type }, METHODS));
};

const validateSchema = (object: KubeObject): Causes => {
  const { metadata, spec, status } = object as unknown as FlowSchema;
  const out: Causes = [];
  const precedence = spec?.matchingPrecedence ?? 0;
  const where = 'spec.matchingPrecedence';
  if (precedence <= 0) out.push(cause.invalid(where, precedence, 'must be a positive value'));
  if (precedence > PRECEDENCE_MAX)
    out.push(cause.invalid(where, precedence, `must not be greater than ${PRECEDENCE_MAX}`));
  if (precedence === 1 && metadata?.name !== 'exempt')
    out.push(cause.invalid(where, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"));
  if (spec?.distinguisherMethod) checkMethod(out, spec.distinguisherMethod.type ?? '');
  const level = spec?.priorityLevelConfiguration?.name;
  const levelPath = 'spec.priorityLevelConfiguration.name';
  if (required(out, levelPath, level, 'must reference a priority level')) checkSubdomain(out, levelPath, level ?? '');
  spec?.rules?.forEach((rule, i) => {
    checkRule(out, at('spec.rules', i), rule);
  });
  if (isChanged(object, flowSchemas()))
    out.push(cause.invalid('spec', schemaValue(spec), `spec of '${metadata?.name}' must equal the fixed value`));
  checkConditions(out, status?.conditions);
  return out;
};

const between = (out: Causes, path: string, value: number | undefined, max = Number.POSITIVE_INFINITY): void => {
  if (value === undefined || (value >= 0 && value <= max)) return;
  const words =
    max === Number.POSITIVE_INFINITY ? 'must be a non-negative integer' : 'must be between 0 and 100, inclusive';
  out.push(cause.invalid(path, value, words));
};

/** Bits that dealing a hand takes, upstream's upper bound: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#queuing. */
const entropyOf = (queues: number, hand: number): number => Math.ceil(Math.log2(queues) * hand);

type Queuing = NonNullable<NonNullable<LimitedPriorityLevelConfiguration['limitResponse']>['queuing']>;

const checkQueuing = (out: Causes, path: string, { queues = 0, handSize = 0, queueLengthLimit = 0 }: Queuing): void => {
  const say = (field: string, value: number, text: string): void => {
    out.push(cause.invalid(`${path}.${field}`, value, text));
  };
  if (queueLengthLimit <= 0) say('queueLengthLimit', queueLengthLimit, 'must be positive');
  if (queues <= 0) say('queues', queues, 'must be positive');
  else if (queues > QUEUES_MAX) say('queues', queues, `must not be greater than ${QUEUES_MAX}`);
  if (handSize <= 0) say('handSize', handSize, 'must be positive');
  else if (handSize > queues) say('handSize', handSize, `should not be greater than queues (${queues})`);
  else if (entropyOf(queues, handSize) > HASH_BITS_MAX)
    say(
      'handSize',
      handSize,
      `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${HASH_BITS_MAX}`,
    );
};

const checkLimited = (out: Causes, path: string, limited: LimitedPriorityLevelConfiguration): void => {
  between(out, `${path}.nominalConcurrencyShares`, limited.nominalConcurrencyShares);
  const { type = '', queuing } = limited.limitResponse ?? {};
  const where = `${path}.limitResponse`;
  if (oneOf(out, `${where}.type`, type, ['Queue', 'Reject'])) {
    if (type === 'Reject' && queuing)
      out.push(cause.forbidden(`${where}.queuing`, 'must be nil if limited.limitResponse.type is not Limited'));
    if (type === 'Queue' && !queuing)
      out.push(cause.required(`${where}.queuing`, 'must not be empty if limited.limitResponse.type is Limited'));
    if (type === 'Queue' && queuing) checkQueuing(out, `${where}.queuing`, queuing);
  }
  between(out, `${path}.lendablePercent`, limited.lendablePercent, 100);
  const borrowed = limited.borrowingLimitPercent;
  if (borrowed !== undefined && borrowed < 0)
    out.push(cause.invalid(`${path}.borrowingLimitPercent`, borrowed, 'if specified, must be a non-negative integer'));
};

const validateLevel = (object: KubeObject): Causes => {
  const { metadata, spec, status } = object as unknown as PriorityLevelConfiguration;
  const out: Causes = [];
  const type = spec?.type ?? '';
  if ((metadata?.name === 'exempt') !== (type === 'Exempt'))
    out.push(cause.invalid('spec.type', type, "must be 'Exempt' if and only if `name` is 'exempt'"));
  if (type === 'Exempt') {
    if (spec?.limited) out.push(cause.forbidden('spec.limited', 'must be nil if the type is not Limited'));
    between(out, 'spec.exempt.nominalConcurrencyShares', spec?.exempt?.nominalConcurrencyShares);
    between(out, 'spec.exempt.lendablePercent', spec?.exempt?.lendablePercent, 100);
  } else if (type === 'Limited') {
    if (spec?.exempt) out.push(cause.forbidden('spec.exempt', 'must be nil if the type is Limited'));
    if (spec?.limited) checkLimited(out, 'spec.limited', spec.limited);
    else out.push(cause.required('spec.limited', 'must not be empty when type is Limited'));
  } else out.push(cause.notSupported('spec.type', type, ['Exempt', 'Limited']));
  const free = metadata?.name === 'exempt' ? 'exempt' : undefined;
  if (isChanged(object, priorityLevels(), free)) {
    const except = free ? ` except the 'spec.${free}' field` : '';
    out.push(
      cause.invalid('spec', levelValue(spec), `spec of '${metadata?.name}'${except} must equal the fixed value`),
    );
  }
  checkConditions(out, status?.conditions);
  return out;
};

const statusConditions: NonNullable<Strategy['validateStatusUpdate']> = (next) => {
  const out: Causes = [];
  checkConditions(out, (next as unknown as FlowSchema).status?.conditions);
  return out;
};

/** Strategies by `group/Kind`. */
export const flowStrategies: Readonly<Record<string, Strategy>> = {
  'flowcontrol.apiserver.k8s.io/FlowSchema': { validate: validateSchema, validateStatusUpdate: statusConditions },
  'flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration': {
    validate: validateLevel,
    validateStatusUpdate: statusConditions,
  },
};
