import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet';
import type { EndpointSlice, Service } from '../../functions/machinery/kinds.d.ts';
import { lookup, type Zone } from './dns-answers.ts';
import { slicesByService } from './services.ts';

const AUTHORITATIVE = 1 << 10;
const RECURSION_AVAILABLE = 1 << 7;
const TRUNCATED = 1 << 9;
const NXDOMAIN = 3;
const SERVFAIL = 2;
const UDP_BYTES_MAX = 1232;
const FORWARD_MS = 2_000;
const MESSAGE_BYTES_MAX = 65_535;

export interface DnsOptions {
  /** Address and port to listen on, UDP and TCP; port 0 picks one. */
  ip: string;
  port: number;
  domain: string;
  /** Resolvers for names outside the cluster, in order; with none they get SERVFAIL. */
  upstreams: readonly string[];
}
export interface DnsServer {
  readonly port: number;
  update(services: Iterable<Service>, slices: Iterable<EndpointSlice>): void;
  close(): Promise<void>;
}

const reply = (query: DecodedPacket, rcode: number, more: Partial<Packet> = {}): Packet => ({
  type: 'response',
  id: query.id ?? 0,
  flags: AUTHORITATIVE | RECURSION_AVAILABLE | (query.flag_rd ? 1 << 8 : 0) | rcode,
  questions: query.questions ?? [],
  ...more,
});

/** Asks a resolver by UDP, and gives its answer with the bytes as they are; undefined when it does not answer in time. */
const forward = (message: Buffer, upstream: string): Promise<Buffer | undefined> =>
  new Promise((resolve) => {
    const socket = createSocket(upstream.includes(':') ? 'udp6' : 'udp4');
    const done = (answer: Buffer | undefined) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => done(undefined), FORWARD_MS);
    socket.on('message', (answer) => {
      if (answer.readUInt16BE(0) === message.readUInt16BE(0)) done(answer);
    });
    socket.on('error', () => done(undefined));
    socket.send(message, 53, upstream, (error) => {
      if (error) done(undefined);
    });
  });

/** Starts the cluster's DNS on one node. Answers from the services it was last given. */
export const startDns = async (options: DnsOptions): Promise<DnsServer> => {
  let zone: Zone = { services: new Map(), slices: new Map(), domain: options.domain };

  const foreign = async (message: Buffer, query: DecodedPacket): Promise<Buffer> => {
    for (const upstream of options.upstreams) {
      const answer = await forward(message, upstream);
      if (answer) return answer;
    }
    return encode(reply(query, SERVFAIL));
  };

  const answer = async (message: Buffer): Promise<Buffer | undefined> => {
    let query: DecodedPacket;
    try {
      query = decode(message);
    } catch {
      return undefined;
    }
    const question = query.questions?.[0];
    if (query.type !== 'query' || !question) return undefined;
    const result = lookup(zone, question);
    switch (result.type) {
      case 'answers':
        return encode(reply(query, 0, { answers: result.answers, additionals: result.additionals }));
      case 'empty':
        return encode(reply(query, 0));
      case 'missing':
        return encode(reply(query, NXDOMAIN));
      case 'foreign':
        return foreign(message, query);
    }
  };

  const udp = createSocket(options.ip.includes(':') ? 'udp6' : 'udp4');
  udp.on('message', async (message, from) => {
    const response = await answer(message).catch(() => undefined);
    if (!response) return;
    const fits = response.length <= UDP_BYTES_MAX;
    const short = fits ? response : encode({ ...reply(decode(message), 0), flags: AUTHORITATIVE | TRUNCATED });
    udp.send(short, from.port, from.address, () => {});
  });

  const serve = (socket: Socket): void => {
    let pending: Buffer = Buffer.alloc(0);
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('data', async (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      if (pending.length > MESSAGE_BYTES_MAX + 2) return socket.destroy();
      while (pending.length >= 2 && pending.length >= pending.readUInt16BE(0) + 2) {
        const size = pending.readUInt16BE(0);
        const message = pending.subarray(2, size + 2);
        pending = pending.subarray(size + 2);
        const response = await answer(Buffer.from(message)).catch(() => undefined);
        if (!response || socket.destroyed) return socket.destroy();
        const head = Buffer.alloc(2);
        head.writeUInt16BE(response.length);
        socket.write(Buffer.concat([head, response]));
      }
    });
  };
  const tcp = createServer(serve);
  const port = await new Promise<number>((resolve, reject) => {
    tcp.on('error', reject);
    tcp.listen(options.port, options.ip, () => resolve((tcp.address() as { port: number }).port));
  });
  await new Promise<void>((resolve, reject) => {
    udp.on('error', reject);
    udp.bind(port, options.ip, () => resolve());
  });

  return {
    port,
    update: (services, slices) => {
      const byKey = new Map<string, Service>();
      for (const s of services) byKey.set(`${s.metadata.namespace}/${s.metadata.name}`, s);
      zone = { services: byKey, slices: slicesByService(slices), domain: options.domain };
    },
    close: async () => {
      await new Promise<void>((resolve) => udp.close(() => resolve()));
      await new Promise<void>((resolve) => tcp.close(() => resolve()));
    },
  };
};
