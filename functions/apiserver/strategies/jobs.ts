// Jobs and CronJobs.
import type { CronJob, Job, JobSpec, PodFailurePolicyRule, PodTemplateSpec } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import {
  at,
  type Causes,
  checkLabelName,
  checkSelector,
  immutable,
  invalidEach,
  nonNegative,
  oneOf,
  required,
  requiredOneOf,
  same,
  selectorMatches,
} from './checks.ts';
import { cronFault, timeZoneFault } from './cron-schedule.ts';
import { checkJobStatus } from './job-status.ts';
import { checkSuccessPolicy } from './job-success-policy.ts';
import { dnsLabel, domainPrefixedPath } from './names.ts';
import { checkTemplate } from './pod/spec.ts';

const LABELS = { uid: 'batch.kubernetes.io/controller-uid', name: 'batch.kubernetes.io/job-name' };
const OLD_LABELS = { uid: 'controller-uid', name: 'job-name' };

/** Gives the job its selector and its pods the labels that it selects, unless the user manages them (manualSelector). */
const generateSelector = (job: Job): void => {
  const { spec, metadata } = job;
  if (!spec || spec.manualSelector) return;
  spec.template ??= {} as PodTemplateSpec;
  const labels: Record<string, string> = { ...spec.template.metadata?.labels };
  // Upstream's default gives the job the very map of its template's labels, and so what is added to it.
  const shared = Object.keys(labels).length > 0 && same(metadata.labels, labels);
  spec.template.metadata = { ...spec.template.metadata, labels };
  for (const [key, value] of [
    [OLD_LABELS.name, metadata.name],
    [LABELS.name, metadata.name],
    [OLD_LABELS.uid, metadata.uid],
    [LABELS.uid, metadata.uid],
  ] as const) {
    labels[key] ??= value ?? '';
  }
  if (shared) metadata.labels = { ...labels };
  spec.selector ??= {};
  spec.selector.matchLabels = { ...spec.selector.matchLabels };
  spec.selector.matchLabels[LABELS.uid] ??= metadata.uid ?? '';
};

const checkGenerated = (out: Causes, job: Job): void => {
  const { spec, metadata } = job;
  if (!spec || spec.manualSelector || !spec.selector) return;
  const labels = spec.template?.metadata?.labels ?? {};
  const expected: Record<string, string> = {};
  for (const set of [OLD_LABELS, LABELS]) {
    expected[set.uid] = metadata.uid ?? '';
    expected[set.name] = metadata.name ?? '';
  }
  for (const key of [OLD_LABELS.uid, OLD_LABELS.name, LABELS.uid, LABELS.name]) {
    const where = 'spec.template.metadata.labels';
    if (labels[key] === undefined) out.push(cause.required(at(where, key), `must be '${expected[key]}'`));
    else if (labels[key] !== expected[key]) {
      out.push(cause.invalid(at(where, key), labels, `must be '${expected[key]}'`));
    }
  }
  if (selectorMatches(spec.selector, expected) === false) {
    out.push(cause.invalid('spec.selector', spec.selector, '`selector` not auto-generated'));
  }
};

const checkIndexed = (out: Causes, path: string, spec: JobSpec): void => {
  const { completions, parallelism = 0, maxFailedIndexes: failed, backoffLimitPerIndex: perIndex } = spec;
  if (completions === undefined) {
    out.push(cause.required(`${path}.completions`, 'when completion mode is Indexed'));
  }
  const atMost = (field: string, value: number, max: number) => {
    if (value > max) out.push(cause.invalid(`${path}.${field}`, value, `must be less than or equal to ${max}`));
  };
  atMost('parallelism', parallelism, 100000);
  if (failed !== undefined && completions !== undefined) atMost('maxFailedIndexes', failed, completions);
  if (failed !== undefined) atMost('maxFailedIndexes', failed, 100000);
  if ((completions ?? 0) <= 100000 || perIndex === undefined) return;
  if (failed === undefined) {
    out.push(cause.required(`${path}.maxFailedIndexes`, 'must be specified when completions is above 100000'));
  } else atMost('maxFailedIndexes', failed, 10000);
  atMost('parallelism', parallelism, 10000);
};

