import { describe, expect, it } from 'vitest';
import type { ClusterRole, ClusterRoleBinding } from '../../machinery/kinds.d.ts';
import { bootstrapPolicy } from './bootstrap-policy.ts';
import { reconciledBinding, reconciledRole } from './reconcile.ts';

const marks = {
  labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
  annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
};
const pods = { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods', 'services'] };
const wantedRole: ClusterRole = { metadata: { name: 'r', ...marks }, rules: [pods] };
const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'r' };
const group = { kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'g' };
const wantedBinding: ClusterRoleBinding = { metadata: { name: 'b', ...marks }, roleRef, subjects: [group] };
const off = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' };

describe('a default role', () => {
  it('stays as it is where nothing is missing', () => {
    expect(reconciledRole(structuredClone(wantedRole), wantedRole)).toBeUndefined();
    const wider = { ...wantedRole, rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] };
    expect(reconciledRole(wider, wantedRole)).toBeUndefined();
    for (const role of bootstrapPolicy().clusterRoles)
      expect(reconciledRole(structuredClone(role), role)).toBeUndefined();
  });

  it('gets back what its rules lack, and keeps what was added', () => {
    const more = { verbs: ['delete'], apiGroups: ['x.dev'], resources: ['things'] };
    const less = { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] };
    const existing = { ...wantedRole, rules: [less, more] };
    expect(reconciledRole(existing, wantedRole)?.valueOf()).toEqual({
      ...wantedRole,
      rules: [
        less,
        more,
        { verbs: ['get'], apiGroups: [''], resources: ['services'] },
        { verbs: ['list'], apiGroups: [''], resources: ['services'] },
      ],
    });
  });

  it('gets back its marks, where they are missing but not where they were changed', () => {
    const labels = { 'kubernetes.io/bootstrapping': 'mine', team: 'a' };
    const existing = { ...wantedRole, metadata: { name: 'r', labels } };
    expect(reconciledRole(existing, wantedRole)).toMatchObject({
      metadata: { labels, annotations: marks.annotations },
    });
    expect(reconciledRole({ ...wantedRole, metadata: { name: 'r', ...marks, labels } }, wantedRole)).toBeUndefined();
  });

  it('is left alone where it says so', () => {
    const metadata = { name: 'r', annotations: off };
    expect(reconciledRole({ metadata, rules: [] }, wantedRole)).toBeUndefined();
    expect(reconciledBinding({ metadata, roleRef: { ...roleRef, name: 'x' } }, wantedBinding)).toBeUndefined();
  });

  it('gathers by the selectors that it should and those that were added; its rules are not touched', () => {
    const selects = (label: string) => ({ matchLabels: { [label]: 'true' } });
    const wanted = { ...wantedRole, aggregationRule: { clusterRoleSelectors: [selects('a')] } };
    const existing = { ...wantedRole, rules: [], aggregationRule: { clusterRoleSelectors: [selects('b')] } };
    expect(reconciledRole(existing, wanted)).toMatchObject({
      rules: [],
      aggregationRule: { clusterRoleSelectors: [selects('b'), selects('a')] },
    });
    expect(reconciledRole({ ...wanted, rules: [] }, wanted)).toBeUndefined();
    const gathersUnasked = reconciledRole(existing, wantedRole);
    expect(gathersUnasked).not.toHaveProperty('aggregationRule');
  });
});

describe('a default binding', () => {
  it('gets back its subjects, and keeps those that were added', () => {
    expect(reconciledBinding(structuredClone(wantedBinding), wantedBinding)).toBeUndefined();
    const user = { kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'u' };
    expect(reconciledBinding({ ...wantedBinding, subjects: [user] }, wantedBinding)).toMatchObject({
      subjects: [user, group],
    });
    const { subjects: _none, ...empty } = wantedBinding;
    expect(reconciledBinding(empty, wantedBinding)).toMatchObject({ subjects: [group] });
  });

  it('is made anew where it binds another role', () => {
    expect(reconciledBinding({ ...wantedBinding, roleRef: { ...roleRef, name: 'x' } }, wantedBinding)).toBe('again');
  });
});
