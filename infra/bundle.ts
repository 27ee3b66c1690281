import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');
/** Where the functions' code is made: a folder per function, with `index.mjs`. */
export const BUNDLES = join(ROOT, 'node_modules/.cache/skiff/functions');

export const FUNCTIONS = ['apiserver', 'dispatcher', 'worker', 'timers'] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** Packages are CommonJS in part, and ask for `require`. */
const REQUIRE = "import{createRequire as skiffRequire}from'node:module';const require=skiffRequire(import.meta.url);";

const bundle = async (entry: string, name: string, target: string): Promise<number> => {
  const outfile = join(BUNDLES, name, 'index.mjs');
  mkdirSync(join(BUNDLES, name), { recursive: true });
  await build({
    entryPoints: [join(ROOT, 'functions/entry/cloud', entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target,
    minify: true,
    banner: { js: REQUIRE },
    legalComments: 'none',
    logLevel: 'warning',
  });
  return statSync(outfile).size;
};

/** Bundles the gateway for the Node.js that Amazon Linux has; returns its size in bytes. */
export const bundleGateway = (): Promise<number> => bundle('gateway-service.ts', 'gateway', 'node22');

/** Bundles each function into one file with all it needs, the AWS SDK too; returns their sizes in bytes. */
export const bundleFunctions = async (): Promise<Record<FunctionName, number>> => {
  rmSync(BUNDLES, { recursive: true, force: true });
  const sizes = {} as Record<FunctionName, number>;
  for (const name of FUNCTIONS) sizes[name] = await bundle(`${name}-function.ts`, name, 'node24');
  return sizes;
};
