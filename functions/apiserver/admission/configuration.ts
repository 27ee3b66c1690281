import * as z from 'zod';
import { parsePodSecurity } from './podsecurity/configuration.ts';
import type { PodSecurityOptions } from './podsecurity/podsecurity.ts';

/**
 * AdmissionConfiguration of apiserver.config.k8s.io/v1: what admission plugins are set up with. Source:
 * https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/. Of upstream's plugins with a configuration,
 * PodSecurity is read here; a plugin's configuration stands in the document, since files lie where the operator is.
 */
export interface AdmissionConfiguration {
  podSecurity?: PodSecurityOptions;
}

const shape = z.strictObject({
  apiVersion: z.enum(['apiserver.config.k8s.io/v1', 'apiserver.config.k8s.io/v1alpha1']),
  kind: z.literal('AdmissionConfiguration'),
  plugins: z
    .array(
      z.strictObject({ name: z.string().min(1), path: z.string().default(''), configuration: z.unknown().optional() }),
    )
    .nullish()
    .transform((list) => list ?? []),
});

/** Reads a document. Throws an Error that names the field. */
export const parseAdmissionConfiguration = (document: unknown): AdmissionConfiguration => {
  const read = shape.safeParse(document);
  if (!read.success) {
    const [issue] = read.error.issues;
    const path = (issue?.path ?? []).map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
    throw new Error(`${path.slice(1)}: ${issue?.message ?? ''}`);
  }
  const configuration: AdmissionConfiguration = {};
  const seen = new Set<string>();
  for (const [i, { name, path, configuration: given }] of read.data.plugins.entries()) {
    const at = `plugins[${i}]`;
    if (seen.has(name)) throw new Error(`${at}.name: a second "${name}"`);
    seen.add(name);
    if (path !== '') throw new Error(`${at}.path: write the configuration of ${name} into the document`);
    if (name !== 'PodSecurity') throw new Error(`${at}.name: "${name}" is no plugin that takes a configuration here`);
    configuration.podSecurity = parsePodSecurity(given, `${at}.configuration`);
  }
  return configuration;
};
