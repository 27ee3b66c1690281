import { type JoinOptions, withJoin } from '../join.ts';
import { lazyAuthority } from '../lazy-authority.ts';
import { loadAuthority } from './authority.ts';
import type { CloudPlane } from './plane.ts';

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
