import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import { createApiServer } from '../app.ts';
import { type Authenticator, anonymous } from '../authn/authenticator.ts';
import { createTokenAuthority } from '../authn/token-authority.ts';
import { mastersAuthorizer, unionAuthorizer } from '../authz/authorizer.ts';
import { rbacAuthorizer } from '../authz/rbac.ts';
import type { ApiServerOptions } from '../context.ts';
import type { UserInfo } from '../registry.ts';
import { seedCluster } from '../seed.ts';
import { createAudit, createCounts } from './audit.ts';
import type { AuditEvent } from './event.ts';
import { parseAuditPolicy } from './policy.ts';

/** An event as JSON says it. */
// biome-ignore lint/suspicious/noExplicitAny: events are looked into by tests
export type Told = any;

const person = (username: string, uid: string, groups: string[]): UserInfo => ({
  username,
  uid,
  groups: [...groups, 'system:authenticated'],
  extra: {},
});

/** Whose tokens the recorded cases know. */
export const people: Readonly<Record<string, UserInfo>> = {
  admintoken: person('admin', 'admin', ['system:masters']),
  usertoken: person('alice', '1', ['devs']),
};

const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----`;

export interface AuditedServerOptions extends Partial<ApiServerOptions> {
  policy: object;
  /** Takes the place of a list of what was told. */
  process?(event: AuditEvent): boolean | Promise<boolean>;
}

/** An API server over a memory store whose events are kept. */
export const createAuditedServer = async ({ policy, process, ...more }: AuditedServerOptions) => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  await seedCluster({ store, cluster: 'default', clock });
  const replicas = createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 });
  const counts = createCounts();
  const texts: string[] = [];
  const keep = (event: AuditEvent): boolean => {
    texts.push(event.json);
    return true;
  };
  const parsed = parseAuditPolicy({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', ...policy });
  const options = { clock, counts, directory: '/', immediate: false, log: () => undefined };
  const audit = createAudit(parsed, { process: process ?? keep }, options);
  const authenticator: Authenticator = {
    authenticate: async (_cluster, token) => (token === undefined ? anonymous : people[token]),
  };
  const app = createApiServer({
    store,
    clock,
    replicas,
    authenticator,
    authorizer: unionAuthorizer(mastersAuthorizer(), rbacAuthorizer({ replicas, clock })),
    signer: createTokenAuthority({ keyPem: KEY, issuer: 'https://issuer', clock }),
    audit: { current: () => audit },
    ...more,
  });
  return { app, counts, texts, events: (): Told[] => texts.map((text) => JSON.parse(text)) };
};
