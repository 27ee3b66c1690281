import { join } from 'node:path';
import { CfnOutput, IgnoreMode, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';

const ROOT = join(import.meta.dirname, '..');
/** What a node needs of the project: no tests, no facts, nothing that is made. */
const LEFT_OUT = ['node_modules', '.git', '.ci', '.cache', 'test', 'facts', 'bench', 'docs', 'infra', '*.md'];

/**
 * What a machine runs when it starts: it installs the project and its runtime, and joins with the token that the secret
 * holds, as a service that comes back. A machine that joined before goes on with its own credential.
 */
export const nodeScript = (server: string, secret: string, region: string): string[] => [
  'dnf install -y nodejs22 nodejs22-npm containerd cni-plugins nftables iproute unzip',
  'mkdir -p /opt/skiff && unzip -qo /opt/skiff.zip -d /opt/skiff',
  'cd /opt/skiff && $(command -v npm-22 || command -v npm) ci --omit=dev',
  'cat > /opt/skiff/join <<"EOF"',
  '#!/bin/bash',
  'set -euo pipefail',
  '[ -e /var/lib/skiff/node.json ] && exec /opt/skiff/skiff node join --data /var/lib/skiff --runtime cri --yes',
  `token=$(aws secretsmanager get-secret-value --region ${region} --secret-id ${secret} --query SecretString --output text)`,
  `exec /opt/skiff/skiff node join --server ${server} --token "$token" --data /var/lib/skiff --runtime cri --yes`,
  'EOF',
  'chmod 755 /opt/skiff/join',
  'cat > /etc/systemd/system/skiff-node.service <<EOF',
  '[Unit]',
  'After=network-online.target',
  '[Service]',
  'ExecStart=/opt/skiff/join',
  'Restart=always',
  'RestartSec=5',
  'KillMode=process',
  '[Install]',
  'WantedBy=multi-user.target',
  'EOF',
  'systemctl enable --now skiff-node',
];

/** A launch template for nodes on EC2, and the secret that its machines read the join token from. */
export const createNodeTemplate = (scope: Construct, server: string): void => {
  const { region } = Stack.of(scope);
  const project = new Asset(scope, 'Project', { path: ROOT, exclude: LEFT_OUT, ignoreMode: IgnoreMode.GLOB });
  const token = new Secret(scope, 'JoinToken', {
    description: 'A join token of Skiff, put there by: ./skiff node token --nodes ip-',
  });
  const role = new iam.Role(scope, 'NodeRole', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
  token.grantRead(role);
  project.grantRead(role);
  const userData = ec2.UserData.forLinux();
  userData.addCommands('set -euo pipefail');
  userData.addS3DownloadCommand({
    bucket: project.bucket,
    bucketKey: project.s3ObjectKey,
    localFile: '/opt/skiff.zip',
  });
  userData.addCommands(...nodeScript(server, token.secretArn, region));
  const template = new ec2.LaunchTemplate(scope, 'NodeTemplate', {
    machineImage: ec2.MachineImage.latestAmazonLinux2023({ cpuType: ec2.AmazonLinuxCpuType.ARM_64 }),
    role,
    userData,
    requireImdsv2: true,
    blockDevices: [{ deviceName: '/dev/xvda', volume: ec2.BlockDeviceVolume.ebs(20, { encrypted: true }) }],
  });
  new CfnOutput(scope, 'NodeTemplateId', { value: template.launchTemplateId ?? '' });
  new CfnOutput(scope, 'JoinTokenSecret', { value: token.secretArn });
};
