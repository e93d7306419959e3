/**
 * Which output the settings name, and how much it may hold unsettled.
 */
import type { CreditLimits } from '../pool/signals.ts'
import { ElasticsearchSink } from '../sink/elasticsearch/elasticsearch-sink.ts'
import { FileSink, FILE_CREDIT } from '../sink/file-sink.ts'
import { NoneSink, NONE_CREDIT } from '../sink/none-sink.ts'
import type { Sink, SinkEvents } from '../sink/sink.ts'
import { StdoutSink, STDOUT_CREDIT } from '../sink/stdout-sink.ts'
import type { OutputSettings } from './settings.ts'

export interface OpenOutput {
  readonly sink: Sink
  readonly credit: CreditLimits
}

export function openOutput(output: OutputSettings, events: SinkEvents): OpenOutput {
  switch (output.kind) {
    case 'none':
      return { sink: new NoneSink(), credit: NONE_CREDIT }
    case 'stdout':
      return { sink: new StdoutSink(events), credit: STDOUT_CREDIT }
    case 'file':
      return { sink: new FileSink(output, events), credit: FILE_CREDIT }
    case 'elasticsearch': {
      const { settings } = output
      const credit = { documents: settings.queueCap, bytes: settings.queueBytes }
      return { sink: new ElasticsearchSink(settings, { events, deadLetters: null }), credit }
    }
  }
}
