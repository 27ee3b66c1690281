import type { PolicyRule } from '../../machinery/kinds.d.ts';

const words = (text: string): string[] => text.split(' ').filter(Boolean).sort();

/** A rule from words: verbs, API groups (`core` is ''), resources and resource names, each list parted by blanks. */
export const rule = (verbs: string, groups: string, resources: string, names = ''): PolicyRule => ({
  verbs: words(verbs),
  apiGroups: words(groups)
    .map((group) => (group === 'core' ? '' : group))
    .sort(),
  resources: words(resources),
  ...(names && { resourceNames: words(names) }),
});

/** A rule for paths outside the API. */
export const paths = (verbs: string, urls: string): PolicyRule => ({
  verbs: words(verbs),
  nonResourceURLs: words(urls),
});

export const read = 'get list watch';
export const write = 'create delete deletecollection patch update';
export const events = rule('create patch update', 'core events.k8s.io', 'events');
