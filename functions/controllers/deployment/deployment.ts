import type { Reader } from '../../client/reader.ts';
import type { Deployment, Pod, ReplicaSet } from '../../machinery/kinds.d.ts';
import { keyOf, type ObjectKey } from '../../machinery/object.ts';
import { conditionOf, withCondition } from '../conditions.ts';
import type { Controller, Instant, Plan, PlannedWrite, WatchedChange } from '../controller.ts';
import { claim, controllerOf, expectsOf, ownerKeys, ownerReference, ownKey, targetOf } from '../owners.ts';
import { deployments, pods, replicaSets } from '../resources.ts';
import { selects } from '../selector.ts';
import { mergeDifference, statusWrite } from '../status-patch.ts';
import {
  family,
  hashLabel,
  isRolling,
  newSetAnnotations,
  revisionAnnotation,
  revisionOf,
  sizeOf,
  templateHash,
} from './replica-sets.ts';
import { newSetSize, oldPodsGone, rollingStep, stopOld } from './rolling.ts';
import { isScaling, scaleStep } from './scale.ts';
import { condition, deadlineOf, isDone, lateInMs, rolloutStatus, statusOf } from './status.ts';
import { type DeploymentObserved, patchSet, scaleSet, scalingEvent, type Work } from './work.ts';

const observe = async (read: Reader, key: ObjectKey): Promise<DeploymentObserved | undefined> => {
  const deployment = await read.get<Deployment>(deployments, key.namespace, key.name);
  if (!deployment) return undefined;
  const matches = selects(deployment.spec?.selector);
  const uid = deployment.metadata.uid ?? '';
  const sets = await read.list<ReplicaSet>(replicaSets, { namespace: key.namespace });
  const candidates = sets.filter((set) => {
    const controller = controllerOf(set);
    return controller ? controller.uid === uid : matches(set.metadata.labels);
  });
  const list: Pod[] = [];
  if (!isRolling(deployment)) {
    for (const set of candidates) list.push(...(await read.ownedBy<Pod>(pods, set.metadata.uid ?? '')));
  }
  const hash = templateHash(deployment.spec?.template, deployment.status?.collisionCount);
  const name = `${key.name}-${hash}`;
  const namesake = sets.find((set) => set.metadata.name === name && controllerOf(set)?.uid !== uid);
  return { deployment, candidates, pods: list, namesake };
};

const decide = (observed: DeploymentObserved, now: Instant): Plan => {
  const { deployment } = observed;
  const reference = ownerReference(deployment, 'apps/v1', 'Deployment');
  const matches = selects(deployment.spec?.selector);
  const claimed = claim(deployment, reference, matches, observed.candidates, replicaSets);
  const work: Work = {
    deployment,
    ...family(deployment, claimed.mine),
    pods: observed.pods,
    namesake: observed.namesake,
    now,
    writes: claimed.writes,
    events: [],
    conditions: pausedConditions(deployment, now),
    annotations: {},
  };
  const rollout = deployment.metadata.deletionTimestamp ? false : step(work);
  const status = rollout ? rolloutStatus(work) : statusOf(work);
  // Another object has the name: the next round hashes with the new count.
  const collides = observed.namesake !== undefined && !work.newest && !deployment.metadata.deletionTimestamp;
  if (collides) status.collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
  const late = rollout ? lateInMs(deployment, status, now) : undefined;
  return {
    writes: [...work.writes, ...ownWrites(work, status)],
    events: work.events,
    ...(late !== undefined && { again: { afterMs: late } }),
    refused: (failures) => {
      const failure = failures.find((f) => f.write.op === 'create');
      if (!failure || deadlineOf(deployment) === undefined) return [];
      const message = failure.status.message ?? '';
      const failed = condition(now, 'Progressing', 'False', 'ReplicaSetCreateError', message);
      return statusWrite(deployment, deployments, { ...status, conditions: withCondition(status.conditions, failed) });
    },
  };
};

/** True when this is a rollout (its status tells of progress), false when only sizes may change. */
const step = (work: Work): boolean => {
  const { deployment } = work;
  if (deployment.spec?.paused || isScaling(work)) {
    syncNewest(work);
    scaleStep(work);
    if (deployment.spec?.paused) cleanUp(work);
    return false;
  }
  if (isRolling(deployment)) {
    if (!syncNewest(work)) createNewest(work);
    else rollingStep(work);
  } else {
    syncNewest(work);
    if (stopOld(work) || !oldPodsGone(work)) return true;
    if (!work.newest) createNewest(work);
    else if (sizeOf(work.newest) !== newSetSize(work)) scaleSet(work, work.newest, newSetSize(work));
  }
  if (isDone(work)) cleanUp(work);
  return true;
};

/** Brings revision, annotations and minReadySeconds of the present set up to date; false when there is none. */
const syncNewest = (work: Work): boolean => {
  const { deployment, newest } = work;
  if (!newest) return false;
  patchSet(work, newest, newSetAnnotations(deployment, newest, work.revision));
  const minReady = deployment.spec?.minReadySeconds;
  if ((newest.spec?.minReadySeconds ?? 0) !== (minReady ?? 0)) {
    const target = targetOf(newest);
    const merge = { spec: { minReadySeconds: minReady ?? null } };
    work.writes.push({
      op: 'patch',
      resource: replicaSets,
      target,
      merge,
      expects: { uid: newest.metadata.uid ?? '' },
    });
  }
  const revision = work.newest ? revisionOf(work.newest) : work.revision;
  work.annotations[revisionAnnotation] = String(revision);
  if (deadlineOf(deployment) !== undefined && !conditionOf(work.conditions, 'Progressing')) {
    const found = `Found new replica set "${newest.metadata.name}"`;
    const next = condition(work.now, 'Progressing', 'True', 'FoundNewReplicaSet', found);
    work.conditions = withCondition(work.conditions, next);
  }
  return true;
};

