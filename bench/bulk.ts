/**
 * Documents a second that the Elasticsearch output writes from filled slots, against a stub that
 * answers at once (its own process, on the same cores).
 *
 *   build/node bench/bulk.ts [--records 256] [--bytes 1000] [--document raw] [--rounds 5]
 *        [--encode 0|1] [--gzip] [--url http://...]
 *
 * A slot holds `records` records of `bytes` bytes of JSON in a shared buffer. With --encode 1 (the
 * default) each is validated and encoded again for every batch, in the thread that also sends, so
 * the figure covers all that the output costs; with 0 the same ready-made batch is written over and
 * over. One round is ROUND_MS; median and spread are printed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { BodyBuilder, type MatchedRecord } from '../src/pool/record-encoder.ts'
import { BulkEncoder } from '../src/sink/elasticsearch/bulk-encoder.ts'
import { ElasticsearchSink } from '../src/sink/elasticsearch/elasticsearch-sink.ts'
import { ELASTICSEARCH_DEFAULTS, type DocumentMode } from '../src/sink/elasticsearch/settings.ts'
import type { SinkBatch } from '../src/sink/sink.ts'

const ROUND_MS = 2000
/** Batches waiting in the sink: enough to keep it busy. */
const QUEUED_BYTES_MAX = 96 * 1024 * 1024

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '256' },
    bytes: { type: 'string', default: '1000' },
    document: { type: 'string', default: 'raw' },
    rounds: { type: 'string', default: '5' },
    encode: { type: 'string', default: '1' },
    actions: { type: 'string', default: '5000' },
    concurrency: { type: 'string', default: '8' },
    gzip: { type: 'boolean', default: false },
    url: { type: 'string' },
  },
})

const stub =
  options.url === undefined ? spawn(process.execPath, ['bench/elasticsearch-stub.ts']) : null
const url = options.url ?? String((await once(stub!.stdout, 'data'))[0]).trim()

const settings = {
  ...ELASTICSEARCH_DEFAULTS,
  urls: [url],
  index: 'bench',
  document: options.document as DocumentMode,
  bulkActions: Number(options.actions),
  concurrencyMax: Number(options.concurrency),
  compression: options.gzip ? ('gzip' as const) : ('none' as const),
}
const encoder = new BulkEncoder(settings)
const builder = new BodyBuilder()
const records = filledSlot(Number(options.records), Number(options.bytes))
let settledCount = 0
let nextOffset = 0
const readyMade = makeBatch()

const sink = new ElasticsearchSink(settings, {
  deadLetters: null,
  overflow: null,
  events: {
    fail: (error) => {
      throw error
    },
    endOfOutput: () => undefined,
    drained: () => undefined,
  },
})
await sink.open()

const rates: number[] = []
await round()
for (let left = Number(options.rounds); left > 0; left--) rates.push(await round())
rates.sort((left, right) => left - right)
const median = rates[rates.length >> 1] ?? 0
process.stdout.write(
  `${options.document}, ${options.bytes} B, encode ${options.encode}: ` +
    `${Math.round(median)} documents/s (${Math.round(rates[0] ?? 0)} to ` +
    `${Math.round(rates.at(-1) ?? 0)}), ${process.cpuUsage().user / 1e6} s user, ` +
    `${process.cpuUsage().system / 1e6} s system here\n`,
)
await sink.close(5000)
stub?.stdin.end()

async function round(): Promise<number> {
  const started = performance.now()
  const before = settledCount
  while (performance.now() - started < ROUND_MS) {
    for (let turns = 0; turns < 8; turns++) {
      if (sink.gauges().queuedBytes > QUEUED_BYTES_MAX) break
      sink.write(options.encode === '1' ? makeBatch() : { ...readyMade })
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  return ((settledCount - before) * 1000) / (performance.now() - started)
}

function makeBatch(): SinkBatch {
  for (const record of records) {
    encoder.encode({ ...record, offset: nextOffset++ }, builder)
    builder.endDocument()
  }
  const { body, ends } = builder.take()
  const offsets = new Float64Array(ends.length)
  const timestampsMs = new Float64Array(ends.length)
  const timestampTypes = new Uint8Array(ends.length)
  return {
    body,
    ends,
    runs: [
      { topic: 'bench', partition: 0, assignmentId: 1, offsets, timestampsMs, timestampTypes },
    ],
    settle: () => settledCount++,
    settleAll: () => (settledCount += ends.length),
    releaseBody: () => undefined,
  }
}

/** Records whose values lie side by side in shared memory, as a slot has them. */
function filledSlot(count: number, bytes: number): MatchedRecord[] {
  const memory = Buffer.from(new SharedArrayBuffer(count * bytes))
  return Array.from({ length: count }, (_, index) => {
    const head = `{"level":"ERROR","seq":${index},"service":"checkout","took_ms":12.5,"message":"`
    const text = 'payment gateway answered 502 for order 4711, will try again; '.repeat(bytes / 50)
    const value = `${(head + text).slice(0, bytes - 2)}"}`
    memory.write(value, index * bytes, 'utf8')
    return {
      topic: 'bench',
      partition: 0,
      offset: 0,
      timestampMs: Date.now(),
      timestampType: 'create' as const,
      value: memory.subarray(index * bytes, (index + 1) * bytes),
      key: null,
      headers: Buffer.alloc(0),
    }
  })
}
