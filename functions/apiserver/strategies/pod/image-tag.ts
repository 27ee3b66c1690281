const DOMAIN =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::\d+)?$/;
const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const NAME_MAX = 255;

/** Whether a repository's name is one, with or without a registry before it. */
const isRepository = (name: string): boolean => {
  if (!name || name.length > NAME_MAX || /^[a-f0-9]{64}$/.test(name)) return false;
  const [first = '', ...rest] = name.split('/');
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  if (hasRegistry) return DOMAIN.test(first) && rest.every((part) => PATH.test(part));
  return [first, ...rest].every((part) => PATH.test(part));
};

/**
 * The tag of an image reference: `latest` where it has neither a tag nor a digest, '' where it has only a digest, or is no
 * reference (grammar of the distribution project).
 */
const tagOf = (image: string): string => {
  const at = image.indexOf('@');
  if (at >= 0 && !DIGEST.test(image.slice(at + 1))) return '';
  const name = at < 0 ? image : image.slice(0, at);
  const colon = name.lastIndexOf(':');
  const tagged = colon > name.lastIndexOf('/');
  if (!isRepository(tagged ? name.slice(0, colon) : name)) return '';
  if (!tagged) return at < 0 ? 'latest' : '';
  const tag = name.slice(colon + 1);
  return TAG.test(tag) ? tag : '';
};

/** The pull policy an image gets when none is given: Always for `latest`, else IfNotPresent. */
export const defaultPullPolicy = (image: string | undefined): string =>
  tagOf(image ?? '') === 'latest' ? 'Always' : 'IfNotPresent';
