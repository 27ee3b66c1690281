import { expect, it } from 'vitest';
import type { PersistentVolumeClaim, Pod, StatefulSet } from '../../machinery/kinds.d.ts';
import { retentionWrites } from './retention.ts';

const pods = new Map<number, Pod>([0, 1].map((n) => [n, { metadata: { name: `db-${n}`, uid: `p${n}` } }]));
const claim = (n: number): PersistentVolumeClaim => ({ metadata: { name: `data-db-${n}`, uid: `c${n}` } });

it.each([
  ['Delete', 'Retain', { 'data-db-0': ['StatefulSet'], 'data-db-1': ['StatefulSet'] }],
  ['Retain', 'Delete', { 'data-db-1': ['Pod'] }],
  ['Delete', 'Delete', { 'data-db-0': ['StatefulSet'], 'data-db-1': ['Pod'] }],
  ['Retain', 'Retain', {}],
])('whenDeleted %s, whenScaled %s: one pod of two is too many', (whenDeleted, whenScaled, wanted) => {
  const set = {
    metadata: { name: 'db', uid: 's' },
    spec: {
      replicas: 1,
      volumeClaimTemplates: [{ metadata: { name: 'data' } }],
      persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled },
    },
  } as unknown as StatefulSet;
  const owners = retentionWrites(set, pods, [claim(0), claim(1)]).map((write) => {
    const merge = write.op === 'patch' ? (write.merge.metadata as { ownerReferences: { kind: string }[] }) : undefined;
    return [write.op === 'patch' ? write.target.name : '', merge?.ownerReferences.map(({ kind }) => kind)];
  });
  expect(Object.fromEntries(owners)).toEqual(wanted);
});
