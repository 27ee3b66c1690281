import type { LifecycleHandler, Pod, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import { httpTarget, portNumber, probeHttp, probeTcp } from './dial.ts';
import { currentSandbox } from './observed.ts';
import type { NodeTools } from './operations.ts';

/** Runs a postStart or preStop handler to its end or `limitMs`; the failure's text, or undefined when it went well. */
export const runHandler = async (
  tools: Pick<NodeTools, 'runtime' | 'clock' | 'cache' | 'hostIPs'>,
  pod: Pod,
  container: SpecContainer,
  containerId: string,
  handler: LifecycleHandler,
  limitMs: number,
): Promise<string | undefined> => {
  const ips = pod.spec?.hostNetwork
    ? tools.hostIPs()
    : (currentSandbox(tools.cache.of(pod.metadata.uid ?? ''))?.ips ?? []);
  const ip = ips[0] ?? pod.status?.podIP ?? '127.0.0.1';
  try {
    if (handler.exec) {
      const result = await tools.runtime.execSync(containerId, handler.exec.command ?? [], limitMs);
      if (result.timedOut) return `command timed out after ${limitMs} ms`;
      if (result.exitCode === 0) return undefined;
      const output = Buffer.concat([result.stdout, result.stderr]).toString('utf8').trim();
      return `command exited with ${result.exitCode}: ${output}`;
    }
    if (handler.sleep) {
      await tools.clock.sleep(Math.min(handler.sleep.seconds * 1000, limitMs));
      return undefined;
    }
    if (handler.httpGet) {
      const result = await probeHttp(httpTarget(handler.httpGet, container, ip), Math.min(limitMs, 30_000));
      return result.ok ? undefined : result.message;
    }
    if (handler.tcpSocket) {
      const port = portNumber(handler.tcpSocket.port, container);
      const result = await probeTcp(handler.tcpSocket.host ?? ip, port, Math.min(limitMs, 30_000));
      return result.ok ? undefined : result.message;
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};
