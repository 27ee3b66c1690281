import type { SigningKeyStatus } from '../apiserver/authn/signing-keys.ts';
import type { KeyCounts } from '../store/encryption/rewrite.ts';

/** What `skiff keys` asks of a control plane: in process, over HTTP, or over a deployment's table. */
export interface KeyOperations {
  status(): Promise<KeysStatus>;
  /** A new key; the name or id of it, or why there is none. */
  rotate(what: KeyKind): Promise<KeyAnswer>;
  /** Takes an old key away: what only it opens or verifies is lost. */
  remove(what: KeyKind, name: string): Promise<KeyAnswer>;
}

export type KeyKind = 'encryption' | 'signing';
export type KeyAnswer = { name: string } | { refused: string };

export interface KeysStatus {
  signing: SigningKeyStatus[];
  encryption: {
    /** The keys of the control plane itself, newest first. */
    keys: { name: string; createdAt: string }[];
    /** Which key encrypts which resources: `secrets=aesgcm:local-...`. */
    writers: string;
    /** False while values are being encrypted anew. */
    rewritten: boolean;
    /** How many stored values lie under each key; `identity` are plain. */
    values: KeyCounts;
  };
}
