import { describe } from 'vitest';
import type { Tool } from './tools.ts';

/** `describe` with a tool; skipped with the reason where it could not be had in time. */
export const describeTool = (tool: Tool, name: string, body: (path: string) => void): void => {
  if ('path' in tool) {
    describe(name, () => body(tool.path));
    return;
  }
  console.log(`skipped: ${name}: ${tool.missing}`);
  describe.skip(`${name} (skipped: ${tool.missing})`, () => body(''));
};
