import { describe, expect, it } from 'vitest';
import { readPrincipal, withoutPath } from './arn.ts';
import { readCallerIdentity } from './caller-identity.ts';
import { stsHost, stsOfRegion } from './sts-hosts.ts';

describe('ARNs of principals', () => {
  it.each([
    ['arn:aws:iam::123456789012:user/Alice', 'arn:aws:iam::123456789012:user/Alice'],
    ['arn:aws:iam::123456789012:user/a/path/Alice', 'arn:aws:iam::123456789012:user/a/path/Alice'],
    ['arn:aws:iam::123456789012:role/Users', 'arn:aws:iam::123456789012:role/Users'],
    ['arn:aws:iam::123456789012:root', 'arn:aws:iam::123456789012:root'],
    ['arn:aws:sts::123456789012:assumed-role/Admin/Session', 'arn:aws:iam::123456789012:role/Admin'],
    ['arn:aws:sts::123456789012:assumed-role/Org/Team/Admin/Session', 'arn:aws:iam::123456789012:role/Org/Team/Admin'],
    ['arn:aws:sts::123456789012:federated-user/Bob', 'arn:aws:sts::123456789012:federated-user/Bob'],
    ['arn:aws-cn:sts::123456789012:assumed-role/Admin/s', 'arn:aws-cn:iam::123456789012:role/Admin'],
    ['arn:aws-us-gov:iam::123456789012:user/C', 'arn:aws-us-gov:iam::123456789012:user/C'],
    ['arn:aws-iso-b:iam::123456789012:user/C', 'arn:aws-iso-b:iam::123456789012:user/C'],
  ])('%s is %s', (arn, canonical) => {
    expect(readPrincipal(arn)?.canonical).toBe(canonical);
  });

  it.each([
    'NOT AN ARN',
    'arn:aws-evil:iam::123456789012:user/Alice',
    'arn:aws:s3:::bucket',
    'arn:aws:iam:eu-north-1:123456789012:user/Alice',
    'arn:aws:iam::12345678901:user/Alice',
    'arn:aws:iam::123456789012:group/Admins',
    'arn:aws:iam::123456789012:assumed-role/Admin/s',
    'arn:aws:sts::123456789012:role/Admin',
    'arn:aws:sts::123456789012:assumed-role/Admin',
    'arn:aws:sts::123456789012:assumed-role//s',
    'arn:aws:sts::123456789012:root',
    'arn:aws:iam::123456789012:user',
    'arn:aws:iam::123456789012:user/',
    'arn:aws:iam::123456789012:user/a\n',
    'arn:aws:iam::123456789012:user/{{SessionName}}',
    `arn:aws:iam::123456789012:user/${'a'.repeat(3000)}`,
  ])('%j is none', (arn) => {
    expect(readPrincipal(arn)).toBeUndefined();
  });

  it('have no path where roles are compared', () => {
    const bare = (arn: string) => {
      const principal = readPrincipal(arn);
      return principal && withoutPath(principal);
    };
    expect(bare('arn:aws:iam::123456789012:role/Org/Team/Admin')).toBe('arn:aws:iam::123456789012:role/Admin');
    expect(bare('arn:aws:iam::123456789012:user/Org/Alice')).toBe('arn:aws:iam::123456789012:user/Org/Alice');
  });
});

