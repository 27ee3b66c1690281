import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../configuration.ts';

const HEAD = 'apiVersion: skiff.dev/v1\nkind: AWSIdentityConfiguration\n';
const read = (text: string) => parseConfiguration([{ name: 'aws.yaml', text: HEAD + text }]);
const ROLE = 'arn:aws:iam::111122223333:role/Admin';

describe('AWSIdentityConfiguration', () => {
  it('takes both kinds of mappings where it says nothing else', async () => {
    expect((await read('clusterId: main')).awsIdentity).toEqual({
      clusterId: 'main',
      authenticationMode: 'API_AND_CONFIG_MAP',
      accessEntries: [],
      sts: {},
    });
  });

  it('says who comes in, and which STS is asked', async () => {
    const { awsIdentity } = await read(`clusterId: main
authenticationMode: API
accounts: ["012345678901"]
accessEntries:
  - principalArn: ${ROLE}
    accessPolicies:
      - policyArn: arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy
        accessScope: { type: cluster }
sts: { endpoint: "http://127.0.0.1:4566/", partition: aws, regions: [eu-north-1] }`);
    expect(awsIdentity).toMatchObject({
      authenticationMode: 'API',
      accounts: ['012345678901'],
      sts: { endpoint: 'http://127.0.0.1:4566', partition: 'aws', regions: ['eu-north-1'] },
    });
    expect(awsIdentity?.accessEntries[0]?.principalArn).toBe(ROLE);
  });

  it.each([
    ['', 'clusterId'],
    ['clusterId: "a.system"', 'clusterId'],
    ['clusterId: ""', 'clusterId'],
    [`clusterId: ${'a'.repeat(101)}`, 'clusterId'],
    ['clusterId: a\nauthenticationMode: IAM', 'authenticationMode'],
    ['clusterId: a\naccounts: [12]', 'accounts.0'],
    ['clusterId: a\naccounts: []', 'accounts'],
    ['clusterId: a\nunknown: 1', 'unknown'],
    [`clusterId: a\naccessEntries: [{principalArn: ${ROLE}, kubernetesGroups: ["system:masters"]}]`, 'must not begin'],
    [
      `clusterId: a\naccessEntries: [{principalArn: ${ROLE}}, {principalArn: "${ROLE.toUpperCase().replace('ARN:AWS:IAM', 'arn:aws:iam').replace('ROLE', 'role')}"}]`,
      'two entries',
    ],
    ['clusterId: a\nsts: {endpoint: "ftp://a"}', 'sts.endpoint'],
    ['clusterId: a\nsts: {endpoint: "https://a/b"}', 'sts.endpoint'],
    ['clusterId: a\nsts: {endpoint: "https://u:p@a"}', 'sts.endpoint'],
    ['clusterId: a\nsts: {endpoint: "https://a?b"}', 'sts.endpoint'],
    ['clusterId: a\nsts: {endpoint: "https://a", certificateAuthority: hello}', 'sts.certificateAuthority'],
    ['clusterId: a\nsts: {partition: mars}', 'sts.partition'],
  ])('%j is told: %s', async (text, told) => {
    await expect(read(text)).rejects.toThrow(told);
    await expect(read(text)).rejects.toThrow('aws.yaml: AWSIdentityConfiguration: ');
  });
});
