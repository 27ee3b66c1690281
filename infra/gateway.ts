import { join } from 'node:path';
import { CfnOutput, Stack } from 'aws-cdk-lib';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import type { Construct } from 'constructs';
import type { SecretsKey } from './encryption.ts';

const PORT = 443;
const INSTALLED = '/opt/skiff/gateway.mjs';

/** A service of systemd that runs the bundle as a user without rights, and again when it ends. */
const unit = (environment: Record<string, string>): string[] => [
  'cat > /etc/systemd/system/skiff-gateway.service <<EOF',
  '[Unit]',
  'After=network-online.target',
  '[Service]',
  ...Object.entries(environment).map(([name, value]) => `Environment=${name}=${value}`),
  `ExecStart=$(command -v node-22 || command -v node) ${INSTALLED}`,
  'DynamicUser=yes',
  'AmbientCapabilities=CAP_NET_BIND_SERVICE',
  'Restart=always',
  'RestartSec=2',
  '[Install]',
  'WantedBy=multi-user.target',
  'EOF',
];

const createNetwork = (scope: Construct): { vpc: ec2.IVpc; group: ec2.SecurityGroup } => {
  const made = new ec2.Vpc(scope, 'GatewayNetwork', {
    maxAzs: 2,
    natGateways: 0,
    subnetConfiguration: [{ name: 'public', subnetType: ec2.SubnetType.PUBLIC }],
    // DynamoDB is reached without leaving AWS, which costs nothing.
    gatewayEndpoints: { DynamoDb: { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB } },
  });
  // CDK's own classes do not fit its interfaces under exactOptionalPropertyTypes.
  const vpc = made as ec2.IVpc;
  const group = new ec2.SecurityGroup(scope, 'GatewayGroup', {
    vpc,
    description: 'Agents of nodes and kubectl come in by TLS',
  });
  group.addIngressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(PORT), 'TLS, with credentials of the cluster');
  return { vpc, group };
};

/**
 * The gateway as a service: the smallest machine there is, in a group that replaces it when it fails, under an address
 * that stays. It keeps nothing; agents connect again by themselves. Returns its URL.
 */
export const createGateway = (scope: Construct, table: dynamodb.Table, bundles: string, key?: SecretsKey): string => {
  const { vpc, group } = createNetwork(scope);
  const bundle = new Asset(scope, 'GatewayBundle', { path: join(bundles, 'gateway', 'index.mjs') });
  const address = new ec2.CfnEIP(scope, 'GatewayAddress', { domain: 'vpc' });
  const role = new iam.Role(scope, 'GatewayRole', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
  table.grantReadWriteData(role);
  key?.grant(role);
  bundle.grantRead(role);
  const { region, account } = Stack.of(scope);
  const own = (kind: string, id: string): string => `arn:aws:ec2:${region}:${account}:${kind}/${id}`;
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ['ec2:AssociateAddress'],
      resources: [own('elastic-ip', address.attrAllocationId), own('instance', '*'), own('network-interface', '*')],
    }),
  );
  const userData = ec2.UserData.forLinux();
  userData.addCommands('set -euo pipefail', 'dnf install -y nodejs22');
  userData.addS3DownloadCommand({ bucket: bundle.bucket, bucketKey: bundle.s3ObjectKey, localFile: INSTALLED });
  userData.addCommands(
    `chmod 644 ${INSTALLED}`,
    'imds=http://169.254.169.254/latest',
    'session=$(curl -sf -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 300" $imds/api/token)',
    'id=$(curl -sf -H "X-aws-ec2-metadata-token: $session" $imds/meta-data/instance-id)',
    `aws ec2 associate-address --region ${region} --allocation-id ${address.attrAllocationId} --instance-id $id --allow-reassociation`,
    ...unit({
      AWS_REGION: region,
      SKIFF_TABLE: table.tableName,
      ...(key && { SKIFF_KMS_KEY: key.arn }),
      SKIFF_GATEWAY_PORT: `${PORT}`,
      SKIFF_GATEWAY_NAMES: address.attrPublicIp,
    }),
    'systemctl enable --now skiff-gateway',
  );
  const template = new ec2.LaunchTemplate(scope, 'GatewayTemplate', {
    instanceType: ec2.InstanceType.of(ec2.InstanceClass.T4G, ec2.InstanceSize.NANO),
    machineImage: ec2.MachineImage.latestAmazonLinux2023({ cpuType: ec2.AmazonLinuxCpuType.ARM_64 }),
    role,
    userData,
    securityGroup: group,
    associatePublicIpAddress: true,
    requireImdsv2: true,
    blockDevices: [{ deviceName: '/dev/xvda', volume: ec2.BlockDeviceVolume.ebs(8, { encrypted: true }) }],
  });
  new autoscaling.AutoScalingGroup(scope, 'GatewayInstances', {
    vpc,
    launchTemplate: template,
    minCapacity: 1,
    maxCapacity: 1,
    vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
    updatePolicy: autoscaling.UpdatePolicy.rollingUpdate(),
  });
  const url = `https://${address.attrPublicIp}`;
  new CfnOutput(scope, 'Gateway', { value: url, description: 'Where exec, logs and port-forward reach nodes' });
  return url;
};
