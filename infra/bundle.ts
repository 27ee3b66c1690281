import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');
/** Where the functions' code is made: a folder per function, with `index.mjs` and what that imports. */
export const BUNDLES = join(ROOT, 'node_modules/.cache/skiff/functions');

export const FUNCTIONS = ['apiserver', 'dispatcher', 'worker', 'timers'] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** Packages are CommonJS in part, and ask for `require`. */
const REQUIRE = "import{createRequire as skiffRequire}from'node:module';const require=skiffRequire(import.meta.url);";

/** In one file, or with what is loaded later in files of its own beside it; returns their bytes. */
const bundle = async (entry: string, name: string, target: string, splitting: boolean): Promise<number> => {
  const outdir = join(BUNDLES, name);
  rmSync(outdir, { recursive: true, force: true });
  const { metafile } = await build({
    entryPoints: { index: join(ROOT, 'functions/entry/cloud', entry) },
    outdir,
    outExtension: { '.js': '.mjs' },
    splitting,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target,
    minify: true,
    banner: { js: REQUIRE },
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
  });
  const nameless = Object.values(metafile.outputs).filter(
    ({ entryPoint, exports }) => entryPoint?.startsWith('node_modules/') && exports.join() === 'default',
  );
  // Of a CommonJS package in a file of its own, `await import()` gives no names: a module of ours has to name them.
  if (nameless.length) throw new Error(`imported later without names: ${nameless.map((one) => one.entryPoint).join()}`);
  return readdirSync(outdir).reduce((sum, file) => sum + statSync(join(outdir, file)).size, 0);
};

/** Bundles the gateway for the Node.js that Amazon Linux has, as one file; returns its size in bytes. */
export const bundleGateway = (): Promise<number> => bundle('gateway-service.ts', 'gateway', 'node22', false);

/**
 * Bundles each function with all it needs, the AWS SDK too; returns their sizes in bytes. What a function imports only when
 * it is asked for is not read when it starts: a cold import is a fifth shorter.
 */
export const bundleFunctions = async (): Promise<Record<FunctionName, number>> => {
  rmSync(BUNDLES, { recursive: true, force: true });
  const sizes = {} as Record<FunctionName, number>;
  for (const name of FUNCTIONS) sizes[name] = await bundle(`${name}-function.ts`, name, 'node24', true);
  return sizes;
};