const checkExitCodes = (
  out: Causes,
  path: string,
  codes: PodFailurePolicyRule['onExitCodes'],
  names: string[],
): void => {
  if (!codes) return;
  requiredOneOf(out, `${path}.operator`, codes.operator, ['In', 'NotIn']);
  if (codes.containerName && !names.includes(codes.containerName)) {
    const detail = 'must be one of the container or initContainer names in the pod template';
    out.push(cause.invalid(`${path}.containerName`, codes.containerName, detail));
  }
  const where = `${path}.values`;
  const values = codes.values ?? [];
  if (values.length < 1) out.push(cause.invalid(where, values, 'at least one value is required'));
  else if (values.length > 255) out.push(cause.tooMany(where, values.length, 255));
  const seen = new Set<number>();
  let ordered = true;
  values.forEach((value, i) => {
    if (codes.operator === 'In' && value === 0)
      out.push(cause.invalid(at(where, i), value, 'must not be 0 for the In operator'));
    if (seen.has(value)) out.push(cause.duplicate(at(where, i), value));
    if (i > 0 && value < (values[i - 1] ?? 0)) ordered = false;
    seen.add(value);
  });
  if (!ordered) out.push(cause.invalid(where, values, 'must be ordered'));
};

const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const checkFailurePolicy = (out: Causes, path: string, spec: JobSpec): void => {
  const rules = spec.podFailurePolicy?.rules ?? [];
  if (rules.length > 20) out.push(cause.tooMany(`${path}.rules`, rules.length, 20));
  const pod = spec.template?.spec;
  const names = [...(pod?.containers ?? []), ...(pod?.initContainers ?? [])].map((c) => c.name);
  rules.forEach((rule, i) => {
    const where = at(`${path}.rules`, i);
    if (required(out, `${where}.action`, rule.action)) {
      if (rule.action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) {
        out.push(cause.invalid(`${where}.action`, rule.action, 'requires the backoffLimitPerIndex to be set'));
      } else oneOf(out, `${where}.action`, rule.action, ACTIONS);
    }
    checkExitCodes(out, `${where}.onExitCodes`, rule.onExitCodes, names);
    const conditions = rule.onPodConditions ?? [];
    if (conditions.length > 20) out.push(cause.tooMany(`${where}.onPodConditions`, conditions.length, 20));
    conditions.forEach((pattern, n) => {
      const entry = at(`${where}.onPodConditions`, n);
      checkLabelName(out, `${entry}.type`, pattern.type);
      requiredOneOf(out, `${entry}.status`, pattern.status, ['False', 'True', 'Unknown']);
    });
    if (!rule.onExitCodes === !conditions.length) {
      const detail = rule.onExitCodes ? 'both is not supported' : 'one is required';
      out.push(cause.invalid(where, {}, `onExitCodes and onPodConditions: ${detail}`));
    }
  });
};

const COUNTS = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
] as const;

