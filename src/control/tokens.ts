/**
 * The two tokens (people's and workers'), the sessions of browsers, and who guessed wrong too
 * often.
 *
 * A token that the operator did not set is made at the first start and kept in a file of its own
 * beside the database (0600), to be read by whoever may read it there. Comparisons take the same
 * time whatever was guessed.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { type Clock, onceIn } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { networkOf } from '../core/ip-address.ts'
import { ownSecret } from '../core/own-file.ts'
import { Problem } from './problem.ts'

const TOKEN_CHARS_MIN = 16

/** While tokens are exchanged, the new one and the old. */
const TOKENS_MAX = 2

/**
 * The tokens that are right: those of the option, separated by a comma, or those in the file, one
 * a line, which is made when it is not there.
 * @throws LogpipeError USAGE, or STORE for the file, when one is too short to be a token.
 */
export function tokensOf(option: string, value: string | undefined, file: string): string[] {
  const tokens = (value === undefined ? tokenLines(file) : value.split(',')).map((one) =>
    one.trim(),
  )
  const isRight =
    tokens.length <= TOKENS_MAX && tokens.every((one) => one.length >= TOKEN_CHARS_MIN)
  if (isRight && tokens.length > 0) return tokens
  const expected = `one token of at least ${TOKEN_CHARS_MIN} characters, or two while they change`
  if (value !== undefined) {
    const got = tokens.map((one) => one.length).join(' and ')
    throw new LogpipeError('USAGE', `${option}: expected ${expected}, got ${got} characters`)
  }
  const advice = 'delete it to have a new one generated'
  throw new LogpipeError('STORE', `expected ${file} to contain ${expected}; ${advice}`)
}

function tokenLines(file: string): string[] {
  try {
    return ownSecret(file)
      .split('\n')
      .filter((line) => line.trim() !== '')
  } catch (error) {
    throw new LogpipeError('STORE', `cannot use the token file ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Compares without telling by its time how much was right; hashes have one length. */
export function isOneOf(token: string, right: readonly string[]): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const given = digest(token)
  return right.filter((one) => timingSafeEqual(given, digest(one))).length > 0
}

/** Tells one of two tokens from the other where people read it. */
export function fingerprintOf(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 8)
}

const SESSIONS_MAX = 1000
/** A working day; then one signs in again. */
export const SESSION_MS = 12 * 3_600_000

interface Session {
  readonly endsMs: number
  /** Digest of the token that opened it. */
  readonly token: string
}

/**
 * Signed-in browsers; in memory, so that a restart signs everybody out. A session goes with the
 * token that opened it: whoever exchanges a token that leaked shuts out who signed in with it.
 */
export class Sessions {
  readonly #clock: Clock
  /** By the digest of the session's id, the oldest first. */
  readonly #sessions = new Map<string, Session>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @returns the id to be kept in the cookie. */
  open(token: string): string {
    const id = randomBytes(32).toString('base64url')
    const endsMs = this.#clock.monotonicMs() + SESSION_MS
    this.#sessions.set(digestOf(id), { endsMs, token: digestOf(token) })
    const oldest = this.#sessions.keys().next()
    if (this.#sessions.size > SESSIONS_MAX && oldest.done !== true) {
      this.#sessions.delete(oldest.value)
    }
    return id
  }

  /** @param tokens those that are right now */
  isOpen(id: string, tokens: readonly string[]): boolean {
    const session = this.#sessions.get(digestOf(id))
    if (session === undefined || session.endsMs <= this.#clock.monotonicMs()) return false
    return tokens.some((token) => digestOf(token) === session.token)
  }

  close(id: string): void {
    this.#sessions.delete(digestOf(id))
  }
}

/** Looking up a digest tells nothing about what would have been right. */
function digestOf(id: string): string {
  return createHash('sha256').update(id).digest('base64')
}

const FAILURES_MAX = 20
const FAILURES_WINDOW_MS = 60_000
const ADDRESSES_MAX = 10_000

/**
 * Counts refusals by address: after twenty in a minute the address hears 429 until the minute is
 * over. Only those who would be refused anyway hear it: a right token is let in from every address,
 * so that one worker with an old token shuts out nobody behind the same proxy.
 *
 * A line a minute tells the operator of each address that is refused.
 */
export class FailedTokens {
  readonly #clock: Clock
  readonly #report: (address: string) => void
  /** The oldest first; ADDRESSES_MAX at most. */
  readonly #byAddress = new Map<string, { count: number; endsMs: number }>()

  constructor(clock: Clock, log: (line: string) => void) {
    this.#clock = clock
    this.#report = onceIn(clock, FAILURES_WINDOW_MS, (count, address: string) => {
      const more = count === 1 ? '' : `; ${count} requests since the last such line`
      log(`refused a request from ${address}: wrong or missing token${more}`)
    })
  }

  /** @returns `refusal`, or a 429 in its place. */
  refuse(address: string, refusal: () => Problem): Problem {
    const nowMs = this.#clock.monotonicMs()
    this.#report(address)
    const { count, endsMs } = this.#count(networkOf(address), nowMs)
    if (count <= FAILURES_MAX) return refusal()
    return new Problem(429, 'Too many requests with a wrong or missing token from this address.', {
      headers: { 'retry-after': String(Math.ceil((endsMs - nowMs) / 1000)), connection: 'close' },
    })
  }

  #count(key: string, nowMs: number): { count: number; endsMs: number } {
    const found = this.#byAddress.get(key)
    if (found !== undefined && found.endsMs > nowMs) {
      found.count++
      return found
    }
    this.#byAddress.delete(key)
    const first = { count: 1, endsMs: nowMs + FAILURES_WINDOW_MS }
    this.#byAddress.set(key, first)
    const oldest = this.#byAddress.keys().next()
    if (this.#byAddress.size > ADDRESSES_MAX && oldest.done !== true) {
      this.#byAddress.delete(oldest.value)
    }
    return first
  }
}
