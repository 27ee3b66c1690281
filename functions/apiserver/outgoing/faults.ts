import { isIP } from 'node:net';

/**
 * Failures of outgoing requests in the words of Go's HTTP client and of client-go, which people and tools know.
 */

interface Fault extends Error {
  code?: string;
  address?: string;
  port?: number;
  hostname?: string;
  /** Of ERR_TLS_CERT_ALTNAME_INVALID. */
  host?: string;
  cert?: { subjectaltname?: string };
}

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
]);

const ofCertificate = (fault: Fault): string | undefined => {
  const { code = '' } = fault;
  const start = 'tls: failed to verify certificate: x509: certificate';
  if (untrusted.has(code)) return `${start} signed by unknown authority`;
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') return `${start} has expired or is not yet valid`;
  return code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? `${start} ${otherNames(fault)}` : undefined;
};

/** The names of a certificate that was shown by another host. */
const otherNames = ({ host = '', cert }: Fault): string => {
  const kind = isIP(host) ? 'IP Address:' : 'DNS:';
  const names = (cert?.subjectaltname ?? '').split(', ').filter((name) => name.startsWith(kind));
  if (names.length === 0) return `is not valid for any names, but wanted to match ${host}`;
  return `is valid for ${names.map((name) => name.slice(kind.length)).join(', ')}, not ${host}`;
};

/** Why a request could not be sent or was not answered. */
export const faultText = (error: unknown): string => {
  const fault = error as Fault;
  switch (fault.code) {
    case 'ECONNREFUSED':
      return `dial tcp ${fault.address}:${fault.port}: connect: connection refused`;
    case 'ENOTFOUND':
      return `dial tcp: lookup ${fault.hostname}: no such host`;
    case 'ECONNRESET':
    case 'EPIPE':
      return 'EOF';
    default:
      return ofCertificate(fault) ?? (error instanceof Error ? error.message : String(error));
  }
};

const said: Readonly<Record<number, string>> = {
  400: 'the server rejected our request for an unknown reason',
  401: 'the server has asked for the client to provide credentials',
  404: 'the server could not find the requested resource',
  405: 'the server does not allow this method on the requested resource',
  406: 'the server was unable to respond with a content type that the client supports',
  409: 'the server reported a conflict',
  415: 'the body of the request was in an unknown format',
  422: 'the server rejected our request due to an error in our request',
  429: 'the server has received too many requests and has asked us to try again later',
  503: 'the server is currently unable to handle the request',
  504: 'the server was unable to return a response in the time allotted, but may still be processing the request',
};

const bodyMax = 2048;

/** The message of a Status in a body, if it is one. */
const statusMessage = (body: string): string | undefined => {
  try {
    const status = JSON.parse(body) as { kind?: unknown; apiVersion?: unknown; message?: unknown } | null;
    return status?.kind === 'Status' && status.apiVersion === 'v1' && typeof status.message === 'string'
      ? status.message
      : undefined;
  } catch {
    return undefined;
  }
};

/** What an answer with a status other than 2xx comes to. */
export const answerText = (code: number, contentType: string, body: string): string => {
  const status = statusMessage(body);
  if (status !== undefined) return status;
  const text = contentType.startsWith('text/') ? body.trim().slice(0, bodyMax) : 'unknown';
  if (code === 403) return text;
  if (said[code]) return said[code];
  if (code >= 500) return `an error on the server (${JSON.stringify(text)}) has prevented the request from succeeding`;
  return `the server responded with the status code ${code} but did not return more information`;
};
