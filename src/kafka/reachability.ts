/**
 * Whether any broker can be reached. librdkafka says when the last one has gone, and not when one
 * is back, so that is asked for, once a second, until one answers.
 *
 * Bound. One request of PROBE_MS_MAX a second, while there is nothing to read anyway.
 */
import type { IngressOptions } from './ingress-options.ts'

const PROBE_MS_MAX = 200

type Options = Pick<IngressOptions, 'bridge' | 'consumer' | 'ingressIndex' | 'send'>

export class Reachability {
  readonly #options: Options
  #isDown = false

  constructor(options: Options) {
    this.#options = options
  }

  /** @param code librdkafka's name of an error of the client. */
  noteError(code: string): void {
    if (this.#isDown || code !== '_ALL_BROKERS_DOWN') return
    this.#isDown = true
    this.#tell()
  }

  /** Once a second. */
  look(): void {
    if (!this.#isDown) return
    const { bridge, consumer } = this.#options
    try {
      bridge.consumerMetadata(consumer, null, PROBE_MS_MAX)
    } catch {
      // None answers yet; what is wrong with them is told as events of the client.
      return
    }
    this.#isDown = false
    this.#tell()
  }

  #tell(): void {
    const { ingressIndex, send } = this.#options
    send({ kind: 'reachable', ingressIndex, isReachable: !this.#isDown })
  }
}
