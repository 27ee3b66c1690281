import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';

/** SHA-256, or its HMAC under a secret, as @smithy/signature-v4 wants it. */
export class Sha256 {
  #hash: Hash | Hmac;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as Uint8Array);
  }
  update(data: string | Uint8Array): void {
    this.#hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {
    throw new Error('a digest is made once');
  }
}