const createNewest = (work: Work): void => {
  const { deployment, now } = work;
  if (work.namesake) return;
  const { namespace = '', name: base = '' } = deployment.metadata;
  const template = deployment.spec?.template;
  const hash = templateHash(template, deployment.status?.collisionCount);
  const name = `${base}-${hash}`;
  const labels = { ...template?.metadata?.labels, [hashLabel]: hash };
  const selector = deployment.spec?.selector ?? {};
  const replicas = newSetSize(work);
  const set: ReplicaSet = {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name,
      namespace,
      labels,
      annotations: newSetAnnotations(deployment, undefined, work.revision),
      ownerReferences: [ownerReference(deployment, 'apps/v1', 'Deployment')],
    },
    spec: {
      replicas,
      ...(deployment.spec?.minReadySeconds && { minReadySeconds: deployment.spec.minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template?.metadata, labels } },
    },
  };
  work.writes.push({
    op: 'create',
    resource: replicaSets,
    object: set,
    done: () => (replicas > 0 ? scalingEvent(deployment, name, 0, replicas) : undefined),
    failed: (status) => ({
      regarding: deployment,
      type: 'Warning',
      reason: 'ReplicaSetCreateError',
      message: `Failed to create new replica set "${name}": ${status.message}`,
    }),
  });
  work.newest = set;
  work.annotations[revisionAnnotation] = String(work.revision);
  if (deadlineOf(deployment) !== undefined) {
    const created = condition(now, 'Progressing', 'True', 'NewReplicaSetCreated', `Created new replica set "${name}"`);
    work.conditions = withCondition(work.conditions, created);
  }
};

const byRevision = (a: ReplicaSet, b: ReplicaSet): number => Number(revisionOf(a) - revisionOf(b));

/** Old empty sets beyond the history limit go, lowest revision first. */
const cleanUp = (work: Work): void => {
  const limit = work.deployment.spec?.revisionHistoryLimit;
  if (limit === undefined || limit === 2 ** 31 - 1) return;
  const alive = work.old.filter((set) => !set.metadata.deletionTimestamp).sort(byRevision);
  for (const set of alive.slice(0, Math.max(0, alive.length - limit))) {
    const busy = (set.status?.replicas ?? 0) > 0 || sizeOf(set) > 0;
    if (busy || (set.metadata.generation ?? 0) > (set.status?.observedGeneration ?? 0)) continue;
    work.writes.push({
      op: 'delete',
      resource: replicaSets,
      target: targetOf(set),
      expects: { uid: set.metadata.uid ?? '' },
      propagation: 'Background',
    });
  }
};

const pausedConditions = (deployment: Deployment, now: Instant) => {
  const before = deployment.status?.conditions ?? [];
  if (deadlineOf(deployment) === undefined) return before;
  const current = conditionOf(before, 'Progressing');
  if (current?.reason === 'ProgressDeadlineExceeded') return before;
  const paused = current?.reason === 'DeploymentPaused';
  if (deployment.spec?.paused && !paused) {
    return withCondition(before, condition(now, 'Progressing', 'Unknown', 'DeploymentPaused', 'Deployment is paused'));
  }
  if (deployment.spec?.paused || !paused) return before;
  return withCondition(before, condition(now, 'Progressing', 'Unknown', 'DeploymentResumed', 'Deployment is resumed'));
};

/** The revision annotation goes with the status, through its endpoint: elsewhere annotations make a new generation. */
const ownWrites = (work: Work, status: object): PlannedWrite[] => {
  const { deployment } = work;
  const changed = Object.entries(work.annotations).filter(([k, v]) => deployment.metadata.annotations?.[k] !== v);
  if (changed.length === 0) return statusWrite(deployment, deployments, status);
  const difference = mergeDifference(deployment.status, status);
  const merge = { metadata: { annotations: Object.fromEntries(changed) }, ...(difference && { status: difference }) };
  const target = targetOf(deployment);
  const expects = expectsOf(deployment);
  return [{ op: 'patch', resource: deployments, target, merge, expects, subresource: 'status' }];
};

/** A replica set without a controller wakes the deployments that might adopt it. */
const setKeys = async (change: WatchedChange, read: Reader): Promise<string[]> => {
  const { namespace = '', labels } = change.object.metadata;
  const keys = ownerKeys(change, 'Deployment', 'apps');
  for (const deployment of await read.list<Deployment>(deployments, { namespace })) {
    if (selects(deployment.spec?.selector)(labels)) keys.push(keyOf(namespace, deployment.metadata.name ?? ''));
  }
  return keys;
};

/** A pod that is gone may be the last one that a Recreate waits for. */
const podKeys = async (change: WatchedChange, read: Reader): Promise<string[]> => {
  const owner = controllerOf(change.object);
  if (!change.deleted || owner?.kind !== 'ReplicaSet') return [];
  const { namespace = '' } = change.object.metadata;
  const set = await read.get<ReplicaSet>(replicaSets, namespace, owner.name);
  const deployment = set && controllerOf(set);
  return deployment?.kind === 'Deployment' ? [keyOf(namespace, deployment.name)] : [];
};

/** Rolls a Deployment's replica sets from one template to the next. */
export const deploymentController: Controller<DeploymentObserved> = {
  name: 'deployment',
  watches: [
    { resource: deployments, keys: ownKey },
    {
      resource: replicaSets,
      keys: (change, read) =>
        controllerOf(change.object) ? ownerKeys(change, 'Deployment', 'apps') : setKeys(change, read),
    },
    { resource: pods, keys: podKeys },
  ],
  observe,
  decide,
};
