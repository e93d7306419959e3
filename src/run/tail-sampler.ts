/**
 * The live tail: a few of the matches, as text, while somebody watches.
 *
 * Bound. At most SAMPLES_MAX a second, each cut at SAMPLE_BYTES_MAX, for TAIL_MS_MAX after each
 * order; while nobody watches, a batch costs one comparison.
 */
import type { Clock } from '../core/clock.ts'
import type { MatchedBatch } from '../filter/slot-filter.ts'

/** What a person can follow. */
const SAMPLES_MAX = 5
const SECOND_MS = 1000
/** What sync passes on of one. */
const SAMPLE_BYTES_MAX = 16_000
/** Orders come every few seconds; what forgets to end them must not be served for ever. */
const TAIL_MS_MAX = 60_000
const LINE_END = 0x0a

export class TailSampler {
  readonly #clock: Clock
  readonly #send: (entries: readonly string[]) => void
  #endMs = -Infinity
  #secondMs = -Infinity
  #count = 0

  constructor(clock: Clock, send: (entries: readonly string[]) => void) {
    this.#clock = clock
    this.#send = send
  }

  /** Shows matches for so long from now. */
  show(seconds: number): void {
    this.#endMs = this.#clock.monotonicMs() + Math.min(seconds * SECOND_MS, TAIL_MS_MAX)
  }

  /** Takes a batch on its way to the output: its first document stands for all. */
  take(batch: MatchedBatch): void {
    const nowMs = this.#clock.monotonicMs()
    if (!(nowMs < this.#endMs)) return
    if (nowMs - this.#secondMs >= SECOND_MS) {
      this.#secondMs = nowMs
      this.#count = 0
    }
    if (this.#count >= SAMPLES_MAX) return
    this.#count++
    this.#send([firstDocument(batch)])
  }
}

/** Its last line; for Elasticsearch, the line before it is what to do with it. */
function firstDocument({ body, ends }: MatchedBatch): string {
  const bytes = Buffer.from(body.buffer, body.byteOffset, ends[0] ?? 0)
  const end = bytes.at(-1) === LINE_END ? bytes.length - 1 : bytes.length
  const start = end === 0 ? 0 : bytes.lastIndexOf(LINE_END, end - 1) + 1
  return bytes.toString('utf8', start, Math.min(end, start + SAMPLE_BYTES_MAX))
}
