// Builds the clients before the tests that use them: what is not built within CLIENTS_BUILD_SECONDS together is skipped.
import type { TestProject } from 'vitest/node';
import { build, type Tool, type ToolName, toolNames } from './tools.ts';

declare module 'vitest' {
  interface ProvidedContext {
    clientTools: Record<ToolName, Tool>;
  }
}

const BUILD_SECONDS = 270;

export const setup = async (project: TestProject): Promise<void> => {
  const until = Date.now() + Number(process.env.CLIENTS_BUILD_SECONDS ?? BUILD_SECONDS) * 1000;
  const tools: Partial<Record<ToolName, Tool>> = {};
  for (const name of toolNames) {
    const began = Date.now();
    const tool = await build(name, Math.max(0, until - began));
    tools[name] = tool;
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    console.log(`${name}: ${'path' in tool ? `built or kept in ${seconds} s` : tool.missing}`);
  }
  project.provide('clientTools', tools as Record<ToolName, Tool>);
};
