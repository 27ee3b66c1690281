import { createPrivateKey, createPublicKey, hash, sign as signBytes, verify as verifyBytes } from 'node:crypto';
import { type Authenticator, user } from './authenticator.ts';
import type { TokenClaims, TokenSigner } from './service-account-tokens.ts';
import { KEYS_MS, keyId, type SigningKey, signerAt } from './signing-keys.ts';

export interface TokenAuthorityOptions {
  /** PKCS#8 PEM of a P-256 private key, or several keys, newest first: all of them verify. */
  keyPem: string | readonly SigningKey[];
  /**
   * Reads the keys anew, where other processes change them: once a minute while tokens come, and when a token names a key
   * that is not known. Where it fails the keys that are known go on counting.
   */
  readKeys?(): Promise<readonly SigningKey[]>;
  /** `iss` of the cluster `default`; another cluster's is `{issuer}/clusters/{id}`, so that its tokens count nowhere else. */
  issuer: string;
  clock: { now(): number; uuid(): string };
  /** Audiences of the apiserver itself; the issuer when absent. */
  audiences?: readonly string[];
  /** Tokens whose signature is remembered as good; 10,000 when absent. */
  cacheMax?: number;
  /**
   * The uid of a cluster's object. Tokens of nodes and administrators name it, so that those of a cluster that is gone open
   * none that has its name later. Clusters without one are not told apart from earlier ones.
   */
  uidOf?(cluster: string): string | undefined;
}

/** Signs and verifies service account and node tokens, and publishes the key. */
export interface TokenAuthority extends TokenSigner {
  /** Takes other keys from now on, newest first; tokens of those that are gone count no more. */
  use(keys: readonly SigningKey[]): void;
  /**
   * A token for the agent of a node: user system:node:{name} in system:nodes. Lives a year where not said otherwise, and
   * counts only as long as the Node object of that uid is there, where one is given.
   */
  mintNodeToken(cluster: string, node: string, seconds?: number, nodeUid?: string): string;
  /** Knows node tokens of the cluster. */
  readonly nodeTokens: Authenticator;
  /** A token for the administrator of one cluster: user admin in system:masters, there only. Lives a year likewise. */
  mintAdminToken(cluster: string, seconds?: number): string;
  /** Knows administrators' tokens of the cluster. */
  readonly adminTokens: Authenticator;
  /** The OpenID discovery documents, by path below the cluster's prefix; undefined for any other path. */
  document(cluster: string, path: string, serverUrl: string): { contentType: string; body: string } | undefined;
}

/** The payload of a JWT that we sign. RFC 7519; `kubernetes.io` as the Kubernetes documentation lists it. */
interface Payload {
  iss: string;
  sub: string;
  aud: string | string[];
  exp: number;
  iat: number;
  nbf: number;
  jti: string;
  /** uid of the Node whose agent holds the token, where the token is bound to it. */
  'skiff.dev/node'?: string;
  /** uid of the Cluster, in tokens of nodes and administrators. */
  'skiff.dev/cluster'?: string;
  'kubernetes.io'?: {
    namespace: string;
    serviceaccount: { name: string; uid: string };
    pod?: { name: string; uid: string };
    secret?: { name: string; uid: string };
    node?: { name: string; uid: string };
    warnafter?: number;
  };
}

const YEAR_SECONDS = 365 * 86_400;
/** A token of another process may be read by a clock that is this much behind. */
const SKEW_SECONDS = 60;
const NODE_PREFIX = 'system:node:';
/** `sub` of administrators' tokens: no service account and no node is called so. */
const ADMIN = 'skiff:admin';
const TOKEN_BYTES_MAX = 16_384;

const base64url = (text: string): string => Buffer.from(text).toString('base64url');

const payloadOf = (claims: TokenClaims, iss: string, jti: string): Payload => {
  const { namespace, serviceAccount, bound, node, warnAfter } = claims;
  const at = (kind: string) => (bound?.kind === kind ? { name: bound.name, uid: bound.uid } : undefined);
  const on = node ?? at('Node');
  return {
    aud: [...claims.audiences],
    exp: claims.expiresAt,
    iat: claims.issuedAt,
    iss,
    jti,
    'kubernetes.io': {
      namespace,
      ...(on && { node: { name: on.name, uid: on.uid } }),
      ...(at('Pod') && { pod: at('Pod') }),
      ...(at('Secret') && { secret: at('Secret') }),
      serviceaccount: { name: serviceAccount.name, uid: serviceAccount.uid },
      ...(warnAfter && { warnafter: warnAfter }),
    },
    nbf: claims.issuedAt,
    sub: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
  } as Payload;
};

const boundOf = (k: NonNullable<Payload['kubernetes.io']>): TokenClaims['bound'] => {
  if (k.pod) return { kind: 'Pod', ...k.pod };
  if (k.secret) return { kind: 'Secret', ...k.secret };
  return k.node && { kind: 'Node', ...k.node };
};

