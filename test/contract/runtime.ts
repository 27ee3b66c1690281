import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RuntimeEvent } from '../../agent/runtime/runtime.ts';
import { type Bench, benchOf, SERVE, type Skips, until, WAIT_MS } from './runtime-bench.ts';
import { BUSYBOX_IMAGE, type RuntimePlace } from './runtime-place.ts';
import { processCases } from './runtime-processes.ts';
import { streamCases } from './runtime-streams.ts';

const lifeCases = (bench: () => Bench, skips: Skips): void => {
  it('starts a sandbox with an address, and lists it as it was told', async () => {
    const { runtime, sandbox } = bench();
    const { spec, ...started } = await sandbox({ attempt: 3 });
    expect(started).toMatchObject({ name: spec.name, uid: spec.uid, namespace: 'default', attempt: 3, ready: true });
    expect(started.ips).toHaveLength(1);
    const listed = (await runtime.sandboxes()).find((s) => s.id === started.id);
    expect(listed).toMatchObject({ name: spec.name, uid: spec.uid, attempt: 3, ready: true, ips: started.ips });
    expect(listed?.labels).toMatchObject(spec.labels);
    expect(Math.abs(Date.now() - (listed?.createdAt ?? 0))).toBeLessThan(60_000);
  });

  it('gives no address to a pod of the host network', async () => {
    const { sandbox, start } = bench();
    const host = await sandbox({ hostNetwork: true });
    expect(host.ips).toEqual([]);
    expect((await start(host, SERVE)).state).toBe('running');
  });

  it('starts a container and lists it as it was told', async () => {
    const { runtime, sandbox, start } = bench();
    const pod = await sandbox();
    const started = await start(pod, SERVE, { attempt: 2 });
    expect(started).toMatchObject({ name: 'main', attempt: 2, state: 'running' });
    const listed = (await runtime.sandboxes()).find((s) => s.id === pod.id)?.containers;
    expect(listed).toMatchObject([{ id: started.id, name: 'main', attempt: 2, state: 'running' }]);
    expect(listed?.[0]?.labels).toMatchObject({ 'io.kubernetes.container.name': 'main' });
    expect(listed?.[0]?.exitCode).toBeUndefined();
    expect(Math.abs(Date.now() - (listed?.[0]?.startedAt ?? 0))).toBeLessThan(60_000);
  });

  it('stops containers and sandboxes, more than once, and forgets what is removed', async () => {
    const { runtime, sandbox, start, ended } = bench();
    const pod = await sandbox();
    const one = await start(pod, SERVE);
    const two = await start(pod, SERVE, { name: 'other' });
    await runtime.stopContainer(one.id, 5_000);
    await runtime.stopContainer(one.id, 5_000);
    expect((await ended(one.id)).finishedAt).toBeGreaterThan(0);
    await runtime.removeContainer(one.id);
    await runtime.removeContainer(one.id);
    await runtime.stopSandbox(pod.id);
    await runtime.stopSandbox(pod.id);
    const stopped = (await runtime.sandboxes()).find((s) => s.id === pod.id);
    expect(stopped).toMatchObject({ ready: false, ips: [] });
    expect(stopped?.containers).toMatchObject([{ id: two.id, state: 'exited' }]);
    await runtime.removeSandbox(pod.id);
    await runtime.removeSandbox(pod.id);
    expect((await runtime.sandboxes()).find((s) => s.id === pod.id)).toBeUndefined();
  });

  it('tells of starts and ends', async () => {
    const { runtime, sandbox, start } = bench();
    const pod = await sandbox();
    const end = new AbortController();
    const seen: RuntimeEvent[] = [];
    const reading = (async () => {
      for await (const event of runtime.events(end.signal)) seen.push(event);
    })().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 500));
    const one = await start(pod, SERVE);
    await runtime.stopContainer(one.id, 5_000);
    await until(async () => seen.some((e) => e.type === 'exited' && e.containerId === one.id));
    expect(seen.filter((e) => e.containerId === one.id).map((e) => e.type)).toEqual(['started', 'exited']);
    end.abort();
    await reading;
  });

  it.skipIf(skips.restart)('sees everything again when it is opened again', async () => {
    const { sandbox, start, reopen, ended } = bench();
    const pod = await sandbox();
    const stays = await start(pod, SERVE);
    const fails = await start(pod, 'exit 3', { name: 'fails' });
    const before = await ended(fails.id);
    await reopen();
    const again = (await bench().runtime.sandboxes()).find((s) => s.id === pod.id);
    expect(again).toMatchObject({ name: pod.name, uid: pod.uid, ready: true, ips: pod.ips });
    expect(again?.containers.find((c) => c.id === stays.id)?.state).toBe('running');
    expect(again?.containers.find((c) => c.id === fails.id)).toEqual(before);
    const later = await start(pod, 'exit 0', { name: 'later' });
    expect((await ended(later.id)).exitCode).toBe(0);
  });
};

