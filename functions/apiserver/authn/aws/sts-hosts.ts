/**
 * Where AWS answers GetCallerIdentity: the hosts that a token may name. Partitions, their regions' form and suffixes are
 * those of the endpoint rules that AWS publishes with its SDKs; the DNS of every suffix is AWS' own, and the region's form
 * keeps out names below it that customers may take (`sts.s3.amazonaws.com` is a bucket).
 */
interface Partition {
  region: RegExp;
  suffix: string;
  /** Of endpoints that IPv6 reaches too. */
  dualStack: string;
}

const PARTITIONS: Readonly<Record<string, Partition>> = {
  aws: { region: /^(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d{1,2}$/, suffix: 'amazonaws.com', dualStack: 'api.aws' },
  'aws-cn': { region: /^cn-[a-z]+-\d{1,2}$/, suffix: 'amazonaws.com.cn', dualStack: 'api.amazonwebservices.com.cn' },
  'aws-us-gov': { region: /^us-gov-[a-z]+-\d{1,2}$/, suffix: 'amazonaws.com', dualStack: 'api.aws' },
  'aws-iso': { region: /^us-iso-[a-z]+-\d{1,2}$/, suffix: 'c2s.ic.gov', dualStack: 'api.aws.ic.gov' },
  'aws-iso-b': { region: /^us-isob-[a-z]+-\d{1,2}$/, suffix: 'sc2s.sgov.gov', dualStack: 'api.aws.scloud' },
  'aws-iso-e': { region: /^eu-isoe-[a-z]+-\d{1,2}$/, suffix: 'cloud.adc-e.uk', dualStack: 'api.cloud-aws.adc-e.uk' },
  'aws-iso-f': { region: /^us-isof-[a-z]+-\d{1,2}$/, suffix: 'csp.hci.ic.gov', dualStack: 'api.aws.hci.ic.gov' },
  'aws-eusc': { region: /^eusc-[a-z]+-[a-z]+-\d{1,2}$/, suffix: 'amazonaws.eu', dualStack: 'api.amazonwebservices.eu' },
};

export const PARTITION_NAMES: readonly string[] = Object.keys(PARTITIONS);

/** The one host that stands for no region; only the partition `aws` has it. */
const GLOBAL = 'sts.amazonaws.com';

export interface StsHost {
  partition: string;
  /** Undefined for the global one. */
  region: string | undefined;
}

/** What an STS host stands for; undefined for every other host. Compares exactly: a host in capitals is none. */
export const stsHost = (host: string): StsHost | undefined => {
  if (host === GLOBAL) return { partition: 'aws', region: undefined };
  const [, region, suffix] = /^sts(?:-fips)?\.([a-z0-9-]+)\.([a-z0-9.-]+)$/.exec(host) ?? [];
  if (region === undefined || suffix === undefined) return undefined;
  for (const [partition, one] of Object.entries(PARTITIONS))
    if ((suffix === one.suffix || suffix === one.dualStack) && one.region.test(region)) return { partition, region };
  return undefined;
};

/** The STS of a region, as AWS' tools choose it. Undefined for a region of no partition. */
export const stsOfRegion = (region: string): string | undefined => {
  const found = Object.values(PARTITIONS).find((one) => one.region.test(region));
  return found && `sts.${region}.${found.suffix}`;
};
