import type { CustomResourceDefinition } from '../machinery/kinds.d.ts';
import type { Replica } from '../store/replica-port.ts';
import type { Stored } from '../store/store.ts';
import { fitApiServices } from './api-services.ts';
import type { Server } from './context.ts';
import { isTrue } from './custom/conditions.ts';
import { createDefinitionKeeper, DEFINITIONS, parseDefinition } from './custom/definitions.ts';
import { resourcesOf } from './custom/resources.ts';
import { comparePreference } from './custom/versions.ts';
import { webhookOf } from './custom/webhook-conversion.ts';
import { callWebhook, type WebhookConfig } from './outgoing/client.ts';
import type { ResourceInfo } from './registry.ts';

/** A definition as it is served, kept while nothing about that changes: compiled schemas and caches hang on it. */
interface Served {
  /** What makes watches end when it changes. */
  shape: string;
  /** What is told otherwise, with the same shape. */
  state: string;
  infos: readonly ResourceInfo[];
  ended: AbortController;
}

/** A conversion webhook that has not answered within this has failed; in milliseconds. */
const conversionMsMax = 30_000;
/** Watches see the last changes of a definition that is gone before they end; in milliseconds. */
const endsAfterMs = 500;

const isServed = (crd: CustomResourceDefinition): boolean => isTrue(crd, 'Established') || isTrue(crd, 'NamesAccepted');

/** By group, preferred version first, then by name: the order of discovery. */
const inOrder = (a: ResourceInfo, b: ResourceInfo): number => {
  if (a.group !== b.group) return a.group < b.group ? -1 : 1;
  return comparePreference(a.version, b.version) || (a.resource < b.resource ? -1 : 1);
};

/** What one cluster serves of its definitions. */
const createServing = (server: Server, cluster: string) => {
  const served = new Map<string, Served>();
  const uuid = () => server.clock.uuid();
  const review = (config: WebhookConfig, body: object) => callWebhook(server, cluster, config, body, conversionMsMax);
  const end = (one: Served): void => void server.clock.after(endsAfterMs, () => one.ended.abort());

  const serve = (crd: CustomResourceDefinition): Served => {
    const { uid = '', generation } = crd.metadata;
    const shape = JSON.stringify([generation, crd.status?.acceptedNames]);
    const state = JSON.stringify([isTrue(crd, 'Terminating')]);
    const known = served.get(uid);
    if (known?.shape === shape && known.state === state) return known;
    const ended = known?.shape === shape ? known.ended : new AbortController();
    if (known && known.shape !== shape) end(known);
    const made: Served = { shape, state, ended, infos: resourcesOf(crd, ended.signal, webhookOf(crd, review, uuid)) };
    served.set(uid, made);
    return made;
  };
  return {
    /** The registry shows these definitions from now on. */
    set: (all: readonly Stored[]): void => {
      const infos: ResourceInfo[] = [];
      const present = new Set<string>();
      for (const stored of all) {
        const crd = parseDefinition(stored);
        if (!isServed(crd)) continue;
        present.add(crd.metadata.uid ?? '');
        infos.push(...serve(crd).infos.filter((info) => info.definition?.served));
      }
      for (const [uid, one] of served) {
        if (present.has(uid)) continue;
        served.delete(uid);
        end(one);
      }
      server.registry.setCustom(cluster, infos.sort(inOrder));
    },
    /** The resource type that a definition's objects are stored as. */
    stored: (uid: string): ResourceInfo | undefined =>
      served.get(uid)?.infos.find((info) => info.version === info.storage.version),
  };
};

/** Follows one cluster's definitions: serves them, and keeps their statuses. */
const follow = (server: Server, cluster: string, replica: Replica, lost: () => void): void => {
  const serving = createServing(server, cluster);
  const keeper = createDefinitionKeeper(server, cluster);
  let looking = false;
  let again = false;
  const look = async (): Promise<void> => {
    again = true;
    if (looking) return;
    looking = true;
    try {
      while (again) {
        again = false;
        await keeper.look(replica.list({}), serving.stored);
        await fitApiServices(server, cluster, [...replica.list({})].map(parseDefinition));
      }
    } catch (error) {
      server.onFault?.(error, '', undefined);
    } finally {
      looking = false;
    }
  };
  const rebuild = (): void => {
    serving.set(replica.list({}));
    void look();
  };
  replica.onApplied(
    (changes) => {
      if (changes.length > 0) rebuild();
    },
    () => {
      keeper.close();
      lost();
    },
  );
  if (replica.size > 0) rebuild();
};

/** Keeps a registry's custom resources as the stored definitions say, for each cluster that is asked about. */
export const createCustomResources = (server: Server) => {
  const followed = new Map<string, Replica>();
  return {
    /** Brings a cluster's custom resources up to the store's head; for a path that nothing built-in serves. */
    refresh: async (cluster: string): Promise<void> => {
      const { group, resource } = DEFINITIONS;
      const replica = await server.replicas.of({ cluster, group, resource });
      await replica.fresh();
      if (followed.get(cluster) === replica) return;
      followed.set(cluster, replica);
      follow(server, cluster, replica, () => void followed.delete(cluster));
    },
    follows: (cluster: string): boolean => followed.has(cluster),
  };
};