const claimsOf = (p: Payload): TokenClaims | undefined => {
  const k = p['kubernetes.io'];
  if (!k || p.sub !== `system:serviceaccount:${k.namespace}:${k.serviceaccount.name}`) return undefined;
  const bound = boundOf(k);
  return {
    namespace: k.namespace,
    serviceAccount: k.serviceaccount,
    audiences: typeof p.aud === 'string' ? [p.aud] : p.aud,
    issuedAt: p.iat,
    expiresAt: p.exp,
    id: p.jti,
    ...(bound && { bound }),
    ...(k.node && k.pod && { node: k.node }),
    ...(k.warnafter && { warnAfter: k.warnafter }),
  };
};

/** A payload that has what each of ours has, in its types. */
const readPayload = (text: string): Payload | undefined => {
  let read: Partial<Payload> | null;
  try {
    read = JSON.parse(text) as Partial<Payload> | null;
  } catch {
    return undefined;
  }
  const { iss, sub, aud, exp, nbf } = read ?? {};
  const said = typeof iss === 'string' && typeof sub === 'string' && typeof exp === 'number' && typeof nbf === 'number';
  const audiences = [aud].flat();
  return said && audiences.every((one) => typeof one === 'string') ? (read as Payload) : undefined;
};

const createKey = ({ pem, signsFrom }: Pick<SigningKey, 'pem' | 'signsFrom'>) => {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('the token key is no P-256 key');
  const publicKey = createPublicKey(key);
  const kid = keyId(publicKey);
  const head = base64url(JSON.stringify({ alg: 'ES256', kid }));
  const { x, y } = publicKey.export({ format: 'jwk' });
  return {
    signsFrom,
    head,
    jwk: { use: 'sig', kty: 'EC', kid, alg: 'ES256', crv: 'P-256', x, y },
    sign: (payload: Payload): string => {
      const text = `${head}.${base64url(JSON.stringify(payload))}`;
      const signature = signBytes('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
      return `${text}.${signature.toString('base64url')}`;
    },
    /** The payload where the head is that of the key, byte for byte, and the signature is right. */
    open: (token: string): Payload | undefined => {
      const [first, body, signature, more] = token.split('.');
      if (first !== head || !body || !signature || more !== undefined) return undefined;
      const bytes = Buffer.from(signature, 'base64url');
      if (bytes.length !== 64 || bytes.toString('base64url') !== signature) return undefined;
      const right = verifyBytes(
        'sha256',
        Buffer.from(`${first}.${body}`),
        { key: publicKey, dsaEncoding: 'ieee-p1363' },
        bytes,
      );
      return right ? readPayload(Buffer.from(body, 'base64url').toString()) : undefined;
    },
  };
};

/** Remembers payloads of good tokens by digest, the most recently used `max` of them, until they expire. */
const createCache = (max: number) => {
  const known = new Map<string, Payload>();
  return {
    get: (digest: string, nowSeconds: number): Payload | undefined => {
      const payload = known.get(digest);
      if (!payload) return undefined;
      known.delete(digest);
      if (payload.exp > nowSeconds) known.set(digest, payload);
      return payload;
    },
    clear: (): void => known.clear(),
    set: (digest: string, payload: Payload): void => {
      known.set(digest, payload);
      for (const oldest of known.keys()) {
        if (known.size <= max) break;
        known.delete(oldest);
      }
    },
  };
};

type Key = ReturnType<typeof createKey>;

/** A token that names an unknown key makes nobody read the keys more often than this, in milliseconds. */
const UNKNOWN_MS = 10_000;

/** The keys of a process, by the head of the tokens that they sign; read anew where others change them. */
const createKeys = (given: TokenAuthorityOptions, changed: () => void) => {
  const { clock, readKeys } = given;
  let texts = '';
  let byHead = new Map<string, Key>();
  let readAt = clock.now();
  let triedAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  const use = (keys: readonly Pick<SigningKey, 'pem' | 'signsFrom'>[]): void => {
    const told = JSON.stringify(keys);
    if (told === texts) return;
    if (keys.length === 0) throw new Error('there is no key that signs tokens');
    byHead = new Map(keys.map(createKey).map((key) => [key.head, key]));
    texts = told;
    changed();
  };
  use(typeof given.keyPem === 'string' ? [{ pem: given.keyPem, signsFrom: 0 }] : given.keyPem);
  const read = (): Promise<void> => {
    triedAt = clock.now();
    reading ??= (readKeys?.() ?? Promise.resolve(undefined))
      .then((keys) => {
        if (keys) use(keys);
        readAt = clock.now();
      })
      // A store that does not answer logs nobody out.
      .catch(() => undefined)
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };
  return {
    use,
    all: (): Key[] => [...byHead.values()],
    signer: (): Key => signerAt([...byHead.values()], clock.now()),
    ofHead: (head: string): Key | undefined => byHead.get(head),
    /** Undefined where the keys are recent enough to decide by. */
    recent: (): Promise<void> | undefined => {
      if (!readKeys) return undefined;
      const now = clock.now();
      return now - readAt > KEYS_MS && now - triedAt > UNKNOWN_MS ? read() : reading;
    },
    /** For a token of a key that is not known: undefined where asking again makes no sense. */
    unknown: (head: string): Promise<void> | undefined => {
      if (!readKeys || clock.now() - triedAt <= UNKNOWN_MS) return undefined;
      const [some] = byHead.keys();
      return head.length === some?.length ? read() : undefined;
    },
  };
};

/** ES256 tokens (RFC 7518) with the same keys for every cluster of the process; the issuer keeps clusters apart. */
export const createTokenAuthority = (options: TokenAuthorityOptions): TokenAuthority => {
  const { issuer, clock, audiences = [issuer], cacheMax = 10_000 } = options;
  const cache = createCache(cacheMax);
  const keys = createKeys(options, cache.clear);
  const issuerOf = (cluster: string): string => (cluster === 'default' ? issuer : `${issuer}/clusters/${cluster}`);
  const seconds = (): number => Math.floor(clock.now() / 1000);

  const headOf = (token: string): string => token.slice(0, token.indexOf('.'));
  const opened = async (token: string, digest: string): Promise<Payload | undefined> => {
    const head = headOf(token);
    const waits = keys.ofHead(head) ? undefined : keys.unknown(head);
    if (waits) await waits;
    const payload = keys.ofHead(head)?.open(token);
    if (payload) cache.set(digest, payload);
    return payload;
  };
  const verified = async (cluster: string, token: string): Promise<Payload | undefined> => {
    if (token.length > TOKEN_BYTES_MAX) return undefined;
    const waits = keys.recent();
    if (waits) await waits;
    const now = seconds();
    const digest = hash('sha256', token, 'base64');
    const payload = cache.get(digest, now) ?? (await opened(token, digest));
    if (!payload || payload.iss !== issuerOf(cluster)) return undefined;
    return payload.exp > now && payload.nbf <= now + SKEW_SECONDS ? payload : undefined;
  };

  const minted = (cluster: string, sub: string, lifetime: number, nodeUid?: string): string => {
    const now = seconds();
    const uid = options.uidOf?.(cluster);
    return keys.signer().sign({
      exp: now + lifetime,
      iat: now,
      nbf: now,
      aud: [...audiences],
      iss: issuerOf(cluster),
      jti: clock.uuid(),
      sub,
      ...(uid !== undefined && { 'skiff.dev/cluster': uid }),
      ...(nodeUid !== undefined && { 'skiff.dev/node': nodeUid }),
    });
  };
  /** Whose minted token it is, where it is one of this very cluster. */
  const holder = async (cluster: string, token: string | undefined): Promise<Payload | undefined> => {
    const payload = token?.split('.').length === 3 ? await verified(cluster, token) : undefined;
    if (!payload || payload['kubernetes.io'] || !audiences.some((a) => [payload.aud].flat().includes(a)))
      return undefined;
    const uid = options.uidOf?.(cluster);
    return uid === undefined || payload['skiff.dev/cluster'] === uid ? payload : undefined;
  };
  const idOf = ({ jti }: Payload) => ({ 'authentication.kubernetes.io/credential-id': [`JTI=${jti}`] });

  return {
    audiences,
    use: keys.use,
    sign: async (cluster, claims) => {
      await keys.recent();
      return keys.signer().sign(payloadOf(claims, issuerOf(cluster), claims.id ?? clock.uuid()));
    },
    verify: async (cluster, token) => {
      const payload = await verified(cluster, token);
      return payload && claimsOf(payload);
    },
    mintNodeToken: (cluster, node, lifetime = YEAR_SECONDS, nodeUid) =>
      minted(cluster, `${NODE_PREFIX}${node}`, lifetime, nodeUid),
    nodeTokens: {
      authenticate: async (cluster, token) => {
        const payload = await holder(cluster, token);
        if (!payload?.sub.startsWith(NODE_PREFIX)) return undefined;
        return user(payload.sub, ['system:nodes'], payload['skiff.dev/node'] ?? '', idOf(payload));
      },
    },
    mintAdminToken: (cluster, lifetime = YEAR_SECONDS) => minted(cluster, ADMIN, lifetime),
    adminTokens: {
      authenticate: async (cluster, token) => {
        const payload = await holder(cluster, token);
        return payload?.sub === ADMIN ? user('admin', ['system:masters'], '', idOf(payload)) : undefined;
      },
    },
    document: (cluster, path, serverUrl) => {
      // Whoever verifies tokens elsewhere asks again for keys that it does not know.
      void keys.recent();
      if (path === '/openid/v1/jwks')
        return {
          contentType: 'application/jwk-set+json',
          body: JSON.stringify({ keys: keys.all().map(({ jwk }) => jwk) }),
        };
      if (path !== '/.well-known/openid-configuration') return undefined;
      const configuration = {
        issuer: issuerOf(cluster),
        jwks_uri: `${serverUrl}/openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
      };
      return { contentType: 'application/json', body: JSON.stringify(configuration) };
    },
  };
};
