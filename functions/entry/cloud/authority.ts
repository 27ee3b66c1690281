import type { Store } from '../../store/store.ts';
import type { Authority } from '../issue.ts';

const domain = { cluster: 'system', group: 'skiff.dev', resource: 'keys' };
const key = 'authority';
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/**
 * The certificate authority of a deployment, kept in its table beside the other keys and made when it is first asked for;
 * of two that ask at once, both get that of one. It vouches for the gateway and for the addresses by which pods reach the
 * API on their node.
 */
export const loadAuthority = async (store: Store): Promise<Authority> => {
  const known = await store.get(domain, key);
  if (known) return JSON.parse(decoder.decode(known.bytes)) as Authority;
  // Loaded when needed: functions that only read the authority start faster without it.
  const { makeAuthority } = await import('../issue.ts');
  const made = await makeAuthority();
  const [outcome] = await store.commit(domain, [
    {
      op: 'create',
      key,
      index: { labels: {}, fields: {}, owners: [] },
      bytes: () => encoder.encode(JSON.stringify(made)),
    },
  ]);
  if (outcome?.ok) return made;
  if (outcome?.reason === 'exists') return loadAuthority(store);
  throw new Error(`the authority of the deployment could not be stored: ${outcome?.reason}`);
};
