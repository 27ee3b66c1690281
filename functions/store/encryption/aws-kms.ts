import type { KMSClient } from '@aws-sdk/client-kms';
import type { Kms } from './kms.ts';

const load = async () => {
  const { DecryptCommand, GenerateDataKeyCommand, KMSClient } = await import('./aws-kms-client.ts');
  const client: KMSClient = new KMSClient({ maxAttempts: 2 });
  return { client, DecryptCommand, GenerateDataKeyCommand };
};

const present = (bytes: Uint8Array | undefined): Uint8Array => {
  if (!bytes) throw new Error('KMS answers without a key');
  return bytes;
};

/**
 * AWS KMS with the credentials that the SDK finds; a call ends after `timeoutMs`. Its client is loaded with the first call:
 * most processes make none.
 */
export const createAwsKms = (timeoutMs = 3000): Kms => {
  let loaded: ReturnType<typeof load> | undefined;
  const connected = (): ReturnType<typeof load> => {
    loaded ??= load();
    return loaded;
  };
  const within = () => ({ abortSignal: AbortSignal.timeout(timeoutMs) });
  return {
    generate: async (KeyId, EncryptionContext) => {
      const { client, GenerateDataKeyCommand } = await connected();
      const command = new GenerateDataKeyCommand({ KeyId, EncryptionContext, KeySpec: 'AES_256' });
      const { Plaintext, CiphertextBlob } = await client.send(command, within());
      return { plain: present(Plaintext), wrapped: present(CiphertextBlob) };
    },
    unwrap: async (KeyId, CiphertextBlob, EncryptionContext) => {
      const { client, DecryptCommand } = await connected();
      const command = new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext });
      const { Plaintext } = await client.send(command, within());
      return present(Plaintext);
    },
  };
};
