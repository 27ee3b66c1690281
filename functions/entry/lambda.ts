import { Hono } from 'hono';
import { handle, streamHandle } from 'hono/aws-lambda';
import type { ApiServer } from '../apiserver/app.ts';

/**
 * The API server behind AWS Lambda, by hono's adapters: one app, two forms of answer. `buffered` is for API Gateway and
 * for function URLs without streaming, where a watch ends after its timeoutSeconds and is read as a long poll. `streaming`
 * needs a function URL with RESPONSE_STREAM and Lambda's own `awslambda` global.
 */
export const createLambdaHandlers = (api: Pick<ApiServer, 'fetch'>) => {
  const app = new Hono();
  app.all('*', (context) => api.fetch(context.req.raw));
  return {
    fetch: app.fetch,
    buffered: handle(app),
    /** Made on first use: `awslambda` exists only inside Lambda. */
    streaming: () => streamHandle(app),
  };
};
