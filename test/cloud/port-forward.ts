import { spawn } from 'node:child_process';
import { once } from 'node:events';

const READY_MS = 20_000;

/** Forwards a port with kubectl, asks for a path there, and ends; throws with what kubectl said where nothing is forwarded. */
export const forwarded = async (kubeconfig: string, args: string[], path: string): Promise<string> => {
  const child = spawn('kubectl', ['--kubeconfig', kubeconfig, 'port-forward', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'exit');
  let output = '';
  try {
    const port = await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing is forwarded: ${output}`)), READY_MS);
      const heard = (chunk: Buffer): void => {
        output += chunk.toString();
        const found = /Forwarding from 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
        if (!found) return;
        clearTimeout(timer);
        resolve(found);
      };
      child.stdout.on('data', heard);
      child.stderr.on('data', heard);
      child.on('exit', (code) => reject(new Error(`kubectl port-forward ended with ${code}: ${output}`)));
    });
    return await (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  } finally {
    child.kill('SIGTERM');
    await exit;
  }
};
