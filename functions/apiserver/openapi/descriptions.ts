import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Descriptions } from './schemas.ts';

/** Where build-descriptions.ts leaves the texts: below node_modules, because they are upstream's and never committed. */
export const descriptionsPath = join(import.meta.dirname, '../../../node_modules/.cache/skiff/descriptions.json');

let loaded: Record<string, Record<string, string>> | undefined;

/** Texts of types and fields, loaded on first use; none where the build step has not run. */
export const cachedDescriptions: Descriptions = (type) => {
  loaded ??= existsSync(descriptionsPath) ? JSON.parse(readFileSync(descriptionsPath, 'utf8')) : {};
  return loaded?.[type];
};
