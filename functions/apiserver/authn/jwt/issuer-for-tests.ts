import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { startHttps, type TestServer } from '../../outgoing/https-for-tests.ts';

/** A key that signs tokens, and how it is published. */
export interface SigningKey {
  kid: string;
  alg: string;
  privateKey: KeyObject;
  jwk: object;
}

const pairOf = (alg: string) => {
  if (!alg.startsWith('ES')) return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return generateKeyPairSync('ec', { namedCurve: { ES256: 'P-256', ES384: 'P-384' }[alg] ?? 'P-521' });
};

export const signingKey = (kid = 'k1', alg = 'ES256'): SigningKey => {
  const { privateKey, publicKey } = pairOf(alg);
  return {
    kid,
    alg,
    privateKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), ...(kid && { kid }), alg, use: 'sig' },
  };
};

const signature = (text: string, { alg, privateKey: key }: SigningKey): Buffer => {
  const hash = `sha${alg.slice(2)}`;
  if (alg.startsWith('ES')) return sign(hash, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return sign(hash, Buffer.from(text), alg.startsWith('PS') ? { key, padding: 6, saltLength: -1 } : key);
};

/** A compact token of any claims and any further headers. */
export const signToken = (key: SigningKey, claims: unknown, header: object = {}): string => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ alg: key.alg, ...(key.kid && { kid: key.kid }), ...header })}.${encode(claims)}`;
  return `${text}.${signature(text, key).toString('base64url')}`;
};

/** An issuer of OpenID Connect on loopback. */
export interface TestIssuer {
  server: TestServer;
  /** `https://127.0.0.1:port` */
  url: string;
  /** What is published, and what the next tokens are signed with: the first. */
  keys: SigningKey[];
  /** How often each path was asked for. */
  asked: Map<string, number>;
  /** Answers of a path in place of what it answers otherwise. */
  instead: Map<string, (response: ServerResponse) => void>;
  /** A token with `iss`, `aud` ["a"], `exp` in an hour and `sub` "ada" where the claims do not say otherwise. */
  token(claims?: object, key?: SigningKey, header?: object): string;
}

export const DISCOVERY = '/.well-known/openid-configuration';

/** Serves as many issuers as there are paths: `{url}/one` is one too. */
export const startIssuer = async (): Promise<TestIssuer> => {
  const asked = new Map<string, number>();
  const instead = new Map<string, (response: ServerResponse) => void>();
  const issuer: { keys: SigningKey[] } = { keys: [signingKey()] };
  const server = await startHttps((request, response) => {
    const path = request.url ?? '/';
    asked.set(path, (asked.get(path) ?? 0) + 1);
    const other = instead.get(path);
    if (other) return other(response);
    response.setHeader('content-type', 'application/json');
    if (path.endsWith(DISCOVERY)) {
      const url = `${server.url}${path.slice(0, -DISCOVERY.length)}`;
      response.end(JSON.stringify({ issuer: url, jwks_uri: `${server.url}/keys` }));
      return;
    }
    if (path !== '/keys') response.statusCode = 404;
    response.end(JSON.stringify({ keys: issuer.keys.map(({ jwk }) => jwk) }));
  });
  return Object.assign(issuer, {
    server,
    url: server.url,
    asked,
    instead,
    token: (claims: object = {}, key = issuer.keys[0] ?? signingKey(), header: object = {}) => {
      const exp = Math.floor(Date.now() / 1000) + 3600;
      return signToken(key, { iss: server.url, aud: ['a'], exp, sub: 'ada', ...claims }, header);
    },
  });
};
