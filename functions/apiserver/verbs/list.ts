import { expired } from '../../machinery/status.ts';
import type { Replica } from '../../store/replica-port.ts';
import type { Stored } from '../../store/store.ts';
import { type Call, domainOf } from '../context.ts';
import { listResponse } from '../respond.ts';
import { continueExpired, continueToken, type ListOptions, listOptions, versionTooLarge } from './list-options.ts';
import { matcherOf, matchesConverted, readiedToMatch } from './select.ts';

/** How long a list waits for a resourceVersion that has not come yet, in milliseconds. */
const waitMsMax = 3000;

interface Snapshot {
  revision: bigint;
  items: readonly Stored[];
}

const select = async (replica: Replica, options: ListOptions, call: Call): Promise<Snapshot> => {
  const matches = matcherOf(call);
  const namespace = call.info.namespace;
  const selection = { ...(namespace && call.resource.namespaced && { namespace }), ...(matches && { matches }) };
  if (matchesConverted(call)) {
    await replica.fresh();
    await readiedToMatch(call, replica.list({}));
  }
  const token = options.continue;
  if (token) {
    const reached = await replica.fresh();
    if (token.revision === undefined)
      return { revision: reached, items: replica.list({ ...selection, after: token.after }) };
    const items = replica.listAt(token.revision, { ...selection, after: token.after });
    if (!items) throw continueExpired(token.after);
    return { revision: token.revision, items };
  }
  const { revision, match } = options;
  if (revision === undefined) {
    const reached = await replica.fresh();
    return { revision: reached, items: replica.list(selection) };
  }
  if (revision > 0n) {
    await replica.fresh();
    const wait = Math.min(options.timeoutMs ?? waitMsMax, waitMsMax);
    if (replica.revision < revision && !(await replica.atLeast(revision, wait)))
      throw versionTooLarge(revision, replica.revision, match !== 'Exact');
    if (match === 'Exact' || (options.limit > 0 && match === '')) {
      const items = replica.listAt(revision, selection);
      if (!items) throw expired(`The resourceVersion for the provided list is too old.`);
      return { revision, items };
    }
  }
  return { revision: replica.revision, items: replica.list(selection) };
};

export const list = async (call: Call): Promise<Response> => {
  // No component here is a process of its own to report on.
  if (call.resource.kind === 'ComponentStatus') return listResponse(call, [], {});
  const options = listOptions(call.info.query, false);
  const replica = await call.server.replicas.of(domainOf(call.info.cluster, call.resource));
  const { revision, items } = await select(replica, options, call);
  const resourceVersion = String(revision);
  const last = options.limit > 0 && items.length > options.limit ? items[options.limit - 1] : undefined;
  if (!last) return listResponse(call, items, { resourceVersion });
  const filtered = call.info.query.get('labelSelector') || call.info.query.get('fieldSelector');
  return listResponse(call, items.slice(0, options.limit), {
    resourceVersion,
    continue: continueToken(revision, last.key),
    ...(!filtered && { remainingItemCount: items.length - options.limit }),
  });
};
