/**
 * How a consumer signs in, over time: tokens are renewed before they end, passwords when they are
 * told anew. librdkafka keeps what is connected, and uses the new ones when it connects again.
 *
 * Used by the thread that owns the consumer. Bound: one small file, read once in LOOK_EVERY_MS.
 */
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import { LogpipeError } from '../core/errors.ts'
import { propertyOf } from '../options/kafka-properties.ts'
import { readToken } from './token-file.ts'

export interface SignInOptions {
  readonly bridge: Pick<Bridge, 'consumerSetPassword' | 'consumerSetToken'>
  readonly consumer: BridgeId
  /** KAFKA_TOKEN_FILE; null: none. */
  readonly tokenFile: string | null
  /** ms since 1970. */
  readonly nowMs: () => number
  /** The file has no good token now; what was read before is used as long as it lasts. */
  readonly warn: (message: string) => void
}

/** Agents renew a token minutes before its end, so an old one is never used to its last minute. */
const LOOK_EVERY_MS = 30_000

export class SignIn {
  readonly #options: SignInOptions
  #lookMs = 0

  constructor(options: SignInOptions) {
    this.#options = options
  }

  /** Before the first connection. @throws LogpipeError KAFKA_AUTH without a good token. */
  begin(): void {
    const { bridge, consumer, tokenFile, nowMs } = this.#options
    if (tokenFile === null) return
    this.#lookMs = nowMs() + LOOK_EVERY_MS
    const { value, expiresMs, principal } = readToken(tokenFile, nowMs())
    bridge.consumerSetToken(consumer, value, expiresMs, principal)
  }

  /** Cheap; call it every second or so. */
  look(): void {
    if (this.#options.tokenFile !== null && this.#options.nowMs() >= this.#lookMs) this.#again()
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
