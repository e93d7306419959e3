/**
 * How a consumer signs in, over time: tokens are renewed before they end, passwords when they
 * change. librdkafka keeps its connections, and uses the new ones when it connects again.
 *
 * Used by the thread that owns the consumer. Bound: one small file, read once in READ_EVERY_MS.
 */
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import { LogpipeError } from '../core/errors.ts'
import { propertyOf } from '../options/kafka-properties.ts'
import { readSmallFile, type ReadText } from '../core/small-file.ts'

interface SignInOptions {
  readonly bridge: Pick<Bridge, 'consumerSetPassword' | 'consumerSetToken'>
  readonly consumer: BridgeId
  /** KAFKA_TOKEN_FILE; null: none. */
  readonly tokenFile: string | null
  /** ms since 1970. */
  readonly nowMs: () => number
  /** The file has no valid token now; the last one stays in use until it expires. */
  readonly warn: (message: string) => void
}

/** Agents renew a token minutes before its end, so an old one is never used to its last minute. */
const READ_EVERY_MS = 30_000

export class SignIn {
  readonly #options: SignInOptions
  #readMs = 0

  constructor(options: SignInOptions) {
    this.#options = options
  }

  /** Before the first connection. @throws LogpipeError KAFKA_AUTH without a good token. */
  begin(): void {
    const { bridge, consumer, tokenFile, nowMs } = this.#options
    if (tokenFile === null) return
    this.#readMs = nowMs() + READ_EVERY_MS
    const { value, expiresMs, principal } = readToken(tokenFile, nowMs())
    bridge.consumerSetToken(consumer, value, expiresMs, principal)
  }

  /** Cheap; call it every second or so. */
  refresh(): void {
    if (this.#options.tokenFile !== null && this.#options.nowMs() >= this.#readMs) this.#again()
  }

  /** With these properties from now on; a token is read again at once. */
  renew(properties: readonly (readonly [name: string, value: string])[]): void {
    const { bridge, consumer, tokenFile } = this.#options
    const username = propertyOf(properties, 'sasl.username')
    const password = propertyOf(properties, 'sasl.password')
    if (username !== undefined && password !== undefined) {
      bridge.consumerSetPassword(consumer, username, password)
    }
    if (tokenFile !== null) this.#again()
  }

  #again(): void {
    try {
      this.begin()
    } catch (error) {
      if (!(error instanceof LogpipeError)) throw error
      this.#options.warn(error.message)
    }
  }
}

/*
 * KAFKA_TOKEN_FILE: the token of SASL OAUTHBEARER, as an agent beside logpipe keeps it in a file.
 *
 * A JWT says of itself for whom and until when it is good; that is read, not verified: the broker
 * does that. Any other token is assumed valid for OPAQUE_MS. Bound: the file is small.
 */

export interface Token {
  readonly value: string
  /** ms since 1970. */
  readonly expiresMs: number
  readonly principal: string
}

/** A token that does not state its end is read again long before this. */
const OPAQUE_MS = 3_600_000
/** One that is good for longer is read again, too; librdkafka counts in microseconds. */
const LIFE_MS_MAX = 365 * 24 * 3_600_000
/** Used where the token names nobody; brokers take the name from the token itself. */
const PRINCIPAL = 'logpipe'

/**
 * @param nowMs since 1970
 * @throws LogpipeError KAFKA_AUTH when there is no token in the file that is good now.
 */
export function readToken(file: string, nowMs: number, readText: ReadText = readSmallFile): Token {
  const value = read(file, readText)
  const { exp, sub } = claimsOf(value)
  const expiresMs = typeof exp === 'number' ? endOf(exp, nowMs) : nowMs + OPAQUE_MS
  if (expiresMs <= nowMs) {
    const end = new Date(expiresMs).toISOString()
    throw refusal(`the token in ${file} expired at ${end}; replace it`)
  }
  return { value, expiresMs, principal: isName(sub) ? sub : PRINCIPAL }
}

/** Any JSON number is a NumericDate (RFC 7519): fractions, and what no clock will ever show. */
function endOf(exp: number, nowMs: number): number {
  return Math.floor(Math.min(Math.max(exp * 1000, 0), nowMs + LIFE_MS_MAX))
}

function isName(sub: unknown): sub is string {
  return typeof sub === 'string' && sub !== '' && !/\p{Cc}/u.test(sub)
}

function read(file: string, readText: ReadText): string {
  let value: string
  try {
    value = readText(file).trim()
  } catch (cause) {
    if (!(cause instanceof LogpipeError)) throw cause
    throw refusal(cause.message, cause)
  }
  // What RFC 6750 allows in a bearer token; librdkafka would send anything.
  if (/^[\w.~+/-]+=*$/.test(value)) return value
  throw refusal(`${file} ${value === '' ? 'is empty' : 'does not contain a token'}`)
}

/** The middle part of a JWT; nothing of any other token. */
function claimsOf(value: string): { readonly exp?: unknown; readonly sub?: unknown } {
  const [, payload, ...rest] = value.split('.')
  if (payload === undefined || rest.length !== 1) return {}
  try {
    return Object(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')))
  } catch {
    return {} // Three parts, but no JWT.
  }
}

function refusal(message: string, cause?: unknown): LogpipeError {
  return new LogpipeError('KAFKA_AUTH', `KAFKA_TOKEN_FILE: ${message}`, { cause })
}
