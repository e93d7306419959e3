/**
 * Turns records into the two lines of a _bulk document. One in each filter thread.
 *
 * Bound. One ActionHead for each partition and span of the index's date, at most HEADS_MAX of them:
 * above that all are made anew. A head is some hundred bytes.
 */
import { messageOf } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import type { BodyBuilder, MatchedRecord, RecordEncoder } from '../../pool/record-encoder.ts'
import { ActionHead } from './action-line.ts'
import { writeDocument } from './document.ts'
import { dateBucketOf, indexNameOf, parseIndexPattern, type IndexPattern } from './index-name.ts'
import type { DocumentSettings } from './settings.ts'
import { writeStub } from './unsendable.ts'

/** Twice the partitions that one consumer may reasonably have, for two days each. */
const HEADS_MAX = 16_384

const LINE_END = 0x0a

export class BulkEncoder implements RecordEncoder {
  readonly #settings: DocumentSettings
  readonly #pattern: IndexPattern
  readonly #nowMs: () => number
  /** By topic, then partition, then bucket of time. */
  readonly #heads = new Map<string, Map<number, ActionHead>[]>()
  #headCount = 0

  /** @throws LogpipeError USAGE for a pattern that can give no index name. */
  constructor(settings: DocumentSettings, nowMs: () => number = Date.now) {
    this.#settings = settings
    this.#pattern = parseIndexPattern(settings.index)
    this.#nowMs = nowMs
  }

  encode(record: MatchedRecord, body: BodyBuilder): void {
    const head = this.#headOf(record)
    const { maxRecordBytes, document } = this.#settings
    const start = body.size
    let bytes = record.value?.length ?? 0
    if (bytes <= maxRecordBytes) {
      try {
        head.write(record, body)
        writeDocument(body, record, document, this.#nowMs)
        body.byte(LINE_END)
      } catch (error) {
        // Whatever it is, it is of this record: the others of its thread go on.
        body.rewind(start)
        return writeStub(body, head.index, record, 'record_not_encoded', messageOf(error))
      }
      // A value of control characters is six times as long in JSON.
      bytes = body.size - start
      if (bytes <= maxRecordBytes) return
      body.rewind(start)
    }
    const limit = `--max-record-bytes (${formatBytes(maxRecordBytes)})`
    const reason = `the document would have ${formatBytes(bytes)} or more, above ${limit}`
    writeStub(body, head.index, record, 'record_too_large', reason)
  }

  #headOf(record: MatchedRecord): ActionHead {
    const bucket = dateBucketOf(this.#pattern, record.timestampMs)
    const head = this.#heads.get(record.topic)?.[record.partition]?.get(bucket)
    // A topic that was made anew has another prefix.
    return head?.idPrefix === record.idPrefix ? head : this.#makeHead(record, bucket)
  }

  #makeHead(record: MatchedRecord, bucket: number): ActionHead {
    if (this.#headCount === HEADS_MAX) this.#forgetHeads()
    const { topic, partition, timestampMs } = record
    const index = indexNameOf(this.#pattern, topic, timestampMs)
    const head = new ActionHead(index, record, this.#settings.documentId)
    const partitions = this.#heads.get(topic) ?? []
    const buckets = partitions[partition] ?? new Map<number, ActionHead>()
    this.#heads.set(topic, partitions)
    partitions[partition] = buckets.set(bucket, head)
    this.#headCount++
    return head
  }

  #forgetHeads(): void {
    this.#heads.clear()
    this.#headCount = 0
  }
}
