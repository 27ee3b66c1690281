/**
 * Warning headers of a response (RFC 7234, "Warning"; KEP-1693), bounded as upstream bounds them: 4,096 characters in all;
 * past that every text is cut at 256 and no more are added once the bound is reached.
 */
const TOTAL_MAX = 4096;
const ITEM_MAX = 256;

const control = /\p{Cc}/u;

/** The text in quotes, in UTF-8 whatever the server writes headers in. */
const header = (text: string): string => `299 - "${Buffer.from(text.replace(/[\\"]/g, '\\$&')).toString('latin1')}"`;

/** The values of the headers, in the order of the texts. A text with control characters is none that a header can hold. */
export const warningHeaders = (texts: readonly string[]): string[] => {
  const fit = texts.filter((text) => text !== '' && !control.test(text)).map((text) => [...text]);
  let total = 0;
  const overflow = fit.findIndex((characters) => {
    total += characters.length;
    return total > TOTAL_MAX;
  });
  if (overflow < 0) return fit.map((characters) => header(characters.join('')));
  const out: string[] = [];
  let written = 0;
  for (const [i, characters] of fit.entries()) {
    if (i > overflow && written >= TOTAL_MAX) break;
    written += Math.min(characters.length, ITEM_MAX);
    out.push(header(characters.slice(0, ITEM_MAX).join('')));
  }
  return out;
};
