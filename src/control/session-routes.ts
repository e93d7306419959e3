/**
 * /api/session: how a browser signs in. The token is exchanged once for a cookie that no script can
 * read and no other site can use.
 */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { sessionSchema } from '../core/control-api.ts'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { isOwnersCall, SESSION_COOKIE, type AccessRules } from './access.ts'
import { newRouter, problems } from './control-context.ts'
import { Problem } from './problem.ts'
import { isOneOf, SESSION_MS, type FailedTokens, type Sessions } from './tokens.ts'

export function sessionRoutes(
  rules: AccessRules,
  sessions: Sessions,
  failures: FailedTokens,
  secure: boolean,
): OpenAPIHono {
  const router = newRouter()
  addState(router, rules, sessions)
  addSignIn(router, rules, sessions, failures, secure)
  return router
}

const base = { path: '/api/session' as const, tags: ['session'] }

function addState(router: OpenAPIHono, rules: AccessRules, sessions: Sessions): void {
  router.openapi(
    createRoute({
      ...base,
      method: 'get',
      summary: 'Says whether this browser may use the API, and whether it needs a token.',
      responses: {
        200: {
          description: 'Whether it may, and whether it needs a token.',
          content: {
            'application/json': {
              schema: sessionSchema,
            },
          },
        },
      },
    }),
    async (c) => {
      const token_needed = !(await isOwnersCall(c, rules, 'control'))
      const id = getCookie(c, SESSION_COOKIE)
      const signed_in =
        !token_needed || (id !== undefined && sessions.isOpen(id, rules.controlTokens))
      return c.json({ signed_in, token_needed }, 200)
    },
  )
}

function addSignIn(
  router: OpenAPIHono,
  rules: AccessRules,
  sessions: Sessions,
  failures: FailedTokens,
  secure: boolean,
): void {
  router.openapi(
    createRoute({
      ...base,
      method: 'post',
      summary: 'Signs a browser in: takes the token, sets a cookie.',
      request: {
        body: {
          required: true,
          content: { 'application/json': { schema: z.object({ token: z.string().max(4096) }) } },
        },
      },
      responses: { 204: { description: 'Signed in.' }, ...problems(413) },
    }),
    (c) => {
      const { token } = c.req.valid('json')
      if (!isOneOf(token, rules.controlTokens)) {
        const { address } = rules.peerOf(c)
        throw failures.refuse(address, () => new Problem(401, 'The token is wrong.'))
      }
      setCookie(c, SESSION_COOKIE, sessions.open(token), {
        httpOnly: true,
        sameSite: 'Strict',
        secure,
        path: '/',
        maxAge: SESSION_MS / 1000,
      })
      return c.body(null, 204)
    },
  )
  router.openapi(
    createRoute({
      ...base,
      method: 'delete',
      summary: 'Signs out.',
      responses: { 204: { description: 'Signed out.' }, ...problems() },
    }),
    (c) => {
      const id = getCookie(c, SESSION_COOKIE)
      if (id !== undefined) sessions.close(id)
      deleteCookie(c, SESSION_COOKIE, { path: '/', secure })
      return c.body(null, 204)
    },
  )
}
