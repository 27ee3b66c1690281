import { forbidden, notFound } from '../../machinery/status.ts';
import { domainOf } from '../context.ts';
import type { AdmissionPlugin } from './admission.ts';
import { refusal } from './refusal.ts';

const builtinNamespaces = new Set(['default', 'kube-system', 'kube-public']);

/** Creates need a namespace that exists and is not going; the built-in namespaces cannot be deleted. */
export const namespaceLifecycle: AdmissionPlugin = {
  name: 'NamespaceLifecycle',
  admit: async (request) => {
    const { call, operation } = request;
    const { info, resource, server } = call;
    if (operation === 'DELETE' && resource.group === '' && resource.resource === 'namespaces') {
      if (builtinNamespaces.has(info.name))
        throw forbidden({ group: '', kind: 'namespaces', name: info.name }, 'this namespace may not be deleted');
      return;
    }
    if (operation !== 'CREATE' || !resource.namespaced || !info.namespace) return;
    const namespaces = server.registry.find(info.cluster, '', 'v1', 'namespaces');
    if (!namespaces) return;
    const stored = await server.store.get(domainOf(info.cluster, namespaces), info.namespace);
    if (!stored) throw notFound({ group: '', kind: 'namespaces', name: info.namespace });
    if (stored.index.fields['status.phase'] !== 'Terminating') return;
    const error = refusal(
      request,
      `unable to create new content in namespace ${info.namespace} because it is being terminated`,
    );
    error.status.details = {
      ...error.status.details,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${info.namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    };
    throw error;
  },
};
