import type { KubeObject } from '../machinery/object.ts';
import type { Domain, Revision, Store, Write } from '../store/store.ts';
import { type Header, readLines, SnapshotRefused } from './format.ts';

export interface RestoreOptions {
  store: Store;
  /** The id of the cluster to make, which must hold nothing. */
  cluster: string;
}

const BATCH = 100;
const encoder = new TextEncoder();

/** The order in which a stored object's fields are written: its kind, then names, with resourceVersion in their midst. */
const bytesOf = (value: unknown): ((revision: Revision) => Uint8Array) => {
  const { kind, apiVersion, metadata, ...rest } = value as Partial<KubeObject>;
  if (kind === undefined || apiVersion === undefined || metadata === undefined) {
    const bytes = encoder.encode(JSON.stringify(value));
    return () => bytes;
  }
  const { name, generateName, namespace, uid, resourceVersion: _old, ...others } = metadata;
  const given = { name, generateName, namespace, uid };
  return (revision) =>
    encoder.encode(
      JSON.stringify({
        kind,
        apiVersion,
        metadata: { ...given, resourceVersion: `${revision}`, ...others },
        ...rest,
      }),
    );
};

/** Checks a whole snapshot without keeping it; throws SnapshotRefused. */
export const checkLines = async (
  lines: AsyncIterable<string>,
): Promise<Header & { domains: number; objects: number }> => {
  const reader = readLines();
  for await (const line of lines) if (line !== '') reader.next(line);
  return reader.close();
};

/**
 * Writes a snapshot's objects into a cluster that holds nothing yet, with new revisions and their old uids. The lines are
 * read twice: once to check all of them, then to write. Throws SnapshotRefused, also where the cluster holds something.
 */
export const restoreLines = async (
  open: () => AsyncIterable<string>,
  { store, cluster }: RestoreOptions,
): Promise<Header & { domains: number; objects: number }> => {
  const checked = await checkLines(open());
  const domains = await store.domains(cluster);
  if (domains.length > 0) throw new SnapshotRefused(`cluster ${cluster} holds something already`);
  const reader = readLines();
  let domain: Domain | undefined;
  let batch: Write[] = [];
  const flush = async (): Promise<void> => {
    if (!domain || batch.length === 0) return;
    for (const outcome of await store.commit(domain, batch)) {
      if (!outcome.ok) throw new Error(`${domain.resource} of cluster ${cluster} are not restored: ${outcome.reason}`);
    }
    batch = [];
  };
  for await (const text of open()) {
    const line = text === '' ? undefined : reader.next(text);
    if (!line) continue;
    if ('domain' in line) {
      await flush();
      domain = { cluster, group: line.domain.group, resource: line.domain.resource };
    } else if ('object' in line) {
      const { key, index, value } = line.object;
      batch.push({ op: 'create', key, index, bytes: bytesOf(value) });
      if (batch.length >= BATCH) await flush();
    }
  }
  await flush();
  return checked;
};
