export type Engine = typeof import('./engine.ts');

let loaded: Engine | undefined;

/** Loads what runs policies, once; patterns need an engine of their own. */
export const loadEngine = async (): Promise<Engine> => {
  if (loaded) return loaded;
  const [engine, { loadRegex }] = await Promise.all([import('./engine.ts'), import('../../../machinery/regex.ts')]);
  await loadRegex();
  loaded = engine;
  return engine;
};
