import { zstdDecompressSync } from 'node:zlib';
import { DynamoDBClient, type DynamoDBClientConfig, paginateScan } from '@aws-sdk/client-dynamodb';

/** Keys of all items of a table that hold one of the texts, unpacked. */
export const itemsWith = async (
  config: DynamoDBClientConfig,
  table: string,
  texts: readonly string[],
): Promise<string[]> => {
  const client = new DynamoDBClient(config);
  const found: string[] = [];
  try {
    for await (const { Items = [] } of paginateScan({ client }, { TableName: table })) {
      for (const item of Items) {
        const values = Object.values(item).flatMap(({ B, S }) => (B ? [Buffer.from(B)] : S ? [Buffer.from(S)] : []));
        if (values.some((value) => texts.some((text) => unpacked(value).includes(text))))
          found.push(`${item.pk?.S} ${item.sk?.S}`);
      }
    }
    return found;
  } finally {
    client.destroy();
  }
};

/** What a value was before it was compressed; a part of one stays as it is. */
const unpacked = (value: Buffer): Buffer => {
  try {
    return zstdDecompressSync(value);
  } catch {
    return value;
  }
};
