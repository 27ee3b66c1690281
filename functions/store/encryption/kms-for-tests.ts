import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Kms } from './kms.ts';

/** Stands for KMS: keys by name, contexts that count, calls that are counted, and failures on demand. */
export interface TestKms extends Kms {
  readonly calls: { generate: number; unwrap: number };
  /** From now on every call fails with an error of that name; undefined: none does. */
  fail(name: string | undefined): void;
}

export const createTestKms = (): TestKms => {
  const keys = new Map<string, Buffer>();
  const calls = { generate: 0, unwrap: 0 };
  let failure: string | undefined;
  const keyOf = (name: string): Buffer => {
    const key = keys.get(name) ?? randomBytes(32);
    keys.set(name, key);
    return key;
  };
  const refuse = (name: string): never => {
    throw Object.assign(new Error('arn:aws:iam::123456789012:role/secret-name is not authorized'), { name });
  };
  const aad = (context: Record<string, string>): Buffer => Buffer.from(JSON.stringify(context));
  return {
    calls,
    fail: (name) => {
      failure = name;
    },
    generate: async (kmsKey, context) => {
      calls.generate++;
      if (failure) refuse(failure);
      const plain = randomBytes(32);
      const nonce = randomBytes(12);
      const gcm = createCipheriv('aes-256-gcm', keyOf(kmsKey), nonce).setAAD(aad(context));
      return { plain, wrapped: Buffer.concat([nonce, gcm.update(plain), gcm.final(), gcm.getAuthTag()]) };
    },
    unwrap: async (kmsKey, wrapped, context) => {
      calls.unwrap++;
      if (failure) refuse(failure);
      const gcm = createDecipheriv('aes-256-gcm', keyOf(kmsKey), wrapped.subarray(0, 12), { authTagLength: 16 });
      gcm.setAAD(aad(context)).setAuthTag(wrapped.subarray(-16));
      const plain = gcm.update(wrapped.subarray(12, -16));
      try {
        gcm.final();
      } catch {
        refuse('InvalidCiphertextException');
      }
      return plain;
    },
  };
};