const checkRestart = (out: Causes, path: string, spec: JobSpec): void => {
  const policy = spec.template?.spec?.restartPolicy;
  if (!policy || policy === 'Always') out.push(cause.required(path, 'valid values: "OnFailure", "Never"'));
  else if (!['OnFailure', 'Never'].includes(policy)) out.push(cause.notSupported(path, policy, ['OnFailure', 'Never']));
  else if (spec.podFailurePolicy && policy !== 'Never') {
    out.push(cause.invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified'));
  }
};

/** Rules of a job's spec that also hold in a CronJob's template. */
const checkSpec = (out: Causes, path: string, spec: JobSpec): void => {
  for (const field of COUNTS) nonNegative(out, `${path}.${field}`, spec[field]);
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) {
    out.push(cause.required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  }
  if (spec.managedBy !== undefined) {
    if (required(out, `${path}.managedBy`, spec.managedBy))
      invalidEach(out, `${path}.managedBy`, spec.managedBy, domainPrefixedPath(spec.managedBy));
    if (spec.managedBy.length > 63) out.push(cause.tooLong(`${path}.managedBy`, 63));
  }
  const mode = spec.completionMode;
  oneOf(out, `${path}.completionMode`, mode, ['NonIndexed', 'Indexed']);
  if (mode === 'Indexed') checkIndexed(out, path, spec);
  if (mode === undefined || mode === 'NonIndexed') {
    for (const field of ['backoffLimitPerIndex', 'maxFailedIndexes'] as const) {
      const value = spec[field];
      if (value !== undefined) out.push(cause.invalid(`${path}.${field}`, value, 'requires indexed completion mode'));
    }
  }
  if (spec.podFailurePolicy) checkFailurePolicy(out, `${path}.podFailurePolicy`, spec);
  if (spec.successPolicy) {
    if (mode === 'Indexed') checkSuccessPolicy(out, `${path}.successPolicy`, spec);
    else out.push(cause.invalid(`${path}.successPolicy`, spec.successPolicy, 'requires indexed completion mode'));
  }
  const replacements = spec.podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed'];
  oneOf(out, `${path}.podReplacementPolicy`, spec.podReplacementPolicy, replacements);
  checkTemplate(out, `${path}.template`, spec.template);
  checkRestart(out, `${path}.template.spec.restartPolicy`, spec);
};

/** The whole spec of a job of its own, as creates and updates check it. */
const checkJobSpec = (out: Causes, spec: JobSpec): void => {
  checkSpec(out, 'spec', spec);
  if (spec.selector) checkSelector(out, 'spec.selector', spec.selector);
  else out.push(cause.required('spec.selector'));
  const labels = spec.template?.metadata?.labels;
  if ((spec.selector ? selectorMatches(spec.selector, labels) : false) === false) {
    const detail = '`selector` does not match template `labels`';
    out.push(cause.invalid('spec.template.metadata.labels', labels ?? {}, detail));
  }
};

const validateJob = (object: KubeObject): Causes => {
  const out: Causes = [];
  const job = object as Job;
  const spec = job.spec ?? ({} as JobSpec);
  checkGenerated(out, job);
  checkJobSpec(out, spec);
  if (spec.completionMode === 'Indexed' && (spec.completions ?? 0) > 0) {
    const host = `${job.metadata.name ?? ''}-${(spec.completions ?? 0) - 1}`;
    const detail = `will not able to create pod with invalid DNS label: ${host}`;
    if (dnsLabel(host).length) out.push(cause.invalid('metadata.name', job.metadata.name, detail));
  }
  return out;
};

/** The template as it was, with what may be scheduled otherwise taken from the new one. */
const withScheduling = (old: PodTemplateSpec, next: PodTemplateSpec): PodTemplateSpec => {
  const before = structuredClone(old);
  if (!before.spec) return before;
  const affinity = { ...before.spec.affinity };
  delete affinity.nodeAffinity;
  const node = next.spec?.affinity?.nodeAffinity;
  before.spec.affinity = node ? { ...affinity, nodeAffinity: node } : affinity;
  for (const field of ['nodeSelector', 'tolerations', 'schedulingGates'] as const) {
    const value = next.spec?.[field];
    if (value === undefined) delete before.spec[field];
    else (before.spec as unknown as Record<string, unknown>)[field] = value;
  }
  const { labels, annotations } = next.metadata ?? {};
  before.metadata = { ...before.metadata, ...(labels && { labels }), ...(annotations && { annotations }) };
  return before;
};

type PodSpec = NonNullable<PodTemplateSpec['spec']>;
/** A copy of a pod's spec with the resources of the containers that another one has, too. */
const withResources = (old: PodSpec, next: PodSpec): PodSpec => {
  const before = structuredClone(old);
  for (const list of ['containers', 'initContainers'] as const) {
    const wanted = next[list] ?? [];
    if (wanted.length !== before[list]?.length) continue;
    before[list]?.forEach((container, i) => {
      const one = wanted[i];
      if (one?.name !== container.name) return;
      if (one.resources) container.resources = one.resources;
      else delete container.resources;
    });
  }
  return before;
};

/** A job that is known to be suspended and has no pods left may be told where they run and what they get (KEP-5440). */
const checkTemplateStays = (out: Causes, next: Job, old: Job): void => {
  const before = old.spec?.template;
  const after = next.spec?.template;
  const known = old.status?.conditions?.some(({ type, status }) => type === 'Suspended' && status === 'True') ?? false;
  const suspended = old.spec?.suspend === true;
  const movable = suspended && known && !old.status?.active;
  if (!movable || !before?.spec || !after?.spec) {
    // One that never started may be told where to run before its suspension is known (recorded: semantics/job-suspend).
    const unstarted = suspended && old.status?.startTime === undefined && before && after;
    immutable(out, 'spec.template', after, unstarted ? withScheduling(before, after) : before);
    return;
  }
  const allowed = withScheduling(before, after).spec;
  if (allowed) immutable(out, 'spec.template.spec', after.spec, withResources(allowed, after.spec));
};

const validateJobUpdate: NonNullable<Strategy['validateUpdate']> = (nextObject, oldObject) => {
  const out: Causes = [];
  const next = nextObject as Job;
  const old = oldObject as Job;
  // Upstream's update rules begin with those of the spec once more: its faults are told twice.
  checkJobSpec(out, next.spec ?? ({} as JobSpec));
  const elastic =
    next.spec?.completionMode === 'Indexed' &&
    next.spec.completions !== undefined &&
    old.spec?.completions !== undefined &&
    next.spec.completions === next.spec.parallelism;
  if (!elastic) immutable(out, 'spec.completions', next.spec?.completions, old.spec?.completions);
  immutable(out, 'spec.selector', next.spec?.selector, old.spec?.selector);
  checkTemplateStays(out, next, old);
  for (const field of [
    'completionMode',
    'podFailurePolicy',
    'backoffLimitPerIndex',
    'managedBy',
    'successPolicy',
  ] as const) {
    immutable(out, `spec.${field}`, next.spec?.[field], old.spec?.[field]);
  }
  return out;
};

const validateCronJob: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const { spec, metadata } = object as CronJob;
  if ((metadata.name ?? '').length > 52) {
    out.push(cause.invalid('metadata.name', metadata.name, 'must be no more than 52 characters'));
  }
  const schedule = spec?.schedule ?? '';
  if (required(out, 'spec.schedule', schedule)) {
    const fault = cronFault(schedule, spec?.timeZone !== undefined);
    if (fault) out.push(cause.invalid('spec.schedule', schedule, fault));
  }
  nonNegative(out, 'spec.startingDeadlineSeconds', spec?.startingDeadlineSeconds);
  if (spec?.timeZone !== undefined) {
    const fault = timeZoneFault(spec.timeZone);
    if (fault) out.push(cause.invalid('spec.timeZone', spec.timeZone, fault));
  }
  requiredOneOf(out, 'spec.concurrencyPolicy', spec?.concurrencyPolicy, ['Allow', 'Forbid', 'Replace']);
  const path = 'spec.jobTemplate.spec';
  const template = spec?.jobTemplate?.spec ?? ({} as JobSpec);
  if (template.selector)
    out.push(cause.invalid(`${path}.selector`, template.selector, '`selector` will be auto-generated'));
  if (template.manualSelector) {
    out.push(cause.notSupported(`${path}.manualSelector`, 'true', ['nil', 'false']));
  }
  checkSpec(out, path, template);
  nonNegative(out, 'spec.successfulJobsHistoryLimit', spec?.successfulJobsHistoryLimit);
  nonNegative(out, 'spec.failedJobsHistoryLimit', spec?.failedJobsHistoryLimit);
  return out;
};

/** Strategies by `group/Kind`. In its only version left a job orphans its pods unless the delete says otherwise. */
export const jobStrategies: Readonly<Record<string, Strategy>> = {
  'batch/Job': {
    prepareForCreate: (object) => generateSelector(object as Job),
    // What is read back is defaulted again: a job without labels has those of its template.
    prepareForUpdate: (next, old) => {
      const labels = (old as Job).spec?.template?.metadata?.labels;
      if (labels && Object.keys(next.metadata.labels ?? {}).length === 0) next.metadata.labels = { ...labels };
    },
    validate: validateJob,
    validateUpdate: validateJobUpdate,
    validateStatusUpdate: (next, old) => checkJobStatus(next as Job, old as Job),
    defaultPropagation: 'Orphan',
  },
  'batch/CronJob': {
    validate: validateCronJob,
  },
};
