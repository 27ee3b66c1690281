import type { Client } from '../../functions/client/client.ts';
import type { Clock } from '../../functions/clock/clock.ts';
import type { Pod } from '../../functions/machinery/kinds.d.ts';

interface TokenReply {
  status?: { token?: string; expirationTimestamp?: string };
}

/** Service account tokens bound to pods, by TokenRequest; one is asked for again once 80 % of its life is over. */
export const createTokens = (client: Client, clock: Clock) => {
  const held = new Map<string, { token: string; renewAt: number }>();
  return {
    async token(pod: Pod, audience: string, expirationSeconds: number): Promise<string> {
      const key = [pod.metadata.uid, audience, expirationSeconds].join('|');
      const known = held.get(key);
      if (known && known.renewAt > clock.now()) return known.token;
      const account = pod.spec?.serviceAccountName ?? 'default';
      const { namespace, name, uid } = pod.metadata;
      const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name, uid };
      const spec = { expirationSeconds, boundObjectRef, audiences: audience ? [audience] : [] };
      const asked = clock.now();
      const response = await client.raw('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }),
      });
      if (!response.ok)
        throw new Error(`token of service account ${account}: HTTP ${response.status} ${await response.text()}`);
      const reply = (await response.json()) as TokenReply;
      const token = reply.status?.token ?? '';
      const ends = Date.parse(reply.status?.expirationTimestamp ?? '') || asked + expirationSeconds * 1000;
      held.set(key, { token, renewAt: asked + (ends - asked) * 0.8 });
      return token;
    },
    drop(uid: string): void {
      for (const key of held.keys()) if (key.startsWith(`${uid}|`)) held.delete(key);
    },
  };
};
