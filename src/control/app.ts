/**
 * The HTTP application: every route, behind the checks that come before all of them.
 *
 * No socket here: tests call `app.request`, and control.ts puts it on one.
 */
import type { OpenAPIHono } from '@hono/zod-openapi'
import { bodyLimit } from 'hono/body-limit'
import type { MiddlewareHandler } from 'hono'
import { newRouter, type ControlContext } from './control-context.ts'
import { pipelineRoutes } from './pipeline-routes.ts'
import { notFoundHandler, Problem, problemHandler } from './problem.ts'
import { workerRoutes } from './worker-routes.ts'

/** A heartbeat with a full tail; a pipeline is far below. */
const BODY_BYTES_MAX = 4 * 1024 * 1024

export function createApp(
  context: ControlContext,
  guards: readonly MiddlewareHandler[],
  report: (error: unknown) => void,
): OpenAPIHono {
  const app = newRouter()
  app.onError(problemHandler(report))
  app.notFound(notFoundHandler)
  for (const guard of guards) app.use('*', guard)
  app.use('*', onlyJson)
  app.use(
    '*',
    bodyLimit({
      maxSize: BODY_BYTES_MAX,
      onError: () => {
        throw new Problem(413, `Expected at most ${BODY_BYTES_MAX} bytes.`)
      },
    }),
  )
  app.route('/', pipelineRoutes(context))
  app.route('/', workerRoutes(context))
  return app
}

/** A form of another origin can send text/plain without asking; it cannot send JSON. */
const onlyJson: MiddlewareHandler = async (c, next) => {
  const hasBody = c.req.header('content-length') ?? c.req.header('transfer-encoding')
  const type = c.req.header('content-type')
  const isJson = type !== undefined && /^application\/json\s*(;|$)/i.test(type)
  const bodyMethod = c.req.method === 'POST' || c.req.method === 'PUT'
  if (bodyMethod && !isJson && (type !== undefined || (hasBody !== undefined && hasBody !== '0'))) {
    throw new Problem(415, 'Send the body with Content-Type: application/json.')
  }
  await next()
}
