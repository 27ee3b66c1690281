import { hash } from 'node:crypto';

/**
 * One authority signs the client certificates of all clusters of a deployment. In which one a certificate counts stands in
 * its serial number, the part of it that its holder has no say in: a byte, then a digest of the cluster and of its object's
 * uid, then chance. Certificates of `default` have none.
 */
const PREFIX = '52';
const DIGEST_CHARACTERS = 18;

/** What stands for a cluster in the serial numbers of its certificates; undefined for `default`. */
export const certificateScope = (cluster: string, uid: string | undefined): string | undefined =>
  cluster === 'default' ? undefined : hash('sha256', `${cluster}/${uid ?? ''}`).slice(0, DIGEST_CHARACTERS);

/** A serial number in hexadecimal; `random` is 24 hexadecimal digits of chance. */
export const scopedSerial = (scope: string | undefined, random: string): string =>
  scope === undefined ? `01${random}` : `${PREFIX}${scope}${random.slice(0, 18)}`;

/** The scope in a serial number; undefined where it has none. */
export const scopeOfSerial = (serial: string): string | undefined => {
  const digits = serial.toLowerCase();
  if (digits.length !== PREFIX.length + 2 * DIGEST_CHARACTERS || !digits.startsWith(PREFIX)) return undefined;
  return digits.slice(PREFIX.length, PREFIX.length + DIGEST_CHARACTERS);
};
