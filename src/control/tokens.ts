/**
 * The two tokens (people's and workers'), the sessions of browsers, and who guessed wrong too
 * often.
 *
 * A token that the operator did not set is made at the first start and kept in a file of its own
 * beside the database (0600), to be read by whoever may read it there. Comparisons take the same
 * time whatever was guessed.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { Problem } from './problem.ts'

const TOKEN_CHARS_MIN = 16

/**
 * The token in a file, made when there is none.
 * @throws LogpipeError STORE when it cannot be read or made, or is too short to be one.
 */
export function tokenInFile(file: string): string {
  try {
    if (!existsSync(file)) {
      const token = randomBytes(32).toString('base64url')
      writeFileSync(file, `${token}\n`, { mode: 0o600, flag: 'wx' })
      return token
    }
    chmodSync(file, 0o600)
    const token = readFileSync(file, 'utf8').trim()
    if (token.length >= TOKEN_CHARS_MIN) return token
  } catch (error) {
    throw new LogpipeError('STORE', `the token file ${file} cannot be used: ${messageOf(error)}`, {
      cause: error,
    })
  }
  throw new LogpipeError(
    'STORE',
    `expected ${file} to hold a token of at least ${TOKEN_CHARS_MIN} characters; ` +
      'delete it to have a new one made',
  )
}

/** Compares without telling by its time how much was right; hashes have one length. */
export function tokensEqual(left: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(left), digest(right))
}

const SESSIONS_MAX = 1000
/** A working day; then one signs in again. */
export const SESSION_MS = 12 * 3_600_000

/** Signed-in browsers; in memory, so that a restart signs everybody out. */
export class Sessions {
  readonly #clock: Clock
  /** Digest of the session's id to the end of its time, oldest first. */
  readonly #endsMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @returns the id to be kept in the cookie. */
  open(): string {
    const id = randomBytes(32).toString('base64url')
    this.#endsMs.set(digestOf(id), this.#clock.monotonicMs() + SESSION_MS)
    const oldest = this.#endsMs.keys().next()
    if (this.#endsMs.size > SESSIONS_MAX && oldest.done !== true) this.#endsMs.delete(oldest.value)
    return id
  }

  isOpen(id: string): boolean {
    return (this.#endsMs.get(digestOf(id)) ?? 0) > this.#clock.monotonicMs()
  }

  close(id: string): void {
    this.#endsMs.delete(digestOf(id))
  }
}

/** Looking up a digest tells nothing about the id that would have been right. */
function digestOf(id: string): string {
  return createHash('sha256').update(id).digest('base64')
}

const FAILURES_MAX = 10
const FAILURES_WINDOW_MS = 60_000
const ADDRESSES_MAX = 10_000

/**
 * Counts wrong tokens by address; ten different ones in a minute, and the address waits for the
 * next. The same one again is no guess: one worker with an old token, which calls every second,
 * must not shut out those that share its address.
 */
export class FailedTokens {
  readonly #clock: Clock
  /** Of each address, digests of the tokens; FAILURES_MAX at most. */
  readonly #byAddress = new Map<string, { tokens: Set<string>; endsMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @throws Problem 429 when this address has guessed too often. */
  check(address: string): void {
    const found = this.#byAddress.get(keyOf(address))
    const waitMs = (found?.endsMs ?? 0) - this.#clock.monotonicMs()
    if (found === undefined || waitMs <= 0 || found.tokens.size < FAILURES_MAX) return
    throw new Problem(429, 'Too many wrong tokens from this address.', {
      headers: { 'retry-after': String(Math.ceil(waitMs / 1000)) },
    })
  }

  count(address: string, token: string): void {
    const key = keyOf(address)
    const nowMs = this.#clock.monotonicMs()
    const found = this.#byAddress.get(key)
    if (found !== undefined && found.endsMs > nowMs) {
      found.tokens.add(digestOf(token))
      return
    }
    this.#byAddress.delete(key)
    const tokens = new Set([digestOf(token)])
    this.#byAddress.set(key, { tokens, endsMs: nowMs + FAILURES_WINDOW_MS })
    const oldest = this.#byAddress.keys().next()
    if (this.#byAddress.size > ADDRESSES_MAX && oldest.done !== true) {
      this.#byAddress.delete(oldest.value)
    }
  }
}

/** One who has an IPv6 address has a /64 of them. */
function keyOf(address: string): string {
  return address.includes(':') && !address.includes('.')
    ? address.split(':').slice(0, 4).join(':')
    : address
}
