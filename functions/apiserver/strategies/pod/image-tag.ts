/** The tag of an image reference: `latest` where it has neither a tag nor a digest, '' where only a digest. */
const tagOf = (image: string): string => {
  const at = image.indexOf('@');
  const name = at < 0 ? image : image.slice(0, at);
  const colon = name.lastIndexOf(':');
  if (colon > name.lastIndexOf('/')) return name.slice(colon + 1);
  return at < 0 && name !== '' ? 'latest' : '';
};

/** The pull policy an image gets when none is given: Always for `latest`, else IfNotPresent. */
export const defaultPullPolicy = (image: string | undefined): string =>
  tagOf(image ?? '') === 'latest' ? 'Always' : 'IfNotPresent';
