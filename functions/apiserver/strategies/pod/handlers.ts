// Probes and lifecycle hooks.
import type { Container, Lifecycle, LifecycleHandler, PodOS, Probe } from '../../../machinery/kinds.d.ts';
import { cause } from '../../../machinery/status.ts';
import { type Causes, checkPortOrName, invalidEach, nonNegative, oneOf, required } from '../checks.ts';
import { httpHeader } from '../names.ts';

type Handler = LifecycleHandler & Pick<Probe, 'grpc'>;
const HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const;

const checkOne = (out: Causes, path: string, handler: Handler, name: string, grace: number | undefined): void => {
  const { exec, httpGet, tcpSocket, grpc, sleep } = handler;
  if (name === 'exec' && !exec?.command?.length) out.push(cause.required(`${path}.command`));
  if (name === 'httpGet' && httpGet) {
    required(out, `${path}.path`, httpGet.path);
    checkPortOrName(out, `${path}.port`, httpGet.port);
    oneOf(out, `${path}.scheme`, httpGet.scheme, ['HTTP', 'HTTPS']);
    for (const header of httpGet.httpHeaders ?? []) {
      invalidEach(out, `${path}.httpHeaders`, header.name, httpHeader(header.name ?? ''));
    }
  }
  if (name === 'tcpSocket' && tcpSocket) checkPortOrName(out, `${path}.port`, tcpSocket.port);
  if (name === 'grpc' && grpc) checkPortOrName(out, `${path}.port`, grpc.port);
  if (name === 'sleep' && sleep && grace !== undefined && ((sleep.seconds ?? 0) < 0 || (sleep.seconds ?? 0) > grace)) {
    const detail = `must be non-negative and less than terminationGracePeriodSeconds (${grace})`;
    out.push(cause.invalid(path, sleep.seconds ?? 0, detail));
  }
};

const checkHandler = (out: Causes, path: string, handler: Handler, grace: number | undefined): void => {
  let count = 0;
  for (const name of HANDLERS) {
    if (handler[name] === undefined) continue;
    if (count > 0) out.push(cause.forbidden(`${path}.${name}`, 'may not specify more than 1 handler type'));
    else checkOne(out, `${path}.${name}`, handler, name, grace);
    count++;
  }
  if (count === 0) out.push(cause.required(path, 'must specify a handler type'));
};

const checkProbe = (out: Causes, path: string, probe: Probe, grace: number | undefined): void => {
  // A probe has no sleep handler; what stands in that field was pruned.
  checkHandler(out, path, probe, grace);
  nonNegative(out, `${path}.initialDelaySeconds`, probe.initialDelaySeconds);
  nonNegative(out, `${path}.timeoutSeconds`, probe.timeoutSeconds);
  nonNegative(out, `${path}.periodSeconds`, probe.periodSeconds);
  nonNegative(out, `${path}.successThreshold`, probe.successThreshold);
  nonNegative(out, `${path}.failureThreshold`, probe.failureThreshold);
  const own = probe.terminationGracePeriodSeconds;
  if (own !== undefined && own <= 0) {
    out.push(cause.invalid(`${path}.terminationGracePeriodSeconds`, own, 'must be greater than 0'));
  }
};

const mustBeOne = (out: Causes, path: string, probe: Probe): void => {
  if (probe.successThreshold === 1) return;
  out.push(cause.invalid(`${path}.successThreshold`, probe.successThreshold ?? 0, 'must be 1'));
};

/** The three probes of a container. */
export const checkProbes = (out: Causes, path: string, c: Container, grace: number | undefined): void => {
  if (c.livenessProbe) {
    checkProbe(out, `${path}.livenessProbe`, c.livenessProbe, grace);
    mustBeOne(out, `${path}.livenessProbe`, c.livenessProbe);
  }
  if (c.readinessProbe) {
    checkProbe(out, `${path}.readinessProbe`, c.readinessProbe, grace);
    const own = c.readinessProbe.terminationGracePeriodSeconds;
    const where = `${path}.readinessProbe.terminationGracePeriodSeconds`;
    if (own !== undefined) out.push(cause.invalid(where, own, 'must not be set for readinessProbes'));
  }
  if (c.startupProbe) {
    checkProbe(out, `${path}.startupProbe`, c.startupProbe, grace);
    mustBeOne(out, `${path}.startupProbe`, c.startupProbe);
  }
};

const LINUX_SIGNAL =
  /^SIG(ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS|TERM|TRAP|TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ|RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?)$/;

const checkStopSignal = (out: Causes, path: string, signal: string, os: PodOS | undefined): void => {
  if (!os) out.push(cause.forbidden(path, 'may not be set for containers with empty `spec.os.name`'));
  else if (os.name === 'windows') oneOf(out, path, signal, ['SIGKILL', 'SIGTERM']);
  else if (os.name === 'linux' && !LINUX_SIGNAL.test(signal)) out.push(cause.notSupported(path, signal, []));
};

/** postStart, preStop and stopSignal. */
export const checkLifecycle = (
  out: Causes,
  path: string,
  lifecycle: Lifecycle,
  grace: number | undefined,
  os: PodOS | undefined,
): void => {
  if (lifecycle.postStart) checkHandler(out, `${path}.postStart`, lifecycle.postStart as Handler, grace);
  if (lifecycle.preStop) checkHandler(out, `${path}.preStop`, lifecycle.preStop as Handler, grace);
  if (lifecycle.stopSignal !== undefined) checkStopSignal(out, `${path}.stopSignal`, lifecycle.stopSignal, os);
};
