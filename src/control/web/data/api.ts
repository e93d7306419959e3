/**
 * Calls of the API, same origin, with the session's cookie. Whatever goes wrong is an ApiError.
 *
 * Bound: a call that is not answered in REQUEST_MS counts as unreachable.
 */
import type { FieldFault, ProblemBody } from './api-types.ts'

const REQUEST_MS = 10_000

/** Status 0: no answer came, or none that is ours. */
export class ApiError extends Error {
  readonly status: number
  readonly faults: readonly FieldFault[]

  constructor(status: number, detail: string, faults: ApiError['faults'] = []) {
    super(detail)
    this.name = 'ApiError'
    this.status = status
    this.faults = faults
  }
}

export interface Answer<T> {
  readonly body: T
  readonly etag: string | null
}

interface CallOptions {
  readonly body?: unknown
  readonly ifMatch?: string | null
  readonly signal?: AbortSignal
}

export async function request<T>(
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Answer<T>> {
  const answer = await send(method, path, options)
  const text = await answer.text()
  if (!answer.ok) throw problemOf(answer.status, text)
  return {
    // The shapes are the API's; test/control/web/data/api-types.test.ts compares them.
    body: (text === '' ? undefined : JSON.parse(text)) as T,
    etag: answer.headers.get('etag'),
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const { body } = await request<T>('GET', path, signal === undefined ? {} : { signal })
  return body
}

export async function post<T>(path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const answer = await request<T>('POST', path, {
    ...(body === undefined ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
  })
  return answer.body
}

async function send(
  method: string,
  path: string,
  { body, ifMatch, signal }: CallOptions,
): Promise<Response> {
  const timeout = AbortSignal.timeout(REQUEST_MS)
  try {
    return await fetch(path, {
      method,
      credentials: 'same-origin',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(ifMatch === undefined || ifMatch === null ? {} : { 'if-match': ifMatch }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch (error) {
    if (signal?.aborted === true) throw error
    throw new ApiError(0, 'The control plane does not answer.')
  }
}

function problemOf(status: number, text: string): ApiError {
  try {
    const problem = JSON.parse(text) as ProblemBody
    return new ApiError(status, problem.detail, problem.errors ?? [])
  } catch {
    // A proxy's own page, say.
    return new ApiError(status, `Got status ${status}, but not from the control plane.`)
  }
}

/** What to tell a person about anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
