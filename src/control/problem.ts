/**
 * What went wrong, as the API tells it: RFC 9457 problem+json, with one entry for each wrong field.
 *
 * Routes throw a Problem; one handler turns it into the answer. Anything else that is thrown is our
 * fault: it is logged in full and answered with nothing but a 500.
 */
import type { Context, ErrorHandler, NotFoundHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'

export interface FieldFault {
  /** With dots where it is nested: kafka_config.client.id. Empty: several together. */
  readonly field: string
  readonly detail: string
  /** Two lines: the part of the value that is wrong, and a caret below the column. */
  readonly place?: string
}

export type ProblemStatus =
  400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 415 | 422 | 429 | 500 | 503

const TITLES: Readonly<Record<ProblemStatus, string>> = {
  400: 'The request cannot be read',
  401: 'A token is required',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict with the current state',
  412: 'Changed by someone else',
  413: 'The body is too large',
  415: 'The body must be application/json',
  422: 'Some fields are wrong',
  429: 'Too many requests',
  500: 'Internal error of the control plane',
  503: 'Not ready',
}

/** Thrown by routes, answered as application/problem+json. */
export class Problem extends Error {
  readonly status: ProblemStatus
  readonly faults: readonly FieldFault[]
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: ProblemStatus,
    detail: string,
    more: {
      readonly faults?: readonly FieldFault[]
      readonly headers?: Readonly<Record<string, string>>
    } = {},
  ) {
    super(detail)
    this.name = 'Problem'
    this.status = status
    this.faults = more.faults ?? []
    this.headers = more.headers ?? {}
  }
}

/** @param report is told of what should not have happened. */
export function problemHandler(report: (error: unknown) => void): ErrorHandler {
  return (error, context) => {
    if (error instanceof Problem) return answer(context, error)
    // Hono's own: a body that is not JSON, a malformed request.
    if (error instanceof HTTPException && error.status < 500) {
      return answer(context, new Problem(400, error.message))
    }
    // Whoever sends a part of a body and leaves is no fault of ours, and could fill the log.
    const { code: network } = Object(error) as { readonly code?: unknown }
    if (network === 'ECONNRESET') return answer(context, new Problem(400, 'The body broke off.'))
    report(error)
    const code = databaseCode(error)
    if (code === undefined)
      return answer(context, new Problem(500, 'See the log of the control plane.'))
    const detail = `Nothing was changed: the database is not usable (${code}).`
    return answer(context, new Problem(503, detail, { headers: { 'retry-after': '10' } }))
  }
}

/** SQLITE_FULL for a full disk, SQLITE_READONLY ...: of the machine, and it may pass. */
function databaseCode(error: unknown): string | undefined {
  const { code } = Object(error) as { code?: unknown }
  const isOfTheMachine = /^SQLITE_(FULL|IOERR|READONLY|BUSY|LOCKED|CANTOPEN|NOMEM)/
  return typeof code === 'string' && isOfTheMachine.test(code) ? code : undefined
}

/**
 * Nothing at a path, or nothing with this method.
 * @param methodsOf the methods that a path has
 */
export function notFoundHandler(methodsOf: (path: string) => readonly string[]): NotFoundHandler {
  return (context) => {
    const { path, method } = context.req
    const methods = methodsOf(path)
    if (methods.length === 0)
      return answer(context, new Problem(404, `There is nothing at ${path}.`))
    const detail = `${path} takes ${methods.join(', ')}, not ${method}.`
    return answer(context, new Problem(405, detail, { headers: { allow: methods.join(', ') } }))
  }
}

function answer(context: Context, problem: Problem): Response {
  const body = {
    type: 'about:blank',
    title: TITLES[problem.status],
    status: problem.status,
    detail: problem.message,
    ...(problem.faults.length === 0
      ? {}
      : {
          errors: problem.faults.map(({ field, detail, place }) => ({
            field,
            // A JSON pointer: properties have dots in their names, so only the first parts.
            pointer: `#/${field.replace(/^kafka_config\./, 'kafka_config/')}`,
            detail,
            ...(place === undefined ? {} : { place }),
          })),
        }),
  }
  return context.body(JSON.stringify(body), problem.status, {
    'content-type': 'application/problem+json',
    ...problem.headers,
  })
}
