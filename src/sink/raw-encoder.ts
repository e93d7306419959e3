/**
 * `--format raw`: the value's bytes as they are, and a newline.
 *
 * Used by the filter threads for stdout and files. Nothing is escaped: a value that holds newlines
 * gives several lines, and binary stays binary. A null value (tombstone) and an empty value both
 * give an empty line, as kcat does; who must tell them apart takes `--format json`.
 */
import type { BodyBuilder, MatchedRecord, RecordEncoder } from '../pool/record-encoder.ts'

const NEWLINE = 0x0a

export class RawEncoder implements RecordEncoder {
  encode(record: MatchedRecord, body: BodyBuilder): void {
    // Read once: it makes a view.
    const value = record.value
    if (value !== null) body.bytes(value)
    body.byte(NEWLINE)
  }
}
