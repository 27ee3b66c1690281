import type { CertificateAuthority } from '../../controllers/certificates/requests.ts';
import { type JoinOptions, withJoin } from '../join.ts';
import type { Authority } from '../pki.ts';
import { loadAuthority } from './authority.ts';
import type { CloudPlane } from './plane.ts';

/** Signs with an authority; the library for it is loaded with the first certificate, which most processes never see. */
export const lazyAuthority = ({ caCert, caKey }: Authority): CertificateAuthority => {
  let loaded: Promise<CertificateAuthority> | undefined;
  const load = (): Promise<CertificateAuthority> => {
    loaded ??= import('../certificates.ts').then(({ createCertificateAuthority }) =>
      createCertificateAuthority(caCert, caKey),
    );
    return loaded;
  };
  return {
    parse: async (pem) => (await load()).parse(pem),
    sign: async (pem, issue) => (await load()).sign(pem, issue),
  };
};

/** What joining machines need of a plane. */
export const joinOptions = (plane: CloudPlane, gateway: string): JoinOptions => ({
  client: plane.client,
  authority: plane.authority,
  authenticator: plane.api.server.authenticator,
  clock: plane.clock,
  certificates: async () => {
    const made = await loadAuthority(plane.store);
    return { authority: lazyAuthority(made), caCert: made.caCert };
  },
  ...(gateway && { gateway }),
});

/** The app of a plane, which machines may join. */
export const joinable = (plane: CloudPlane, gateway: string) => withJoin(plane.api, joinOptions(plane, gateway));
