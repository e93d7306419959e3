/**
 * Sends documents that were made before, those of the spill and of dead letters, through the
 * pipeline's own output, and waits until Elasticsearch has taken them. For `spill drain` and `dlq
 * replay`.
 *
 * Bound. One call's documents at a time. It gives up when nothing was taken for STALL_MS, and
 * `graceMs` after `signal`.
 */
import assert from 'node:assert/strict'
import { systemClock, type Clock } from '../../core/clock.ts'
import { LogpipeError } from '../../core/errors.ts'
import { formatDuration } from '../../core/units.ts'
import type { Outcome } from '../sink.ts'
import type { BulkTransport } from './bulk-transport.ts'
import { ElasticsearchSink } from './elasticsearch-sink.ts'
import type { DeadLetters } from './outlets.ts'
import { batchOf, type PlacedDocument } from './replay-source.ts'
import type { ElasticsearchSettings } from './settings.ts'

export interface SenderParts {
  /** Null: a document that is refused for good ends the sending. */
  readonly deadLetters: DeadLetters | null
  /** Aborted: what is under way gets `graceMs`, then `send` rejects. */
  readonly signal: AbortSignal
  readonly graceMs: number
  readonly clock?: Clock
  /** For tests. */
  readonly transport?: BulkTransport
}

/** A restart of Elasticsearch fits in; whoever waits for the command wants an end some time. */
const STALL_MS = 60_000
const LOOK_EVERY_MS = 500
/** What is under way at the end was settled, or is given up. */
const CLOSE_MS = 1

export class DocumentSender {
  readonly #sink: ElasticsearchSink
  readonly #parts: SenderParts
  readonly #clock: Clock
  #failure: Error | null = null
  #reject: ((error: Error) => void) | null = null

  constructor(settings: ElasticsearchSettings, parts: SenderParts) {
    this.#parts = parts
    this.#clock = parts.clock ?? systemClock
    const { deadLetters, transport } = parts
    this.#sink = new ElasticsearchSink(
      // One batch at a time is bounded already, and nothing of it may be dropped.
      { ...settings, dropWhenFull: false },
      {
        events: {
          fail: (error) => this.#fail(error),
          endOfOutput: () => undefined,
          drained: () => undefined,
        },
        deadLetters,
        overflow: null,
        clock: this.#clock,
        ...(transport === undefined ? {} : { transport }),
      },
    )
  }

  /** What is wrong now, in one line; null when all is well. */
  get trouble(): string | null {
    return this.#sink.gauges().trouble
  }

  /**
   * @returns how each document ended.
   * @throws LogpipeError ES_REFUSED, ES_UNREACHABLE or DEADLINE; some may have been taken all the
   * same, and sending them again makes no second document.
   */
  async send(documents: readonly PlacedDocument[]): Promise<readonly Outcome[]> {
    assert(this.#reject === null, 'one call at a time')
    if (this.#failure !== null) throw this.#failure
    if (documents.length === 0) return []
    const outcomes: Outcome[] = []
    let settledCount = 0
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#reject = reject
    const stopWatching = this.#watch(() => settledCount)
    try {
      this.#sink.write(
        batchOf(documents, (index, outcome) => {
          outcomes[index] = outcome
          settledCount++
          if (settledCount === documents.length) resolve()
        }),
      )
      // Requests need not wait to be filled: nothing comes behind.
      void this.#sink.flush(STALL_MS)
      await promise
    } finally {
      stopWatching()
      this.#reject = null
    }
    return outcomes
  }

  /** Lets go of the connections. Idempotent. */
  async close(): Promise<void> {
    await this.#sink.close(CLOSE_MS)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#reject?.(this.#failure)
  }

  /** Fails when nothing moves any more, or the time after a stop is up. @returns what ends it. */
  #watch(settledCount: () => number): () => void {
    const { signal, graceMs } = this.#parts
    let seenCount = 0
    let movedMs = this.#clock.monotonicMs()
    let stopMs: number | null = null
    const look = (): void => {
      const nowMs = this.#clock.monotonicMs()
      if (settledCount() > seenCount) movedMs = nowMs
      seenCount = settledCount()
      if (signal.aborted) stopMs ??= nowMs
      const why = this.trouble ?? 'no answer'
      if (nowMs - movedMs >= STALL_MS) {
        const message = `Elasticsearch took nothing in ${formatDuration(STALL_MS)}: ${why}`
        this.#fail(new LogpipeError('ES_UNREACHABLE', message))
      } else if (stopMs !== null && nowMs - stopMs >= graceMs) {
        const message = `stopped before Elasticsearch had taken what was under way (${why})`
        this.#fail(new LogpipeError('DEADLINE', message))
      }
      cancel = this.#clock.after(LOOK_EVERY_MS, look)
    }
    let cancel = this.#clock.after(LOOK_EVERY_MS, look)
    return () => cancel()
  }
}
