/**
 * `--output none`: counts matches, and writes nothing.
 *
 * For measuring and for trying patterns. It settles at once, as written; the pipeline commits
 * nothing with it.
 */
import type { CreditLimits } from '../pool/signals.ts'
import { NOTHING_HELD, type Sink, type Delivery, type SinkGauges } from './sink.ts'

/** Reached only by batches in flight from the filter threads, because nothing is queued here. */
export const NONE_CREDIT: CreditLimits = { documents: 1_000_000, bytes: 64 * 1024 * 1024 }

export class NoneSink implements Sink {
  #documents = 0
  #bytes = 0

  open(): Promise<void> {
    return Promise.resolve()
  }

  write(batch: Delivery): void {
    this.#documents += batch.ends.length
    this.#bytes += batch.body.length
    batch.settle(0, batch.ends.length, 'written')
    batch.release()
  }

  flush(): Promise<void> {
    return Promise.resolve()
  }

  gauges(): SinkGauges {
    return { ...NOTHING_HELD, writtenDocuments: this.#documents, writtenBytes: this.#bytes }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
