/**
 * Sends stored documents, from the spill or from dead letters, through the pipeline's own output,
 * and waits until Elasticsearch has accepted them. For `spill drain` and `dlq replay`.
 *
 * Accepted documents are always reported, and waiting ones block nothing else: a call ends when all
 * documents are accepted, when only documents of indices that reject everything are left (HELD_MS),
 * or when there is no progress (STALL_MS). The remaining documents are then dropped together with
 * the output that holds them; the next call opens a new one. An index that accepted nothing in one
 * call is not tried again.
 *
 * Bound. The documents of one call, and the names of the waiting indices.
 */
import assert from 'node:assert/strict'
import { systemClock, type Clock } from '../../core/clock.ts'
import { LogpipeError } from '../../core/errors.ts'
import { formatDuration } from '../../core/units.ts'
import type { Outcome } from '../sink.ts'
import { indexAt } from './action-line.ts'
import type { BulkTransport } from './bulk-transport.ts'
import { ElasticsearchSink } from './elasticsearch-sink.ts'
import type { DeadLetters } from '../dead-letters/contract.ts'
import { batchOf, type PlacedDocument } from './batch.ts'
import type { ElasticsearchSettings } from './settings.ts'

export interface SenderParts {
  /** Null: a document that is refused for good ends the sending. */
  readonly deadLetters: DeadLetters | null
  /** Aborted: documents in flight get `graceMs`, then the sending ends. */
  readonly signal: AbortSignal
  readonly graceMs: number
  readonly clock?: Clock
  /** For tests: one for each output. */
  readonly openTransport?: () => BulkTransport
}

/** Long enough for a restart of Elasticsearch, short enough for a person who waits. */
const STALL_MS = 60_000
/** A few probes of an index that waits (PROBE_TIMES). */
const HELD_MS = 5000
const LOOK_EVERY_MS = 500
/** At the end, documents in flight are settled or given up. */
const CLOSE_MS = 1

/** Of a document: how it ended; undefined: it was not taken, and may be sent again. */
type Sent = Outcome | undefined

export class DocumentSender {
  readonly #settings: ElasticsearchSettings
  readonly #parts: SenderParts
  readonly #clock: Clock
  #sink: ElasticsearchSink | null = null
  /** Why each index waits. */
  readonly #waiting = new Map<string, string>()
  #failure: Error | null = null
  /** Ends the current call. */
  #end: () => void = () => undefined

  constructor(settings: ElasticsearchSettings, parts: SenderParts) {
    this.#parts = parts
    this.#clock = parts.clock ?? systemClock
    // One batch at a time is bounded already, and no document may be dropped.
    this.#settings = { ...settings, dropWhenFull: false }
  }

  /** The current problem, in one line; null if there is none. */
  get trouble(): string | null {
    return this.#sink?.gauges().trouble ?? null
  }

  /**
   * Why nothing more is sent: LogpipeError ES_REFUSED, ES_UNREACHABLE or DEADLINE, or what the dead
   * letters said. Null: `send` may be called.
   */
  get failure(): Error | null {
    return this.#failure
  }

  /** Why an index takes nothing; null where that is not known. */
  whyWaiting(index: string): string | null {
    return this.#waiting.get(index) ?? null
  }

  /** Never rejects: documents accepted before a failure are among the results. */
  async send(documents: readonly PlacedDocument[]): Promise<readonly Sent[]> {
    assert(this.#failure === null, 'no call after a failure')
    const sent: Sent[] = documents.map(() => undefined)
    const places = [...documents.keys()].filter(
      (place) => !this.#waiting.has(indexAt(documents[place]!.document, 0)),
    )
    if (places.length === 0) return sent
    const sink = (this.#sink ??= this.#openSink())
    await this.#attempt(
      sink,
      places.map((place) => documents[place]!),
      (at, outcome) => (sent[places[at]!] = outcome),
    )
    const left = places.filter((place) => sent[place] === undefined)
    if (left.length === 0) return sent
    const reasons = new Map(sink.heldIndices().map(({ index, reason }) => [index, reason]))
    const trouble = this.trouble ?? 'no answer'
    const indexOf = (place: number) => indexAt(documents[place]!.document, 0)
    const served = new Set(places.filter((place) => sent[place] !== undefined).map(indexOf))
    for (const index of left.map(indexOf)) {
      if (!served.has(index)) this.#waiting.set(index, reasons.get(index) ?? trouble)
    }
    await this.close()
    return sent
  }

  /** Lets go of the connections. Idempotent. */
  async close(): Promise<void> {
    const sink = this.#sink
    this.#sink = null
    await sink?.close(CLOSE_MS)
  }

  #openSink(): ElasticsearchSink {
    const { deadLetters, openTransport } = this.#parts
    return new ElasticsearchSink(this.#settings, {
      events: {
        fail: (error) => this.#fail(error),
        endOfOutput: () => undefined,
      },
      deadLetters,
      overflow: null,
      clock: this.#clock,
      ...(openTransport === undefined ? {} : { transport: openTransport() }),
    })
  }

  /** Resolves when all is settled, or the rest is given up; nothing is settled after that. */
  async #attempt(
    sink: ElasticsearchSink,
    documents: readonly PlacedDocument[],
    settled: (index: number, outcome: Outcome) => void,
  ): Promise<void> {
    let settledCount = 0
    let isOver = false
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#end = resolve
    const stopWatching = this.#watch(sink, () => documents.length - settledCount)
    sink.write(
      batchOf(documents, (index, outcome) => {
        if (isOver) return
        settled(index, outcome)
        settledCount++
        if (settledCount === documents.length) resolve()
      }),
    )
    // Requests need not wait to be filled: nothing comes behind.
    void sink.flush(STALL_MS)
    await promise
    isOver = true
    stopWatching()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#end()
  }

  /** Ends the call when nothing moves, or the time after a stop is up. @returns what ends it. */
  #watch(sink: ElasticsearchSink, unsettledCount: () => number): () => void {
    const { signal, graceMs } = this.#parts
    const firstCount = unsettledCount()
    let seenCount = firstCount
    let movedMs = this.#clock.monotonicMs()
    /** When something was last seen that waits for anything but a held index. */
    let otherMs = movedMs
    let stopMs: number | null = null
    const look = (): void => {
      const nowMs = this.#clock.monotonicMs()
      if (unsettledCount() < seenCount) movedMs = nowMs
      seenCount = unsettledCount()
      const held = sink.heldIndices()
      const heldCount = held.reduce((sum, { documentCount }) => sum + documentCount, 0)
      if (heldCount < seenCount) otherMs = nowMs
      if (signal.aborted) stopMs ??= nowMs
      const why = this.trouble ?? 'no answer'
      if (stopMs !== null && nowMs - stopMs >= graceMs) {
        const message = `stopped before Elasticsearch accepted the documents in flight (${why})`
        this.#fail(new LogpipeError('DEADLINE', message))
      } else if (nowMs - Math.max(movedMs, otherMs) >= HELD_MS) {
        this.#end()
      } else if (nowMs - movedMs >= STALL_MS) {
        const message = `Elasticsearch accepted no document in ${formatDuration(STALL_MS)}: ${why}`
        if (seenCount < firstCount) this.#end()
        else this.#fail(new LogpipeError('ES_UNREACHABLE', message))
      }
      cancel = this.#clock.after(LOOK_EVERY_MS, look)
    }
    let cancel = this.#clock.after(LOOK_EVERY_MS, look)
    return () => cancel()
  }
}
