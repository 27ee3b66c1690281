/** Who a certificate request is for. */
export interface RequestSubject {
  commonName: string;
  organizations: string[];
}

interface Element {
  tag: number;
  content: Uint8Array;
  /** Where the next element begins. */
  end: number;
}

/** One DER element. X.690, 8.1. */
const elementAt = (bytes: Uint8Array, at: number): Element => {
  const first = bytes[at + 1];
  if (first === undefined) throw new RangeError('the request ends too early');
  const long = first >= 0x80 ? first - 0x80 : 0;
  if (long > 4) throw new RangeError('a length of the request is out of range');
  let length = long ? 0 : first;
  for (let i = 0; i < long; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0);
  const start = at + 2 + long;
  if (start + length > bytes.length) throw new RangeError('the request ends too early');
  return { tag: bytes[at] ?? 0, content: bytes.subarray(start, start + length), end: start + length };
};

const childrenOf = (bytes: Uint8Array): Element[] => {
  const children: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const child = elementAt(bytes, at);
    children.push(child);
    at = child.end;
  }
  return children;
};

const SEQUENCE = 0x30;
const commonNameId = '550403';
const organizationId = '55040a';

const unicode = (content: Uint8Array): string => {
  const bytes = Buffer.from(content);
  const text = bytes.toString('utf8');
  if (!Buffer.from(text).equals(bytes)) throw new RangeError('a name of the request is no text');
  return text;
};

const bigEndian = (content: Uint8Array): string => {
  if (content.length % 2 !== 0) throw new RangeError('a name of the request is no text');
  return Buffer.from(content).swap16().toString('utf16le');
};

const textOf = ({ tag, content }: Element): string => {
  switch (tag) {
    case 0x0c:
      return unicode(content);
    case 0x12:
    case 0x13:
    case 0x14:
    case 0x16:
      return Buffer.from(content).toString('latin1');
    case 0x1e:
      return bigEndian(content);
    default:
      throw new RangeError('a name of the request is of a type that is not known');
  }
};

/** The request itself in a PEM text (RFC 7468): of several blocks the first, which must be one. Throws RangeError. */
export const requestBytes = (pem: string): Buffer<ArrayBuffer> => {
  const [, label = '', body = ''] = /-----BEGIN ([^-]*)-----([^-]+)-----END/.exec(pem) ?? [];
  if (!/^(NEW )?CERTIFICATE REQUEST$/.test(label)) throw new RangeError('PEM block type must be CERTIFICATE REQUEST');
  return Buffer.from(body, 'base64');
};

/** A part of a name: its type as the hexadecimal content of its object identifier, and its text however it was written. */
export interface NamePart {
  type: string;
  text: string;
}

/** The subject of a PKCS #10 request in its order (RFC 2986). Throws RangeError where it is none. */
export const subjectParts = (request: Uint8Array): NamePart[] => {
  const whole = elementAt(request, 0);
  const [info] = childrenOf(whole.content);
  const [, name] = childrenOf(info?.content ?? new Uint8Array());
  if (whole.tag !== SEQUENCE || name?.tag !== SEQUENCE) throw new RangeError('the request has no subject');
  return childrenOf(name.content)
    .flatMap((set) => childrenOf(set.content))
    .map((pair) => {
      const [id, value] = childrenOf(pair.content);
      if (!id || !value) throw new RangeError('the request ends too early');
      return { type: Buffer.from(id.content).toString('hex'), text: textOf(value) };
    });
};

/** Whom a subject is about: a name that is said twice counts as it was said last, as in a certificate that is shown. */
export const readSubject = (parts: readonly NamePart[]): RequestSubject => ({
  commonName: parts.findLast(({ type }) => type === commonNameId)?.text ?? '',
  organizations: parts.flatMap(({ type, text }) => (type === organizationId ? [text] : [])),
});

/** The subject of a request in base64 of PEM. Throws RangeError where it is none. */
export const subjectOf = (request: string): RequestSubject =>
  readSubject(subjectParts(requestBytes(Buffer.from(request, 'base64').toString('latin1'))));
