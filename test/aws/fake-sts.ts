// AWS STS as far as GetCallerIdentity goes: it verifies Signature Version 4 of presigned requests by itself.
import { createHash, createHmac } from 'node:crypto';
import { createServer as createHttp, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface Caller {
  secret: string;
  sessionToken?: string;
  arn: string;
  userId: string;
}

/** What it does instead of answering truly. */
export type Mood =
  | 'xml'
  | 'redirect'
  | 'huge'
  | 'hang'
  | 'cut'
  | 'throttled'
  | 'broken'
  | 'html'
  | 'liar'
  | 'partition';

export interface Sent {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
}

export interface FakeSts {
  origin: string;
  /** Every request that arrived. */
  sent: Sent[];
  callers: Map<string, Caller>;
  /** Undefined: JSON. Taken off one by one. */
  moods: Mood[];
  /** Requests that nobody has answered. */
  hanging: number;
  close(): Promise<void>;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/** The signature of a presigned request under a secret, after the specification of Signature Version 4. */
export const signatureOf = (method: string, url: URL, headers: Record<string, unknown>, secret: string): string => {
  const query = [...url.searchParams].filter(([name]) => name !== 'X-Amz-Signature');
  const canonicalQuery = query
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const signed = url.searchParams.get('X-Amz-SignedHeaders') ?? '';
  const lines = signed.split(';').map((name) => `${name}:${String(headers[name] ?? '').trim()}\n`);
  const request = [method, url.pathname, canonicalQuery, lines.join(''), signed, sha256('')].join('\n');
  const [, day = '', region = '', service = '', end = ''] = (url.searchParams.get('X-Amz-Credential') ?? '').split('/');
  const scope = [day, region, service, end].join('/');
  const text = ['AWS4-HMAC-SHA256', url.searchParams.get('X-Amz-Date'), scope, sha256(request)].join('\n');
  const key = [region, service, end].reduce<Buffer>((made, part) => hmac(made, part), hmac(`AWS4${secret}`, day));
  return hmac(key, text).toString('hex');
};

const xmlOf = ({ arn, userId }: Caller): string => `<?xml version="1.0"?>
<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>${arn}</Arn>
    <UserId>${userId}</UserId>
    <Account>${arn.split(':')[4]}</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata><RequestId>0-1</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>`;

const jsonOf = ({ arn, userId }: Caller): string =>
  JSON.stringify({
    GetCallerIdentityResponse: {
      GetCallerIdentityResult: { Account: arn.split(':')[4], Arn: arn, UserId: userId },
      ResponseMetadata: { RequestId: '0-1' },
    },
  });

const moody: Record<Exclude<Mood, 'xml' | 'liar' | 'partition'>, (response: ServerResponse, fake: FakeSts) => void> = {
  redirect: (response, fake) => response.writeHead(302, { location: `${fake.origin}/elsewhere` }).end(),
  huge: (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const chunk = Buffer.alloc(1 << 16, 'x');
    let left = 160;
    const more = () => {
      while (left-- > 0) if (!response.write(chunk)) return void response.once('drain', more);
      response.end();
    };
    more();
  },
  hang: (_response, fake) => void fake.hanging++,
  cut: (response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('{"GetCaller');
    setTimeout(() => response.destroy(), 20);
  },
  throttled: (response) =>
    response.writeHead(400).end(JSON.stringify({ Error: { Code: 'Throttling', Message: 'Rate exceeded' } })),
  broken: (response) => response.writeHead(503).end('no'),
  html: (response) => response.writeHead(200).end('<html>welcome</html>'),
};

const refuse = (response: ServerResponse, code: string): void =>
  void response.writeHead(403).end(JSON.stringify({ Error: { Code: code } }));

const listener =
  (fake: FakeSts, now: () => number): RequestListener =>
  (request, response) => {
    fake.sent.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
    const mood = fake.moods.shift();
    if (mood && mood !== 'xml' && mood !== 'liar' && mood !== 'partition') return moody[mood](response, fake);
    const url = new URL(request.url ?? '', `${fake.origin.split(':')[0]}://${request.headers.host}`);
    const query = url.searchParams;
    const caller = fake.callers.get(query.get('X-Amz-Credential')?.split('/')[0] ?? '');
    if (request.method !== 'GET' || !caller) return refuse(response, 'InvalidClientTokenId');
    if ((query.get('X-Amz-Security-Token') ?? undefined) !== caller.sessionToken)
      return refuse(response, 'InvalidClientTokenId');
    const signedAt = Date.parse(
      (query.get('X-Amz-Date') ?? '').replace(/(....)(..)(..T..)(..)(..Z)/, '$1-$2-$3:$4:$5'),
    );
    if (Math.abs(now() - signedAt) > 15 * 60_000) return refuse(response, 'ExpiredToken');
    if (signatureOf('GET', url, request.headers, caller.secret) !== query.get('X-Amz-Signature'))
      return refuse(response, 'SignatureDoesNotMatch');
    const told = {
      liar: { ...caller, userId: `${caller.userId}:another` },
      partition: { ...caller, arn: caller.arn.replace('arn:aws:', 'arn:aws-cn:') },
    };
    const answered = mood === 'liar' || mood === 'partition' ? told[mood] : caller;
    response.writeHead(200).end(mood === 'xml' ? xmlOf(answered) : jsonOf(answered));
  };

/** Starts it on a port of the loopback that the system chooses; over TLS where a certificate is given. */
export const startFakeSts = async (
  callers: Record<string, Caller>,
  { tls, now = Date.now }: { tls?: { cert: string; key: string }; now?: () => number } = {},
): Promise<FakeSts> => {
  const fake: FakeSts = {
    origin: '',
    sent: [],
    callers: new Map(Object.entries(callers)),
    moods: [],
    hanging: 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  const answer = listener(fake, now);
  const server = tls ? createHttps(tls, answer) : createHttp(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  fake.origin = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return fake;
};
