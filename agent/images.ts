import type { Client } from '../functions/client/client.ts';
import type { Pod, Secret, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import * as resources from './resources.ts';
import { type ImageInfo, type Images, type RegistryAuth, RuntimeError } from './runtime/runtime.ts';

/** What an image needed: whether it was pulled (for the Pulled event) and what it is. */
export interface EnsuredImage {
  info: ImageInfo;
  pulledMs?: number;
}

/** Images of the node by pull policy; pulls of the same reference share one. */
export interface ImageKeeper {
  /** Throws RuntimeError ErrImageNeverPull, ErrImagePull or InvalidImageName. `onPull` is called before a pull begins. */
  ensure(pod: Pod, container: SpecContainer, secrets: Secret[], onPull: () => void): Promise<EnsuredImage>;
}

interface DockerConfig {
  auths?: Record<string, { auth?: string; username?: string; password?: string }>;
}

/** `docker.io` for a name without a registry. */
export const registryOf = (ref: string): string => {
  const first = ref.split('/')[0] ?? '';
  return ref.includes('/') && (first.includes('.') || first.includes(':') || first === 'localhost')
    ? first
    : 'docker.io';
};

/** Credentials for a reference out of imagePullSecrets (`.dockerconfigjson` and the older `.dockercfg`). */
export const pullCredentials = (ref: string, secrets: Secret[]): RegistryAuth | undefined => {
  const registry = registryOf(ref);
  for (const secret of secrets) {
    const text = secret.data?.['.dockerconfigjson'] ?? secret.data?.['.dockercfg'];
    if (!text) continue;
    let config: DockerConfig;
    try {
      const parsed = JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as DockerConfig;
      config = secret.data?.['.dockerconfigjson'] ? parsed : { auths: parsed as NonNullable<DockerConfig['auths']> };
    } catch {
      continue;
    }
    for (const [key, entry] of Object.entries(config.auths ?? {})) {
      const host = key.replace(/^https?:\/\//, '').split('/')[0] ?? '';
      const matches = host === registry || (registry === 'docker.io' && host === 'index.docker.io');
      if (!matches) continue;
      const [username = '', ...rest] = entry.auth ? Buffer.from(entry.auth, 'base64').toString('utf8').split(':') : [];
      return { username: entry.username ?? username, password: entry.password ?? rest.join(':') };
    }
  }
  return undefined;
};

/** The imagePullSecrets of a pod that are there. */
export const pullSecrets = async (client: Pick<Client, 'get'>, pod: Pod): Promise<Secret[]> => {
  const names = (pod.spec?.imagePullSecrets ?? []).map((ref) => ref.name ?? '');
  const found = await Promise.all(
    names.map((name) => client.get<Secret>(resources.secrets, pod.metadata.namespace ?? '', name)),
  );
  return found.filter((secret) => secret !== undefined);
};

/** Always for `:latest` or no tag, else IfNotPresent: the API's default, for pods that did not pass it. */
const policyOf = (container: SpecContainer): string => {
  if (container.imagePullPolicy) return container.imagePullPolicy;
  const name = (container.image ?? '').split('/').at(-1) ?? '';
  return name.includes('@') || (name.includes(':') && !name.endsWith(':latest')) ? 'IfNotPresent' : 'Always';
};

export const createImageKeeper = (images: Images, now: () => number): ImageKeeper => {
  const pulling = new Map<string, Promise<ImageInfo>>();
  return {
    async ensure(_pod, container, secrets, onPull) {
      const ref = container.image ?? '';
      if (!ref || /\s/.test(ref)) {
        throw new RuntimeError(
          'InvalidImageName',
          `Failed to apply default image tag "${ref}": couldn't parse image name`,
        );
      }
      const policy = policyOf(container);
      const present = policy === 'Always' ? undefined : await images.has(ref);
      if (present) return { info: present };
      if (policy === 'Never') {
        throw new RuntimeError(
          'ErrImageNeverPull',
          `Container image "${ref}" is not present with pull policy of Never`,
        );
      }
      onPull();
      const began = now();
      let pull = pulling.get(ref);
      if (!pull) {
        pull = images.pull(ref, pullCredentials(ref, secrets)).finally(() => pulling.delete(ref));
        pulling.set(ref, pull);
      }
      try {
        return { info: await pull, pulledMs: now() - began };
      } catch (error) {
        if (error instanceof RuntimeError) throw error;
        throw new RuntimeError('ErrImagePull', error instanceof Error ? error.message : String(error));
      }
    },
  };
};
