import type { Client } from '../../functions/client/client.ts';
import type { Clock } from '../../functions/clock/clock.ts';
import type { Pod } from '../../functions/machinery/kinds.d.ts';
import { createImageKeeper, pullSecrets } from '../images.ts';
import type { Images } from '../runtime/runtime.ts';

/** What image volumes (KEP-4639) need of the runtime. */
export interface ImageVolumes {
  /** Brings the image here by its pull policy and mounts its files, read-only. Idempotent while it is mounted. */
  mount(pod: Pod, image: { reference: string; pullPolicy?: string }, target: string): Promise<void>;
  unmount(target: string): Promise<void>;
}

/** Undefined where the runtime cannot mount images. */
export const createImageVolumes = (client: Client, images: Images, clock: Clock): ImageVolumes | undefined => {
  const { mount, unmount } = images;
  if (!mount || !unmount) return undefined;
  const keeper = createImageKeeper(images, () => clock.now());
  return {
    async mount(pod, { reference, pullPolicy }, target) {
      const container = { name: '', image: reference, ...(pullPolicy && { imagePullPolicy: pullPolicy }) };
      const secrets = await pullSecrets(client, pod);
      await keeper.ensure(pod, container, secrets, () => {});
      await mount(reference, target);
    },
    unmount,
  };
};
