import { parseAllDocuments } from 'yaml';
import type { EncryptionConfiguration } from '../store/encryption/configuration.ts';
import type { AdmissionConfiguration } from './admission/configuration.ts';
import type { AuditPolicy } from './audit/policy.ts';
import type { AuditSinkConfig } from './audit/sink-document.ts';
import type { AwsIdentity } from './authn/aws/identity-configuration.ts';
import type { AuthenticationDocument } from './authn/jwt/document.ts';
import type { AuthorizationConfiguration } from './authz/configuration.ts';
import type { FlowControlConfiguration } from './flow-control/configuration.ts';

/**
 * What an operator has set a control plane up with: at most one document of each kind, of upstream's own kinds where it has
 * one. A part that is absent has its defaults. Nothing in it changes: a new text makes a new object, by whose identity
 * parts tell that they have to look again.
 */
export interface Configuration {
  /** Nobody else's tokens are taken, and strangers see what says whether the server is well, where absent. */
  authentication?: AuthenticationDocument;
  /** No principal of AWS comes in where absent. */
  awsIdentity?: AwsIdentity;
  /** Node, then RBAC, where absent. */
  authorization?: AuthorizationConfiguration;
  encryption?: EncryptionConfiguration;
  /** Admission plugins are as they are by default where absent. */
  admission?: AdmissionConfiguration;
  /** Nothing is audited where absent. */
  auditPolicy?: AuditPolicy;
  /** Where events go; a log at the deployment's own place where absent. */
  auditSink?: AuditSinkConfig;
  /** 600 seats where absent. */
  flowControl?: FlowControlConfiguration;
}

/** The configuration that holds for a cluster at this moment. */
export type Configured = (cluster: string) => Configuration;

/** A text and where it came from, for messages. */
export interface ConfigurationText {
  name: string;
  text: string;
}

/** A configuration that does not stand; the message names the document and the field. */
export class ConfigurationError extends Error {
  override name = 'ConfigurationError';
}

/** By group and kind; a part reads its own versions. Loaded when a document asks for it. */
const parts: Readonly<Record<string, (document: unknown) => Promise<Configuration>>> = {
  'apiserver.config.k8s.io/AuthenticationConfiguration': async (document) => {
    const { parseAuthentication } = await import('./authn/jwt/configuration.ts');
    return { authentication: await parseAuthentication(document) };
  },
  'apiserver.config.k8s.io/AuthorizationConfiguration': async (document) => {
    const { parseAuthorizationConfiguration } = await import('./authz/configuration.ts');
    return { authorization: await parseAuthorizationConfiguration(document) };
  },
  'apiserver.config.k8s.io/EncryptionConfiguration': async (document) => {
    const { parseEncryptionConfiguration } = await import('../store/encryption/configuration.ts');
    return { encryption: parseEncryptionConfiguration(document) };
  },
  'apiserver.config.k8s.io/AdmissionConfiguration': async (document) => {
    const { parseAdmissionConfiguration } = await import('./admission/configuration.ts');
    return { admission: parseAdmissionConfiguration(document) };
  },
  'audit.k8s.io/Policy': async (document) => {
    const { parseAuditPolicy } = await import('./audit/policy.ts');
    return { auditPolicy: parseAuditPolicy(document) };
  },
  'skiff.dev/AWSIdentityConfiguration': async (document) => {
    const { parseAwsIdentity } = await import('./authn/aws/identity-configuration.ts');
    return { awsIdentity: parseAwsIdentity(document) };
  },
  'skiff.dev/AuditSink': async (document) => {
    const { parseAuditSink } = await import('./audit/sink-document.ts');
    return { auditSink: parseAuditSink(document) };
  },
  'skiff.dev/FlowControlConfiguration': async (document) => {
    const { parseFlowControl } = await import('./flow-control/configuration.ts');
    return { flowControl: parseFlowControl(document) };
  },
};

const identityOf = (document: unknown): { apiVersion: string; kind: string } => {
  const { apiVersion, kind } = (document ?? {}) as { apiVersion?: unknown; kind?: unknown };
  return { apiVersion: String(apiVersion ?? ''), kind: String(kind ?? '') };
};

/** Reads YAML texts of one or more documents each. Rejects with ConfigurationError. */
export const parseConfiguration = async (texts: readonly ConfigurationText[]): Promise<Configuration> => {
  let configuration: Configuration = {};
  const seen = new Set<string>();
  for (const { name, text } of texts) {
    for (const document of parseAllDocuments(text)) {
      if ('errors' in document && document.errors[0]) {
        // The lines that follow are of the text, which may hold keys.
        throw new ConfigurationError(`${name}: ${document.errors[0].message.split(/:?\n/)[0]}`);
      }
      const value: unknown = document.toJS();
      if (value === null) continue;
      const { apiVersion, kind } = identityOf(value);
      const id = `${apiVersion.split('/')[0]}/${kind}`;
      const parse = parts[id];
      if (!parse) throw new ConfigurationError(`${name}: no kind "${kind}" of "${apiVersion}" is read here`);
      if (seen.has(id)) throw new ConfigurationError(`${name}: a second ${kind}`);
      seen.add(id);
      try {
        configuration = { ...configuration, ...(await parse(value)) };
      } catch (error) {
        throw new ConfigurationError(`${name}: ${kind}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  return configuration;
};
