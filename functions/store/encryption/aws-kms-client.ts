// A module of our own, since a bundler that splits code hands over a CommonJS package without its names.
export { DecryptCommand, GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
