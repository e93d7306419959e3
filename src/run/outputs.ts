/**
 * Which output the settings name, and how much it may hold unsettled.
 */
import {
  type CountedPatterns,
  type PatternCount,
  PatternCounts,
} from '../metrics/pattern-counts.ts'
import type { CreditLimits } from '../pool/signals.ts'
import { FILE_CREDIT, FileSink } from '../sink/file-sink.ts'
import { NONE_CREDIT, NoneSink } from '../sink/none-sink.ts'
import { NOTHING_HELD, type Sink, type Delivery, type SinkGauges } from '../sink/sink.ts'
import { STDOUT_CREDIT, StdoutSink } from '../sink/stdout-sink.ts'
import { bridgeLocks } from '../bridge/locks.ts'
import type { OutputDeps, OutputParts } from './elasticsearch-output.ts'
import type { OutputSettings } from './settings.ts'

const NOTHING_BEHIND = async () => {
  // These outputs hold nothing but themselves.
}

/** @throws LogpipeError when what lies behind the output cannot be opened. */
export async function openOutput(output: OutputSettings, deps: OutputDeps): Promise<OutputParts> {
  switch (output.kind) {
    case 'none':
      return { sink: new NoneSink(), credit: NONE_CREDIT, close: NOTHING_BEHIND }
    case 'count': {
      const sink = new CountOutput(output)
      return { sink, credit: COUNT_CREDIT, close: NOTHING_BEHIND, counts: () => sink.counts() }
    }
    case 'stdout':
      return {
        sink: new StdoutSink(deps.events, {
          ...(deps.screen === undefined ? {} : { screen: deps.screen }),
          isEscaped: deps.screen !== undefined && !output.isRaw,
        }),
        credit: STDOUT_CREDIT,
        close: NOTHING_BEHIND,
      }
    case 'file':
      return {
        sink: new FileSink(output, deps.events, { locks: bridgeLocks(deps.bridge) }),
        credit: FILE_CREDIT,
        close: NOTHING_BEHIND,
      }
    case 'elasticsearch': {
      // Loading the client takes longer than all else; other outputs start without.
      const { openElasticsearchOutput } = await import('./elasticsearch-output.ts')
      return openElasticsearchOutput(output, deps)
    }
  }
}

/*
 * The output of PRODUCT_LINE=metrics: counts what matched, and writes nothing.
 *
 * A record is settled when it is counted. Counts live as long as the process: they begin at zero
 * when it starts, as Prometheus expects of counters, and what was counted but not committed when a
 * process was killed is counted again by the next one.
 */

/** Never reached but by what is on its way from the filter threads, for nothing is held. */
const COUNT_CREDIT: CreditLimits = { documents: 1_000_000, bytes: 64 * 1024 * 1024 }

class CountOutput implements Sink {
  readonly #counts: PatternCounts
  #documents = 0

  constructor(counted: CountedPatterns) {
    this.#counts = new PatternCounts(counted)
  }

  open(): Promise<void> {
    return Promise.resolve()
  }

  write(batch: Delivery): void {
    let first = 0
    let start = 0
    for (const { topic, partition, offsets } of batch.runs) {
      first += offsets.length
      const end = batch.ends[first - 1] ?? start
      this.#counts.add(topic, partition, batch.body.subarray(start, end))
      start = end
    }
    this.#documents += batch.ends.length
    batch.settle(0, batch.ends.length, 'counted')
    batch.release()
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
