import { evaluatorOf } from '../../../machinery/quota/evaluators.ts';
import type { Server } from '../../context.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { refusal } from '../refusal.ts';
import { type Charged, charge, undo, type Waiting } from './batch.ts';
import { createLedger, type Ledger } from './ledger.ts';

interface Waiter {
  write: Waiting;
  resolve(charged: Charged): void;
  reject(error: unknown): void;
}

/** The writes of one namespace are charged together: those that come while a batch is on its way make the next one. */
const createCharger = (ledger: Ledger, server: Server) => {
  const waiting = new Map<string, Waiter[]>();
  const serve = async (namespace: string, queue: Waiter[]): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue.splice(0);
      try {
        const quotas = await ledger.known(namespace);
        const writes = batch.map(({ write }) => write);
        const results = await charge(ledger, namespace, quotas, writes, server.clock.now());
        for (const [i, one] of batch.entries()) one.resolve(results[i] as Charged);
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
    }
    waiting.delete(namespace);
  };
  return (namespace: string, write: Waiting): Promise<Charged> =>
    new Promise((resolve, reject) => {
      const queue = waiting.get(namespace);
      const waiter = { write, resolve, reject };
      if (queue) {
        queue.push(waiter);
        return;
      }
      const begun = [waiter];
      waiting.set(namespace, begun);
      void serve(namespace, begun);
    });
};

const measured = (request: AdmissionRequest): Waiting | undefined => {
  const { call, operation, subresource, object, old } = request;
  if ((operation !== 'CREATE' && operation !== 'UPDATE') || !object) return undefined;
  const { resource, server, dryRun } = call;
  const evaluator = evaluatorOf(resource);
  const write = { operation, subresource, object, ...(old && { old }) };
  if (!evaluator?.handles(write)) return undefined;
  return { ...write, evaluator, dryRun, id: server.clock.uuid() };
};

/**
 * Quotas take what a write adds before it is stored, by a conditional write of their status; what it adds to none of them
 * costs a look at the namespace's quotas in memory. A write that fails afterwards is given back at once, one that is
 * deleted later by the resourcequota controller. The last validating plugin, as nothing else may refuse after it.
 */
export const createResourceQuota = (): AdmissionPlugin => {
  const clusters = new WeakMap<Server, Map<string, { ledger: Ledger; charge: ReturnType<typeof createCharger> }>>();
  const quotasOf = (server: Server, cluster: string) => {
    let known = clusters.get(server);
    if (!known) {
      known = new Map();
      clusters.set(server, known);
    }
    let found = known.get(cluster);
    if (!found) {
      const resource = server.registry.find(cluster, '', 'v1', 'resourcequotas');
      if (!resource) return undefined;
      const ledger = createLedger(server, cluster, resource);
      found = { ledger, charge: createCharger(ledger, server) };
      known.set(cluster, found);
    }
    return found;
  };
  return {
    name: 'ResourceQuota',
    validate: async (request) => {
      const { info, resource, server } = request.call;
      if (!resource.namespaced || !info.namespace || request.operation === 'DELETE') return;
      const quotas = quotasOf(server, info.cluster);
      const write = quotas && (await quotas.ledger.any(info.namespace)) ? measured(request) : undefined;
      if (!quotas || !write) return;
      const result = await quotas.charge(info.namespace, write);
      if (!result.ok) throw refusal(request, result.why);
      const { charges, note } = result;
      if (!note) return;
      request.settled = async (stored) => {
        if (stored) await quotas.ledger.forget([note]);
        else await undo(quotas.ledger, charges, note);
      };
    },
  };
};
