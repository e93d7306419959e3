/**
 * Stands for a filter thread in bench/bulk.ts: encodes the records of a filled slot again and again,
 * and hands each batch to main in one transfer, within the output's credit.
 */
import { parentPort, workerData } from 'node:worker_threads'
import assert from 'node:assert/strict'
import { BodyBuilder, type MatchedRecord } from '../src/pool/record-encoder.ts'
import { PHASE_END, Signals, type CreditLimits } from '../src/pool/signals.ts'
import { BulkEncoder } from '../src/sink/elasticsearch/bulk-encoder.ts'
import type { DocumentSettings } from '../src/sink/elasticsearch/settings.ts'

export interface EncoderData {
  readonly settings: DocumentSettings
  readonly records: number
  readonly bytes: number
  readonly partition: number
  readonly signals: SharedArrayBuffer
  readonly credit: CreditLimits
}

const WAIT_MS = 50

/** Records whose values lie side by side in shared memory, as a slot has them. */
export function filledSlot(count: number, bytes: number, partition: number): MatchedRecord[] {
  const memory = Buffer.from(new SharedArrayBuffer(count * bytes))
  return Array.from({ length: count }, (_, index) => {
    const head = `{"level":"ERROR","seq":${index},"service":"checkout","took_ms":12.5,"message":"`
    const text = 'payment gateway answered 502 for order 4711, will try again; '.repeat(bytes / 50)
    const value = `${(head + text).slice(0, bytes - 2)}"}`
    memory.write(value, index * bytes, 'utf8')
    return {
      topic: 'bench',
      partition,
      offset: 0,
      idPrefix: '',
      timestampMs: Date.now(),
      timestampType: 'create' as const,
      value: memory.subarray(index * bytes, (index + 1) * bytes),
      key: null,
      headers: Buffer.alloc(0),
    }
  })
}

/** What main gets for a slot. */
export interface EncodedBatch {
  readonly body: Uint8Array<ArrayBuffer>
  readonly ends: Uint32Array<ArrayBuffer>
  readonly offsets: Float64Array<ArrayBuffer>
}

function run({ settings, records: count, bytes, partition, ...shared }: EncoderData): void {
  assert(parentPort !== null)
  const signals = new Signals(shared.signals)
  const encoder = new BulkEncoder(settings)
  const builder = new BodyBuilder()
  const records = filledSlot(count, bytes, partition)
  let offset = 0
  while (signals.phase !== PHASE_END) {
    const offsets = new Float64Array(records.length)
    for (const [index, record] of records.entries()) {
      offsets[index] = offset
      encoder.encode(Object.assign(record, { offset: offset++ }), builder)
      builder.endDocument()
    }
    const { body, ends } = builder.take()
    while (signals.isFull(shared.credit) && signals.phase !== PHASE_END) {
      signals.waitForRoom(shared.credit, WAIT_MS)
    }
    signals.take(ends.length, body.length)
    const batch: EncodedBatch = { body, ends, offsets }
    parentPort.postMessage(batch, [body.buffer, ends.buffer, offsets.buffer])
  }
  parentPort.close()
}

if (parentPort !== null) run(workerData as EncoderData)
