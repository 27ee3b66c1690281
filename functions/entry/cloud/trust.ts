import { type JoinOptions, withJoin } from '../join.ts';
import { lazyAuthority } from '../lazy-authority.ts';
import { loadAuthority } from './authority.ts';
import type { Bells } from './bells.ts';
import type { CloudPlane } from './plane.ts';

/** What joining machines need of a plane. */
export const joinOptions = (plane: CloudPlane, gateway: string, bells?: Bells): JoinOptions => ({
  client: plane.client,
  authority: plane.authority,
  authenticator: plane.api.server.authenticator,
  clock: plane.clock,
  certificates: async () => {
    const made = await loadAuthority(plane.store);
    return { authority: lazyAuthority(made), caCert: made.caCert };
  },
  ...(gateway && { gateway }),
  ...(bells && { bell: bells.listen }),
});

/** The app of a plane, which machines may join. */
export const joinable = (plane: CloudPlane, gateway: string, bells?: Bells) =>
  withJoin(plane.api, joinOptions(plane, gateway, bells));
