import type { UserInfo } from '../registry.ts';

/**
 * How other API servers learn for whom they are asked: headers that count where the connection shows a certificate that
 * the front proxy's authority signed. Source: "Configure the Aggregation Layer" of the documentation.
 */

/** PEM: the client certificate that is shown to other API servers, and the authority that signed it. */
export interface FrontProxy {
  caCert: string;
  cert: string;
  key: string;
  /**
   * The certificate for other API servers of a cluster; that above where absent. Each cluster has a name of its own: a tenant
   * could lead us by a Service of his to an API server of another, which would believe what we say of his users.
   */
  identityOf?(cluster: string): Promise<FrontIdentity>;
}
export interface FrontIdentity {
  cert: string;
  key: string;
}

/** The common name of the certificate for API servers of a cluster. */
export const frontProxyName = (cluster: string): string =>
  cluster === 'default' ? FRONT_PROXY_NAME : `${FRONT_PROXY_NAME}:${cluster}`;
export const FRONT_PROXY_NAME = 'front-proxy-client';

/**
 * Characters of a header's name (RFC 9110, 5.6.2), besides the one that escapes the others. Names have no case: capital
 * letters are escaped too, so that a key such as `canonicalArn` comes back in their questions to us as it was.
 */
const headerToken = /^[a-z0-9!#$&'*+.^_`|~-]$/;

const escapedKey = (key: string): string =>
  [...Buffer.from(key)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return headerToken.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');

/** Whether a header of a client would say who asks. */
export const isIdentity = (name: string): boolean => /^x-remote-/i.test(name);

export const identityHeaders = ({ username, uid, groups, extra }: UserInfo): Record<string, string | string[]> => ({
  'x-remote-user': username,
  ...(uid && { 'x-remote-uid': uid }),
  ...(groups.length > 0 && { 'x-remote-group': [...groups] }),
  ...Object.fromEntries(
    Object.entries(extra).map(([key, values]) => [`x-remote-extra-${escapedKey(key)}`.toLowerCase(), [...values]]),
  ),
});

/** The ConfigMap in kube-system from which other API servers of a cluster learn whom to trust. `clientCa` is PEM. */
export const authenticationConfigMap = (cluster: string, clientCa: string, front: FrontProxy | undefined) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'extension-apiserver-authentication', namespace: 'kube-system' },
  data: {
    'client-ca-file': clientCa,
    ...(front && {
      'requestheader-client-ca-file': front.caCert,
      'requestheader-allowed-names': JSON.stringify([frontProxyName(cluster)]),
      'requestheader-username-headers': '["X-Remote-User"]',
      'requestheader-uid-headers': '["X-Remote-Uid"]',
      'requestheader-group-headers': '["X-Remote-Group"]',
      'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    }),
  },
});
