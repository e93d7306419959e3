/**
 * Which output the settings name, and how much it may hold unsettled.
 */
import type { PatternCount } from '../metrics/pattern-counts.ts'
import type { CreditLimits } from '../pool/signals.ts'
import { FILE_CREDIT, FileSink } from '../sink/file-sink.ts'
import { NONE_CREDIT, NoneSink } from '../sink/none-sink.ts'
import type { Sink } from '../sink/sink.ts'
import { STDOUT_CREDIT, StdoutSink } from '../sink/stdout-sink.ts'
import { bridgeLocks } from './bridge-locks.ts'
import { COUNT_CREDIT, CountOutput } from './count-output.ts'
import type { OutputDeps } from './elasticsearch-output.ts'
import type { OutputSettings } from './settings.ts'

export interface OutputParts {
  readonly sink: Sink
  readonly credit: CreditLimits
  /** It has something to do of its own that an orderly end waits for; absent: never. */
  readonly isBusy?: () => boolean
  /** Lets go of what lies behind the sink, after the sink itself was closed. */
  readonly close: () => Promise<void>
  /** Of the metrics product line. */
  readonly counts?: () => readonly PatternCount[]
}

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
        sink: new StdoutSink(deps.events, deps.screen === undefined ? {} : { screen: deps.screen }),
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
