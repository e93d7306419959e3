/**
 * Whether any broker can be reached. librdkafka says when the last connection has gone, which is no
 * more than a hint, for one that was only lost is back at once; and it does not say when one is
 * back. So brokers are asked, once a second, until one answers.
 *
 * Bound. One request of PROBE_MS_MAX a second, while there is nothing to read anyway.
 */
import type { IngressOptions } from './ingress-options.ts'

const PROBE_MS_MAX = 200
/** So many times without an answer, they cannot be reached. */
const UNANSWERED_MAX = 2

type Options = Pick<IngressOptions, 'bridge' | 'consumer' | 'ingressIndex' | 'send'>

export class Reachability {
  readonly #options: Options
  #isDown = false
  /** Probes without an answer since the last connection went; null: nothing is doubted. */
  #unanswered: number | null = null

  constructor(options: Options) {
    this.#options = options
  }

  /** @param code librdkafka's name of an error of the client. */
  noteError(code: string): void {
    if (code === '_ALL_BROKERS_DOWN') this.#unanswered ??= 0
  }

  /** Once a second. */
  look(): void {
    const before = this.#unanswered
    if (before === null) return
    const { bridge, consumer } = this.#options
    try {
      bridge.consumerMetadata(consumer, null, PROBE_MS_MAX)
      this.#unanswered = null
    } catch {
      // None answers yet; what is wrong with them is told as events of the client.
      this.#unanswered = before + 1
    }
    const isDown = (this.#unanswered ?? 0) >= UNANSWERED_MAX
    if (isDown === this.#isDown) return
    this.#isDown = isDown
    this.#tell()
  }

  #tell(): void {
    const { ingressIndex, send } = this.#options
    send({ kind: 'reachable', ingressIndex, isReachable: !this.#isDown })
  }
}
