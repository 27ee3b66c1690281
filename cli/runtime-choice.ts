import { existsSync } from 'node:fs';
import { CommandError } from './command.ts';

export type RuntimeChoice = 'auto' | 'nerdctl' | 'cri' | 'hollow';
export type RuntimeName = Exclude<RuntimeChoice, 'auto'>;

const has = (program: string): boolean =>
  [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'].some((folder) => existsSync(`${folder}/${program}`));

/**
 * What runs the containers: nerdctl when it is on the PATH, else the CRI of containerd. containerd is installed on the
 * way where it is missing; a choice by name that cannot be is one clear line.
 */
export const runtimeFor = async (choice: RuntimeChoice): Promise<RuntimeName> => {
  if (choice === 'auto') return has('nerdctl') ? 'nerdctl' : 'cri';
  if (choice === 'nerdctl' && !has('nerdctl')) {
    throw new CommandError('nerdctl is not on the PATH: install its release, or take --runtime cri');
  }
  return choice;
};
