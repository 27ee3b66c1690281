import { CommandError } from '../command.ts';

export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  /** Of credentials that end. */
  sessionToken?: string;
}

export interface CredentialOptions {
  region: string;
  profile?: string | undefined;
  /** A role to assume with what the chain finds. */
  roleArn?: string | undefined;
  sessionName?: string | undefined;
  /** Of a stand-in for STS, where a role is assumed. */
  endpoint?: string | undefined;
}

/** Asks on the terminal: what a command prints is read by clients. */
const askForCode = async (serial: string): Promise<string> => {
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`MFA code of ${serial}: `)).trim();
  } finally {
    terminal.close();
  }
};

/**
 * Credentials of AWS as its SDKs find them: the environment, profiles, single sign-on, web identity, containers, instances;
 * and of a role, with those. Throws a CommandError where there are none.
 */
export const awsCredentials = async (options: CredentialOptions): Promise<AwsCredentials> => {
  const { region, profile, roleArn, sessionName, endpoint } = options;
  const { fromNodeProviderChain, fromTemporaryCredentials } = await import('@aws-sdk/credential-providers');
  const clientConfig = { region, ...(endpoint && { endpoint }) };
  const chain = fromNodeProviderChain({
    clientConfig,
    mfaCodeProvider: askForCode,
    ...(profile && { profile }),
  });
  const provider = roleArn
    ? fromTemporaryCredentials({
        masterCredentials: chain,
        clientConfig,
        mfaCodeProvider: askForCode,
        params: { RoleArn: roleArn, RoleSessionName: sessionName ?? `skiff-${process.pid}` },
      })
    : chain;
  try {
    return await provider();
  } catch (error) {
    throw new CommandError(`no credentials of AWS: ${error instanceof Error ? error.message : error}`);
  }
};
