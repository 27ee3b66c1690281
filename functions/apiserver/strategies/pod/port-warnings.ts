import type { ContainerPort, PodSpec } from '../../../machinery/kinds.d.ts';
import { at } from '../checks.ts';
import { eachContainer } from './security.ts';

interface Placed {
  where: string;
  port: ContainerPort;
}

/** How two definitions of one port and protocol get into each other's way; undefined where they do not. */
const clash = (a: ContainerPort, b: ContainerPort): string | undefined => {
  const [ip, other] = [a.hostIP ?? '', b.hostIP ?? ''];
  const [host, otherHost] = [a.hostPort ?? 0, b.hostPort ?? 0];
  if (ip === other && host === otherHost) return 'duplicate';
  if (host === 0 || otherHost === 0) return 'overlapping';
  return host === otherHost && (ip === '') !== (other === '') ? 'dangerously ambiguous' : undefined;
};

/** Ports of all containers of a pod that are given twice, or a host address without a host port. */
export const portWarnings = (spec: PodSpec, path: string): string[] => {
  const out: string[] = [];
  const byNumber = new Map<string, Placed[]>();
  const names = new Map<string, string>();
  eachContainer(spec, path, (container, owner) => {
    container.ports?.forEach((port, i) => {
      const where = at(`${owner}.ports`, i);
      if (port.hostIP && !port.hostPort) out.push(`${where}: hostIP set without hostPort`);
      const number = `${port.containerPort}/${port.protocol}`;
      const others = byNumber.get(number) ?? [];
      for (const other of others) {
        const how = clash(port, other.port);
        if (how) out.push(`${where}: ${how} port definition with ${other.where}`);
      }
      byNumber.set(number, [...others, { where, port }]);
    });
  });
  eachContainer(spec, path, (container, owner) => {
    container.ports?.forEach((port, i) => {
      if (!port.name) return;
      const where = at(`${owner}.ports`, i);
      const first = names.get(port.name);
      if (first) out.push(`${where}: duplicate port name "${port.name}" with ${first}`);
      else names.set(port.name, where);
    });
  });
  return out;
};
