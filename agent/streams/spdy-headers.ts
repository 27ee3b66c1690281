import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';

/** Header names and values of one SPDY stream; names are lower case, as SPDY/3.1 section 2.6.10 demands. */
export type SpdyHeaders = Record<string, string>;

const words =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow ' +
  'authorization cache-control connection content-base content-encoding content-language content-length ' +
  'content-location content-md5 content-range content-type date etag expect expires from host if-match ' +
  'if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma ' +
  'proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade ' +
  'user-agent vary via warning www-authenticate method get status|200 OK|version|HTTP/1.1|url|public|set-cookie|' +
  'keep-alive|origin';
const codes = '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505';
const tail = [
  codes,
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden',
  '404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable',
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT',
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,',
  'publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.',
].join('');

const counted = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};
const [plain = '', ...phrases] = words.split('|');
/** The zlib dictionary of SPDY/3 (section 2.6.10.1): 1,423 bytes, Adler-32 e3c6a7c2. */
export const spdyDictionary: Buffer = Buffer.concat([
  ...[...plain.split(' '), ...phrases].map(counted),
  Buffer.from(tail, 'latin1'),
]);

const limitHeaderBytes = 256 * 1024;

const encodeBlock = (headers: SpdyHeaders): Buffer => {
  const pairs = Object.entries(headers);
  const count = Buffer.alloc(4);
  count.writeUInt32BE(pairs.length);
  return Buffer.concat([count, ...pairs.flatMap(([name, value]) => [counted(name.toLowerCase()), counted(value)])]);
};

const decodeBlock = (block: Buffer): SpdyHeaders => {
  let offset = 0;
  const take = (): number => {
    const value = block.readUInt32BE(offset);
    offset += 4;
    return value;
  };
  const text = (): string => {
    const length = take();
    if (offset + length > block.length) throw new Error('spdy: a header runs past its block');
    offset += length;
    return block.toString('utf8', offset - length, offset);
  };
  const headers: SpdyHeaders = {};
  for (let left = take(); left > 0; left--) {
    const name = text();
    headers[name] = text();
  }
  return headers;
};

/** One direction's shared compression: blocks must pass in the order of their frames, one at a time. */
export interface HeaderCodec {
  deflate(headers: SpdyHeaders): Promise<Buffer>;
  inflate(block: Buffer): Promise<SpdyHeaders>;
  close(): void;
}

const through = (stream: Deflate | Inflate, input: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    const collect = (part: Buffer): void => {
      parts.push(part);
      size += part.length;
      if (size > limitHeaderBytes) finish(new Error('spdy: headers too large'));
    };
    const finish = (error?: Error | null): void => {
      stream.off('data', collect);
      stream.off('error', finish);
      if (error) reject(error);
      else resolve(Buffer.concat(parts));
    };
    stream.on('data', collect);
    stream.once('error', finish);
    stream.write(input, finish);
  });

/** Compression state for one connection (both directions). */
export const createHeaderCodec = (): HeaderCodec => {
  const options = { dictionary: spdyDictionary, flush: constants.Z_SYNC_FLUSH };
  const deflater = createDeflate(options);
  const inflater = createInflate(options);
  return {
    deflate: (headers) => through(deflater, encodeBlock(headers)),
    inflate: async (block) => decodeBlock(await through(inflater, block)),
    close: () => {
      deflater.close();
      inflater.close();
    },
  };
};
