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

/** Reads the subject of a PKCS #10 request in base64 of PEM (RFC 2986). Throws RangeError where it is none. */
export const subjectOf = (request: string): RequestSubject => {
  const pem = Buffer.from(request, 'base64').toString('latin1');
  const body = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([^-]+)-----END/.exec(pem)?.[1];
  if (!body) throw new RangeError('PEM block type must be CERTIFICATE REQUEST');
  const whole = elementAt(Buffer.from(body, 'base64'), 0);
  const [info] = childrenOf(whole.content);
  const [, name] = childrenOf(info?.content ?? new Uint8Array());
  if (whole.tag !== SEQUENCE || name?.tag !== SEQUENCE) throw new RangeError('the request has no subject');
  const subject: RequestSubject = { commonName: '', organizations: [] };
  for (const set of childrenOf(name.content)) {
    for (const pair of childrenOf(set.content)) {
      const [id, value] = childrenOf(pair.content);
      const type = Buffer.from(id?.content ?? []).toString('hex');
      const text = Buffer.from(value?.content ?? []).toString('utf8');
      if (type === commonNameId) subject.commonName = text;
      if (type === organizationId) subject.organizations.push(text);
    }
  }
  return subject;
};
