import type { CertificateAuthority } from '../controllers/certificates/requests.ts';
import type { Authority } from './issue.ts';

/** Signs with an authority; the library for it is loaded with the first certificate, which most processes never see. */
export const lazyAuthority = (
  { caCert, caKey }: Authority,
  uidOf?: (cluster: string) => string | undefined,
): CertificateAuthority => {
  let loaded: Promise<CertificateAuthority> | undefined;
  const load = (): Promise<CertificateAuthority> => {
    loaded ??= import('./certificates.ts').then(({ createCertificateAuthority }) =>
      createCertificateAuthority(caCert, caKey, uidOf),
    );
    return loaded;
  };
  return {
    parse: async (pem) => (await load()).parse(pem),
    sign: async (pem, issue) => (await load()).sign(pem, issue),
  };
};
