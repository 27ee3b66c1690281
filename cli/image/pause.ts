import type { ImageSpec } from './build.ts';

export const PAUSE_IMAGE = 'skiff.local/pause:1';

const PROGRAMS: Record<string, { machine: number; code: number[] }> = {
  // mov eax, 34 (pause); syscall; jmp back
  x64: { machine: 62, code: [0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7] },
  // mov x0..x3, 0; mov x8, 73 (ppoll); svc 0; b back
  arm64: {
    machine: 183,
    code: [
      0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x80, 0xd2, 0x02, 0x00, 0x80, 0xd2, 0x03, 0x00, 0x80, 0xd2, 0x28, 0x09, 0x80,
      0xd2, 0x01, 0x00, 0x00, 0xd4, 0xfa, 0xff, 0xff, 0x17,
    ],
  },
};
const BASE = 0x400000n;
const HEADERS = 64 + 56;

/** A static ELF executable that does nothing but wait: what holds a pod's namespaces. */
const pauseProgram = (arch: string): Buffer => {
  const program = PROGRAMS[arch];
  if (!program) throw new Error(`no pause program for ${arch}`);
  const size = HEADERS + program.code.length;
  const elf = Buffer.alloc(size);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]);
  elf.writeUInt16LE(2, 16);
  elf.writeUInt16LE(program.machine, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(BASE + BigInt(HEADERS), 24);
  elf.writeBigUInt64LE(64n, 32);
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(1, 64);
  elf.writeUInt32LE(5, 68);
  elf.writeBigUInt64LE(BASE, 80);
  elf.writeBigUInt64LE(BASE, 88);
  elf.writeBigUInt64LE(BigInt(size), 96);
  elf.writeBigUInt64LE(BigInt(size), 104);
  elf.writeBigUInt64LE(0x1000n, 112);
  elf.set(program.code, HEADERS);
  return elf;
};

/** The sandbox image, made here, because a machine without a registry needs one too. */
export const pauseImage = (): ImageSpec => ({
  name: PAUSE_IMAGE,
  files: [{ path: '/pause', source: pauseProgram(process.arch), mode: 0o755 }],
  entrypoint: ['/pause'],
});
