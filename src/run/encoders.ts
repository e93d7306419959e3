/**
 * Which encoder writes the documents of which output.
 */
import { PatternEncoder } from '../metrics/pattern-counts.ts'
import type { RecordEncoder } from '../pool/record-encoder.ts'
import { BulkEncoder } from '../sink/elasticsearch/bulk-encoder.ts'
import { JsonEncoder, RawEncoder } from '../sink/encoders.ts'
import type { OutputSettings } from './settings.ts'

export function encoderFor(output: OutputSettings): RecordEncoder {
  switch (output.kind) {
    case 'none':
      return { encode: () => undefined }
    case 'count':
      return new PatternEncoder(output)
    case 'stdout':
    case 'file':
      return output.format === 'json' ? new JsonEncoder() : new RawEncoder()
    case 'elasticsearch':
      return new BulkEncoder(output.settings)
  }
}
