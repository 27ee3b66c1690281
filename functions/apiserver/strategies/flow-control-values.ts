// Specs as upstream's internal types print them in errors: every field, under Go's names.
import type { FlowSchema, PriorityLevelConfiguration } from '../../machinery/kinds.d.ts';

type Rule = NonNullable<NonNullable<FlowSchema['spec']>['rules']>[number];

const orNull = <T, R>(values: readonly T[] | null | undefined, of: (value: T) => R): R[] | null =>
  values ? values.map(of) : null;

const subjectValue = ({ kind, user, group, serviceAccount }: NonNullable<Rule['subjects']>[number]): object => ({
  Kind: kind,
  User: user ? { Name: user.name } : null,
  Group: group ? { Name: group.name } : null,
  ServiceAccount: serviceAccount ? { Namespace: serviceAccount.namespace, Name: serviceAccount.name } : null,
});

const ruleValue = ({ subjects, resourceRules, nonResourceRules }: Rule): object => ({
  Subjects: orNull(subjects, subjectValue),
  ResourceRules: orNull(resourceRules, (rule) => ({
    Verbs: rule.verbs ?? null,
    APIGroups: rule.apiGroups ?? null,
    Resources: rule.resources ?? null,
    ClusterScope: rule.clusterScope ?? false,
    Namespaces: rule.namespaces ?? null,
  })),
  NonResourceRules: orNull(nonResourceRules, (rule) => ({
    Verbs: rule.verbs ?? null,
    NonResourceURLs: rule.nonResourceURLs ?? null,
  })),
});

export const schemaValue = (spec: FlowSchema['spec']): object => ({
  PriorityLevelConfiguration: { Name: spec?.priorityLevelConfiguration?.name ?? '' },
  MatchingPrecedence: spec?.matchingPrecedence ?? 0,
  DistinguisherMethod: spec?.distinguisherMethod ? { Type: spec.distinguisherMethod.type ?? '' } : null,
  Rules: orNull(spec?.rules, ruleValue),
});

export const levelValue = (spec: PriorityLevelConfiguration['spec']): object => {
  const { limited, exempt } = spec ?? {};
  const queuing = limited?.limitResponse?.queuing;
  return {
    Type: spec?.type ?? '',
    Limited: limited
      ? {
          NominalConcurrencyShares: limited.nominalConcurrencyShares ?? 0,
          LimitResponse: {
            Type: limited.limitResponse?.type ?? '',
            Queuing: queuing
              ? { Queues: queuing.queues, HandSize: queuing.handSize, QueueLengthLimit: queuing.queueLengthLimit }
              : null,
          },
          LendablePercent: limited.lendablePercent ?? null,
          BorrowingLimitPercent: limited.borrowingLimitPercent ?? null,
        }
      : null,
    Exempt: exempt
      ? {
          NominalConcurrencyShares: exempt.nominalConcurrencyShares ?? null,
          LendablePercent: exempt.lendablePercent ?? null,
        }
      : null,
  };
};
