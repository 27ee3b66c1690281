import { expect, it } from 'vitest';
import { createTestServer } from '../custom/server-for-tests.ts';
import { agentOf } from './agents.ts';
import { callWebhook } from './client.ts';
import { startHttps } from './https-for-tests.ts';

it('however many destinations other clusters have, an answer that is awaited comes', async () => {
  const { app } = await createTestServer();
  let arrived = (): void => {};
  let answer = (): void => {};
  const asked = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const hook = await startHttps((_request, response) => {
    answer = () => response.end('{"answered":true}');
    arrived();
  });
  const waiting = callWebhook(app.server, 'default', { url: hook.url, caBundle: hook.caBundle }, {}, 5000);
  const outcome = waiting.catch((error: Error) => error.message);
  await asked;
  for (let i = 0; i < 200; i++) agentOf(app.server, { cluster: `other-${i}` });
  answer();
  expect(await outcome).toEqual({ answered: true });
  await hook.close();
});
