/**
 * /api/about: what the dashboard must know to say how a worker is started. It names the file of the
 * workers' token, and never the token.
 */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { newRouter, problems } from './control-context.ts'

export interface About {
  readonly version: string
  /** How this program is called on a command line: bin/logpipe in a checkout. */
  readonly program: string
  /** Where the workers' token is kept; null: the operator set WORKER_TOKEN. */
  readonly workerTokenFile: string | null
  /** Whether workers on this machine need it too. */
  readonly workerTokenBinds: boolean
}

export function aboutRoutes(about: About): OpenAPIHono {
  const router = newRouter()
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/about',
      tags: ['session'],
      summary: 'The version, and what a worker needs to be started.',
      responses: {
        200: {
          description: 'So it is.',
          content: {
            'application/json': {
              schema: z.object({
                version: z.string(),
                program: z.string(),
                worker_token_file: z.string().nullable(),
                worker_token_binds: z.boolean(),
              }),
            },
          },
        },
        ...problems(),
      },
    }),
    (c) =>
      c.json(
        {
          version: about.version,
          program: about.program,
          worker_token_file: about.workerTokenFile,
          worker_token_binds: about.workerTokenBinds,
        },
        200,
      ),
  )
  return router
}
