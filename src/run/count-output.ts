/**
 * The output of PRODUCT_LINE=metrics: counts what matched, and writes nothing.
 *
 * A record is settled when it is counted. Counts live as long as the process: they begin at zero
 * when it starts, as Prometheus expects of counters, and what was counted but not committed when a
 * process was killed is counted again by the next one.
 */
import {
  PatternCounts,
  type CountedPatterns,
  type PatternCount,
} from '../metrics/pattern-counts.ts'
import type { CreditLimits } from '../pool/signals.ts'
import { NOTHING_HELD, type Sink, type SinkBatch, type SinkGauges } from '../sink/sink.ts'

/** Never reached but by what is on its way from the filter threads, for nothing is held. */
export const COUNT_CREDIT: CreditLimits = { documents: 1_000_000, bytes: 64 * 1024 * 1024 }

export class CountOutput implements Sink {
  readonly #counts: PatternCounts
  #documents = 0

  constructor(counted: CountedPatterns) {
    this.#counts = new PatternCounts(counted)
  }

  open(): Promise<void> {
    return Promise.resolve()
  }

  write(batch: SinkBatch): void {
    let first = 0
    let start = 0
    for (const { topic, partition, offsets } of batch.runs) {
      first += offsets.length
      const end = batch.ends[first - 1] ?? start
      this.#counts.add(topic, partition, batch.body.subarray(start, end))
      start = end
    }
    this.#documents += batch.ends.length
    batch.settleAll('counted')
  }

  counts(): readonly PatternCount[] {
    return this.#counts.list()
  }

  flush(): Promise<void> {
    return Promise.resolve()
  }

  gauges(): SinkGauges {
    return { ...NOTHING_HELD, writtenDocuments: this.#documents }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
