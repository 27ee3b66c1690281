import type { CustomResourceDefinition } from '../../machinery/kinds.d.ts';
import { accessConfig, accessEntries } from './cluster-access-definition.ts';
import { authentication } from './cluster-authentication-definition.ts';

/**
 * The kind `Cluster` (skiff.dev/v1), in the form in which definitions of custom resources are written: the engine of
 * custom resources serves it. It is no stored object, so that nobody can take it away.
 */

const whole = (description: string, minimum = 0) => ({ type: 'integer', format: 'int64', minimum, description });
const text = (description: string, maxLength = 253) => ({ type: 'string', maxLength, description });

const quotas = {
  type: 'object',
  description: 'What the cluster may use. What is not named has no limit.',
  properties: {
    objects: whole('API objects of all kinds together.'),
    bytes: whole('Bytes of all API objects together, as they are stored.'),
    requestsPerSecond: whole('Requests per second to each process that serves the cluster; twice as many at once.', 1),
    nodes: whole('Nodes.'),
  },
};

const condition = {
  type: 'object',
  required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
  properties: {
    type: text('What it says something about.', 316),
    status: { type: 'string', enum: ['True', 'False', 'Unknown'], description: 'Whether it holds.' },
    observedGeneration: whole('The generation of the spec that it was worked out from.'),
    lastTransitionTime: { type: 'string', format: 'date-time', description: 'When the status last changed.' },
    reason: text('Why, in one word.', 1024),
    message: text('Why, for people to read.', 32_768),
  },
};

const schema = {
  type: 'object',
  description: 'A cluster of this deployment: a control plane of its own, under a path of its own.',
  properties: {
    spec: {
      type: 'object',
      description: 'What the cluster is to be.',
      properties: {
        displayName: text('A name for people.'),
        quotas,
        deletionTimeoutSeconds: {
          ...whole('How long a deletion waits for finalizers and for nodes to stop pods; 60 where absent.'),
          maximum: 86_400,
        },
        accessConfig,
        accessEntries,
        authentication,
      },
    },
    status: {
      type: 'object',
      description: 'What the cluster is.',
      properties: {
        phase: {
          type: 'string',
          enum: ['Ready', 'Terminating', 'Dropped'],
          description: 'Ready: served. Terminating: served until finalizers are done. Dropped: not served any more.',
        },
        endpoint: text("The path of the cluster's API below the URL of the deployment."),
        usage: {
          type: 'object',
          description: 'What the cluster used when it was last counted.',
          properties: {
            objects: whole('API objects of all kinds together.'),
            bytes: whole('Bytes of all API objects together, as they are stored.'),
            nodes: whole('Nodes.'),
            countedAt: { type: 'string', format: 'date-time', description: 'When it was counted.' },
          },
        },
        conditions: {
          type: 'array',
          description: 'Ready, and Seeded: whether the objects that every cluster starts with have been made.',
          items: condition,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['type'],
        },
      },
    },
  },
};

const column = (name: string, type: string, jsonPath: string, priority = 0) => ({ name, type, jsonPath, priority });

const names = {
  plural: 'clusters',
  singular: 'cluster',
  kind: 'Cluster',
  listKind: 'ClusterList',
  shortNames: ['cl'],
};

export const clusterDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'clusters.skiff.dev', uid: 'clusters.skiff.dev', generation: 1 },
  spec: {
    group: 'skiff.dev',
    names,
    scope: 'Cluster',
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: schema },
        subresources: { status: {} },
        selectableFields: [{ jsonPath: '.status.phase' }],
        additionalPrinterColumns: [
          column('Phase', 'string', '.status.phase'),
          column('Objects', 'integer', '.status.usage.objects'),
          column('Nodes', 'integer', '.status.usage.nodes'),
          column('Age', 'date', '.metadata.creationTimestamp'),
          column('Endpoint', 'string', '.status.endpoint', 1),
        ],
      },
    ],
  },
  status: {
    acceptedNames: names,
    conditions: [{ type: 'Established', status: 'True' }],
    storedVersions: ['v1'],
  },
} as unknown as CustomResourceDefinition;
