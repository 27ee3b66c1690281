import type { UserInfo } from '../registry.ts';
import {
  type Attributes,
  type Authorizer,
  alwaysAllow,
  alwaysDeny,
  type Decision,
  mastersAuthorizer,
  unionAuthorizer,
} from './authorizer.ts';
import type { AuthorizationConfiguration, AuthorizerConfiguration } from './configuration.ts';
import type { AuthorizationMetrics } from './metrics.ts';

export interface ConfiguredOptions {
  node: Authorizer;
  rbac: Authorizer;
  /** What is configured for a cluster at this moment; Node and RBAC hold where it is absent. */
  configured(cluster: string): AuthorizationConfiguration | undefined;
  clock: { now(): number };
  metrics: AuthorizationMetrics;
}

type Closable = Authorizer & { close?(): void };

const noted = (decision: Decision, type: string, name: string, metrics: AuthorizationMetrics): Decision => {
  if (decision.allowed) metrics.decided(type, name, 'allowed');
  else if (decision.denied) metrics.decided(type, name, 'denied');
  return decision;
};

/** Counts the decisions that end a question; a few additions each. */
const counted = (one: Authorizer, type: string, name: string, metrics: AuthorizationMetrics): Authorizer => ({
  authorize: (attributes) => {
    const decision = one.authorize(attributes);
    return decision instanceof Promise
      ? decision.then((later) => noted(later, type, name, metrics))
      : noted(decision, type, name, metrics);
  },
  rulesFor: one.rulesFor,
});

const made = async (one: AuthorizerConfiguration, options: ConfiguredOptions): Promise<Closable> => {
  const { node, rbac, clock, metrics } = options;
  switch (one.type) {
    case 'Node':
      return node;
    case 'RBAC':
      return rbac;
    case 'AlwaysAllow':
      return alwaysAllow;
    case 'AlwaysDeny':
      return alwaysDeny;
    case 'Webhook': {
      const { createWebhookAuthorizer } = await import('./webhook/webhook.ts');
      return createWebhookAuthorizer({ name: one.name, webhook: one.webhook, clock, metrics });
    }
  }
};

interface Chain {
  configuration: AuthorizationConfiguration;
  authorizer: Promise<Authorizer>;
  close(): void;
}

const chainOf = (configuration: AuthorizationConfiguration, options: ConfiguredOptions): Chain => {
  const parts: Promise<Closable[]> = Promise.all(configuration.authorizers.map((one) => made(one, options)));
  const authorizer = parts.then((all) => {
    const chain = configuration.authorizers.map(({ type, name }, i) =>
      counted(all[i] ?? alwaysDeny, type, name, options.metrics),
    );
    return unionAuthorizer(mastersAuthorizer(), ...chain);
  });
  const close = () => void parts.then((all) => all.forEach((one) => void one.close?.()));
  return { configuration, authorizer, close };
};

/**
 * The authorizers of a control plane: system:masters first, then those that are configured, else Node and RBAC. A chain is
 * made when it is first asked and lasts as long as its configuration does; webhooks are loaded by the first one that there is.
 */
export const configuredAuthorizer = (options: ConfiguredOptions): Authorizer => {
  const { node, rbac, metrics } = options;
  const usual = unionAuthorizer(
    mastersAuthorizer(),
    counted(node, 'Node', 'node', metrics),
    counted(rbac, 'RBAC', 'rbac', metrics),
  );
  /** By cluster; only of those that have a configuration. */
  const chains = new Map<string, Chain>();
  const chainFor = (cluster: string): Promise<Authorizer> | undefined => {
    const configuration = options.configured(cluster);
    if (!configuration && chains.size === 0) return undefined;
    const known = chains.get(cluster);
    if (known?.configuration === configuration) return known?.authorizer;
    known?.close();
    chains.delete(cluster);
    if (!configuration) return undefined;
    const chain = chainOf(configuration, options);
    chains.set(cluster, chain);
    return chain.authorizer;
  };
  return {
    authorize: (attributes: Attributes): Decision | Promise<Decision> => {
      const configured = chainFor(attributes.cluster);
      return configured ? configured.then((chain) => chain.authorize(attributes)) : usual.authorize(attributes);
    },
    rulesFor: async (cluster: string, user: UserInfo, namespace: string) =>
      ((await chainFor(cluster)) ?? usual).rulesFor(cluster, user, namespace),
  };
};
