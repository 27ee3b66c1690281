import { type AuthenticationDocument, readDocument } from './document.ts';
import { loadExpressions } from './expressions.ts';
import { validateAuthentication } from './validate.ts';

/** Reads an AuthenticationConfiguration. Rejects with an Error that names every field that does not stand. */
export const parseAuthentication = async (value: unknown): Promise<AuthenticationDocument> => {
  const document = readDocument(value);
  await loadExpressions();
  const { causes } = validateAuthentication(document);
  if (causes.length > 0) throw new Error(causes.map(({ field, message }) => `${field}: ${message}`).join(', '));
  return document;
};