describe('answers of GetCallerIdentity', () => {
  const json = (Arn: unknown, UserId: unknown, Account: unknown = '123456789012') =>
    JSON.stringify({ GetCallerIdentityResponse: { GetCallerIdentityResult: { Arn, UserId, Account } } });
  const xml = (inner: string) =>
    `<GetCallerIdentityResponse xmlns="x"><GetCallerIdentityResult>${inner}</GetCallerIdentityResult></GetCallerIdentityResponse>`;
  const USER = 'arn:aws:iam::123456789012:user/Alice';
  const ROLE = 'arn:aws:sts::123456789012:assumed-role/Admin/mary';

  it.each([
    [json(USER, 'AIDA1'), { principalId: 'AIDA1', sessionName: '' }],
    [json(ROLE, 'AROA1:mary'), { principalId: 'AROA1', sessionName: 'mary' }],
    [json('arn:aws:iam::123456789012:root', '123456789012'), { principalId: '123456789012', sessionName: '' }],
    [
      json('arn:aws:sts::123456789012:federated-user/Bob', '123456789012:Bob'),
      { principalId: '123456789012:Bob', sessionName: '' },
    ],
    [
      xml(`<Arn>${ROLE}</Arn>\n<UserId> AROA1:mary </UserId><Account>123456789012</Account>`),
      { principalId: 'AROA1', sessionName: 'mary', account: '123456789012' },
    ],
  ])('%s', (text, expected) => {
    expect(readCallerIdentity(text, 'A')).toMatchObject(expected);
  });

  it.each([
    '',
    '{',
    '{}',
    'null',
    '[]',
    '{"GetCallerIdentityResponse":null}',
    json(USER, 7),
    json([USER], 'AIDA1'),
    json(USER, 'AIDA1', '999999999999'),
    json(USER, 'AIDA1:session'),
    json(ROLE, 'AROA1'),
    json(ROLE, 'AROA1:another'),
    json(ROLE, 'AROA1:mary:more'),
    json('arn:aws:iam::123456789012:role/Admin', 'AROA1'),
    json(USER, 'AIDA 1'),
    xml(''),
    xml(`<Arn>${USER}</Arn><Arn>${USER}</Arn><UserId>AIDA1</UserId><Account>123456789012</Account>`),
    xml(`<Arn>&#97;</Arn><UserId>AIDA1</UserId><Account>123456789012</Account>`),
    `<Other>${xml(`<Arn>${USER}</Arn><UserId>AIDA1</UserId><Account>123456789012</Account>`)}</Other>`,
    `<Arn>${USER}</Arn><UserId>AIDA1</UserId><Account>123456789012</Account>`,
  ])('%s is none', (text) => {
    expect(readCallerIdentity(text, 'A')).toBeUndefined();
  });
});

describe('hosts of STS', () => {
  it.each([
    ['sts.amazonaws.com', 'aws', undefined],
    ['sts.us-west-2.amazonaws.com', 'aws', 'us-west-2'],
    ['sts.ap-southeast-7.amazonaws.com', 'aws', 'ap-southeast-7'],
    ['sts-fips.us-east-1.amazonaws.com', 'aws', 'us-east-1'],
    ['sts.us-west-2.api.aws', 'aws', 'us-west-2'],
    ['sts.cn-northwest-1.amazonaws.com.cn', 'aws-cn', 'cn-northwest-1'],
    ['sts.cn-north-1.api.amazonwebservices.com.cn', 'aws-cn', 'cn-north-1'],
    ['sts.us-gov-east-1.amazonaws.com', 'aws-us-gov', 'us-gov-east-1'],
    ['sts-fips.us-gov-west-1.api.aws', 'aws-us-gov', 'us-gov-west-1'],
    ['sts.us-iso-east-1.c2s.ic.gov', 'aws-iso', 'us-iso-east-1'],
    ['sts.us-isob-east-1.sc2s.sgov.gov', 'aws-iso-b', 'us-isob-east-1'],
    ['sts.eu-isoe-west-1.cloud.adc-e.uk', 'aws-iso-e', 'eu-isoe-west-1'],
    ['sts.us-isof-south-1.csp.hci.ic.gov', 'aws-iso-f', 'us-isof-south-1'],
    ['sts.eusc-de-east-1.amazonaws.eu', 'aws-eusc', 'eusc-de-east-1'],
  ])('%s is of %s', (host, partition, region) => {
    expect(stsHost(host)).toEqual({ partition, region });
    if (host === `sts.${region}.${host.split('.').slice(2).join('.')}` && !/\.api\./.test(host))
      expect(stsOfRegion(region ?? '')).toBe(host);
  });

  it('are no others', () => {
    for (const host of [
      'sts.us-isob-east-1.amazonaws.com.cn',
      'sts.cn-north-1.amazonaws.com',
      'sts.us-east-1.c2s.ic.gov',
    ])
      expect(stsHost(host)).toBeUndefined();
    expect(stsOfRegion('moon-1')).toBeUndefined();
  });
});