const imageCases = (bench: () => Bench, skips: Skips): void => {
  it('lists, finds and removes images', async () => {
    const { runtime, place } = bench();
    const found = await runtime.images.has(BUSYBOX_IMAGE);
    expect(found?.id).toMatch(/^sha256:/);
    expect(found?.names).toContain(BUSYBOX_IMAGE);
    expect(found?.sizeBytes).toBeGreaterThan(100_000);
    expect((await runtime.images.list()).map((i) => i.id)).toContain(found?.id);
    await runtime.images.remove(BUSYBOX_IMAGE);
    expect(await runtime.images.has(BUSYBOX_IMAGE)).toBeUndefined();
    await runtime.images.remove(BUSYBOX_IMAGE);
    expect(await runtime.images.load(createReadStream(place.archive ?? ''))).toEqual([BUSYBOX_IMAGE]);
    expect((await runtime.images.has(BUSYBOX_IMAGE))?.id).toBe(found?.id);
  });

  it.skipIf(skips.imageMounts)('mounts the files of an image, read-only and once, and lets them go', async () => {
    const { runtime, place } = bench();
    const target = join(place.directory, 'image-volume');
    mkdirSync(target, { recursive: true });
    const { mount, unmount } = runtime.images;
    await mount?.(BUSYBOX_IMAGE, target);
    await mount?.(BUSYBOX_IMAGE, target);
    expect(readdirSync(target)).toContain('bin');
    expect(() => writeFileSync(join(target, 'x'), '')).toThrow('EROFS');
    expect(() => execFileSync(join(target, 'bin/busybox'))).toThrow('EACCES');
    await expect(mount?.('skiff.local/nosuch:1', `${target}-2`)).rejects.toMatchObject({ reason: 'ErrImageMount' });
    await unmount?.(target);
    await unmount?.(target);
    expect(readdirSync(target)).toEqual([]);
    await mount?.(BUSYBOX_IMAGE, target);
    expect(readdirSync(target)).toContain('bin');
    await unmount?.(target);
  });

  it('says why an image cannot be pulled', async () => {
    // A port of this machine that nothing listens on: no registry is asked.
    await expect(bench().runtime.images.pull('127.0.0.1:9/nosuch:1')).rejects.toMatchObject({ reason: 'ErrImagePull' });
  });
};

/**
 * What every Runtime must do. `make` gives a place for one file of tests; `skips` names what this adapter cannot do, with
 * the reason.
 */
export const runtimeContract = (name: string, make: () => Promise<RuntimePlace>, skips: Skips = {}): void => {
  describe(`runtime contract: ${name}`, { timeout: 60_000 }, () => {
    let place: RuntimePlace;
    let opened: Bench;
    const bench = (): Bench => opened;
    beforeAll(async () => {
      place = await make();
      opened = benchOf(place, await place.open());
      if (place.archive) await opened.runtime.images.load(createReadStream(place.archive));
    });
    afterEach(async () => {
      const { runtime } = opened;
      for (const sandbox of await runtime.sandboxes()) {
        await runtime.stopSandbox(sandbox.id);
        await runtime.removeSandbox(sandbox.id);
      }
    });
    afterAll(async () => {
      await opened?.runtime.close();
      await place?.remove();
    });
    lifeCases(bench, skips);
    describe.skipIf(skips.processes)('processes', () => {
      processCases(bench, skips);
      streamCases(bench, skips);
      imageCases(bench, skips);
      it('leaves nothing of a pod that is removed', async () => {
        const { runtime, sandbox, start } = bench();
        const pod = await sandbox();
        await start(pod, SERVE);
        await expect(start(pod, '', { name: 'bad', command: ['nosuch'] })).rejects.toThrow();
        expect(place.leftovers()).not.toEqual([]);
        await runtime.stopSandbox(pod.id);
        await runtime.removeSandbox(pod.id);
        const left = () => place.leftovers().filter((one) => !one.startsWith('cgroup'));
        await vi.waitFor(() => expect(left()).toEqual([]), { timeout: WAIT_MS, interval: 100 });
      });
    });
  });
};
