import 'reflect-metadata';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A certificate that signed itself, for these names and the loopback address, as PEM. */
export const selfSigned = async (names: readonly string[] = []): Promise<{ cert: string; key: string }> => {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test',
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 3_600_000),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'ip', value: '127.0.0.1' },
        ...names.map((value) => ({ type: 'dns' as const, value })),
      ]),
    ],
  });
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${der.match(/.{1,64}/g)?.join('\n')}\n-----END PRIVATE KEY-----\n`;
  return { cert: made.toString('pem'), key };
};

export interface TestServer {
  server: Server;
  port: number;
  /** `https://127.0.0.1:port` */
  url: string;
  cert: string;
  /** The certificate as a caBundle. */
  caBundle: string;
  close(): Promise<void>;
}

/** An HTTPS server on loopback for the tests of outgoing requests. */
export const startHttps = async (
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void | Promise<void>,
  names: readonly string[] = [],
  more: ServerOptions = {},
): Promise<TestServer> => {
  const { cert, key } = await selfSigned(names);
  const server = createServer({ cert, key, ...more }, async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    await answer(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    server,
    port,
    url: `https://127.0.0.1:${port}`,
    cert,
    caBundle: Buffer.from(cert).toString('base64'),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
  };
};
