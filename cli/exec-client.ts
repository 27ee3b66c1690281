import WebSocket from 'ws';

export interface ExecRequest {
  namespace: string;
  pod: string;
  container?: string;
  command: string[];
  stdin?: string;
}
export interface ExecOutput {
  stdout: string;
  stderr: string;
  exitCode: number;
}

const exitCodeOf = (status: {
  status?: string;
  message?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}): number => {
  if (status.status === 'Success') return 0;
  const code = status.details?.causes?.find((c) => c.reason === 'ExitCode')?.message;
  if (code === undefined) throw new Error(status.message ?? 'exec failed');
  return Number(code);
};

/**
 * Runs a command in a pod over WebSocket, as kubectl exec does (subprotocol v5.channel.k8s.io: the first byte of a
 * message is its channel). Source: KEP-4006.
 */
export const execInPod = (
  access: { server: string; caCert: string; token: string },
  request: ExecRequest,
): Promise<ExecOutput> =>
  new Promise((resolve, reject) => {
    const query = new URLSearchParams({ stdout: 'true', stderr: 'true', stdin: String(request.stdin !== undefined) });
    for (const word of request.command) query.append('command', word);
    if (request.container) query.set('container', request.container);
    const path = `/api/v1/namespaces/${request.namespace}/pods/${request.pod}/exec?${query}`;
    const socket = new WebSocket(`${access.server.replace(/^http/, 'ws')}${path}`, ['v5.channel.k8s.io'], {
      ca: access.caCert,
      headers: { authorization: `Bearer ${access.token}` },
    });
    const text: Record<number, string> = { 1: '', 2: '', 3: '' };
    socket.on('open', () => {
      if (request.stdin === undefined) return;
      socket.send(Buffer.concat([Buffer.of(0), Buffer.from(request.stdin)]));
      socket.send(Buffer.of(255, 0));
    });
    socket.on('message', (data) => {
      const bytes = Buffer.isBuffer(data) ? data : Buffer.from(data as ArrayBuffer);
      const channel = bytes[0] ?? 0;
      text[channel] = (text[channel] ?? '') + bytes.subarray(1).toString();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      try {
        resolve({ stdout: text[1] ?? '', stderr: text[2] ?? '', exitCode: exitCodeOf(JSON.parse(text[3] || '{}')) });
      } catch (error) {
        reject(error);
      }
    });
  });
