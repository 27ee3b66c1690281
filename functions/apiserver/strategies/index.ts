import { kindSchema } from '../../machinery/facts.ts';
import { type Json, type KubeObject, parseGroupVersion } from '../../machinery/object.ts';
import { validateRequired } from '../../machinery/required.ts';
import type { Cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { scalingStrategies } from './autoscaling.ts';
import { clusterStrategies } from './cluster.ts';
import { configStrategies } from './config.ts';
import { definitionStrategy } from './custom-resource-definition.ts';
import { dynamicDefaults } from './defaults.ts';
import { deviceStrategies } from './devices.ts';
import { disabledFieldsOf } from './disabled-fields.ts';
import { flowStrategies } from './flow-control.ts';
import { jobStrategies } from './jobs.ts';
import { warningsOf } from './kind-warnings.ts';
import { networkingStrategies } from './networking.ts';
import { volumeStrategies } from './persistent-volumes.ts';
import { podStrategy } from './pod/strategy.ts';
import { quotaStrategies } from './quotas.ts';
import { rbacStrategies } from './rbac.ts';
import { registrationStrategies } from './registration.ts';
import { serviceStrategy } from './service.ts';
import { statusRulesOf } from './status-rules.ts';
import { storageStrategies } from './storage.ts';
import { workloadStrategies } from './workloads.ts';

const own: Readonly<Record<string, Strategy>> = {
  '/Pod': podStrategy,
  'apiextensions.k8s.io/CustomResourceDefinition': definitionStrategy,
  '/Service': serviceStrategy,
  ...workloadStrategies,
  ...jobStrategies,
  ...configStrategies,
  ...quotaStrategies,
  ...networkingStrategies,
  ...volumeStrategies,
  ...clusterStrategies,
  ...rbacStrategies,
  ...scalingStrategies,
  ...storageStrategies,
  ...registrationStrategies,
  ...deviceStrategies,
  ...flowStrategies,
};
/** Kinds whose updates must name the resourceVersion that they replace. */
const CONDITIONAL = new Set([
  'node.k8s.io/RuntimeClass',
  'policy/PodDisruptionBudget',
  'storage.k8s.io/CSIDriver',
  'storage.k8s.io/CSINode',
  'storage.k8s.io/CSIStorageCapacity',
  'storage.k8s.io/VolumeAttachment',
  'coordination.k8s.io/Lease',
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy',
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding',
  'admissionregistration.k8s.io/MutatingAdmissionPolicy',
  'admissionregistration.k8s.io/MutatingAdmissionPolicyBinding',
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration',
  'admissionregistration.k8s.io/MutatingWebhookConfiguration',
  'apiextensions.k8s.io/CustomResourceDefinition',
  'apiregistration.k8s.io/APIService',
]);
const strategies = new Map<string, Strategy>();

/** Kinds without rules of their own: what their schema requires of the spec. */
const requiredOfSpec = (object: KubeObject): Cause[] => {
  const { group, version } = parseGroupVersion(object.apiVersion ?? '');
  const spec = kindSchema(group, version, object.kind ?? '')?.fields.spec;
  const value = (object as { spec?: Json }).spec;
  return spec && value !== undefined ? validateRequired(spec.schema, value, 'spec') : [];
};

/** The rules of a kind with its warnings; they begin with dropping the fields of features that are off. */
const completed = (key: string, bare: Strategy): Strategy => {
  const drop = disabledFieldsOf(key);
  const warnings = warningsOf(key);
  const status = statusRulesOf(key);
  const rules: Strategy = {
    ...bare,
    ...(status && {
      validateStatusUpdate: (next, old, ctx) => [
        ...(bare.validateStatusUpdate?.(next, old, ctx) ?? []),
        ...status(next, old),
      ],
    }),
    ...(warnings && { warnings: (object, old, ctx) => (ctx.subresource === '' ? warnings(object, old) : []) }),
  };
  if (!drop) return rules;
  return {
    ...rules,
    prepareForCreate: (object, ctx) => {
      drop(object);
      rules.prepareForCreate?.(object, ctx);
    },
    prepareForUpdate: (next, old, ctx) => {
      drop(next);
      rules.prepareForUpdate?.(next, old, ctx);
    },
  };
};

/** The strategy of a built-in kind: its own, with the kind's dynamic defaults. Always the same object. */
export const strategyFor = (group: string, kind: string): Strategy => {
  const key = `${group}/${kind}`;
  const known = strategies.get(key);
  if (known) return known;
  const defaults = dynamicDefaults[key];
  const rules = completed(key, own[key] ?? { validate: requiredOfSpec });
  const unconditionalUpdate = !CONDITIONAL.has(key);
  const strategy: Strategy = { ...rules, unconditionalUpdate, ...(defaults && { defaults }) };
  strategies.set(key, strategy);
  return strategy;
};
