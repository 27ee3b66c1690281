// One authorization check against 1,000 bindings: of one user's own, of a group, and a refusal. JSON lines.
//   node bench/rbac.ts
import { user } from '../functions/apiserver/authn/authenticator.ts';
import { rbacAuthorizer } from '../functions/apiserver/authz/rbac.ts';
import { createStored } from '../functions/apiserver/authz/stored-for-tests.ts';
import { createSystemClock } from '../functions/clock/system.ts';

const GROUP = 'rbac.authorization.k8s.io';
const BINDINGS = 1000;
const clock = createSystemClock();
const { put, replicas } = createStored(clock);
for (let i = 0; i < BINDINGS; i++) {
  const rules = [
    { verbs: ['get', 'list', 'watch'], apiGroups: [`group-${i}`], resources: ['things', 'things/status'] },
  ];
  await put(GROUP, 'clusterroles', { metadata: { name: `role-${i}` }, rules } as never);
  const roleRef = { apiGroup: GROUP, kind: 'ClusterRole', name: `role-${i}` };
  const subjects = [
    { kind: 'User', name: 'busy' },
    { kind: 'User', name: `user-${i}` },
  ];
  await put(GROUP, 'clusterrolebindings', { metadata: { name: `binding-${i}` }, roleRef, subjects } as never);
}
const rbac = rbacAuthorizer({ replicas, clock });
const measure = async (name: string, username: string, group: string): Promise<void> => {
  const who = user(username, []);
  const asked = {
    cluster: 'default',
    user: who,
    verb: 'get',
    isResource: true,
    group,
    version: 'v1',
    resource: 'things',
    subresource: '',
    namespace: 'default',
    name: 'x',
    path: '',
  };
  const checks = 20_000;
  for (let i = 0; i < 2000; i++) await rbac.authorize(asked);
  const start = performance.now();
  for (let i = 0; i < checks; i++) await rbac.authorize(asked);
  const microseconds = ((performance.now() - start) * 1000) / checks;
  console.log(
    JSON.stringify({ bench: `rbac.${name}`, bindings: BINDINGS, microseconds: Number(microseconds.toFixed(2)) }),
  );
};
await measure('one-of-many-users', 'user-500', 'group-500');
await measure('stranger', 'nobody', 'group-500');
await measure('user-with-1000-bindings', 'busy', 'group-999');
await measure('user-with-1000-bindings-refused', 'busy', 'none');
const start = performance.now();
await put(GROUP, 'clusterroles', { metadata: { name: 'new' }, rules: [] } as never);
await rbac.authorize({
  cluster: 'default',
  user: user('x', []),
  verb: 'get',
  isResource: true,
  group: '',
  version: 'v1',
  resource: 'pods',
  subresource: '',
  namespace: '',
  name: '',
  path: '',
});
console.log(
  JSON.stringify({
    bench: 'rbac.rebuild',
    bindings: BINDINGS,
    milliseconds: Number((performance.now() - start).toFixed(2)),
  }),
);
await replicas.close();
