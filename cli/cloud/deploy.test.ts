import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writeState } from '../directory.ts';
import { run as up } from '../up.ts';
import { run as deploy } from './deploy.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'skiff-shared-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('a directory belongs to an embedded cluster or to a deployment, not to both', async () => {
  writeState(directory, { port: 1, nodes: 0, runtime: 'hollow' });
  await expect(deploy(['--data', directory, '--endpoint', 'http://127.0.0.1:1'])).rejects.toThrow('embedded cluster');
  rmSync(join(directory, 'skiff.json'));
  writeFileSync(join(directory, 'deployment.json'), '{}');
  await expect(up(['--data', directory, '--nodes', '0'])).rejects.toThrow('belongs to a deployment');
});
