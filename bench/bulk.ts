/**
 * Documents a second that the Elasticsearch output writes from filled slots, against a stub that
 * answers at once (its own process, on the same cores).
 *
 *   build/node bench/bulk.ts [--threads 2] [--records 256] [--bytes 1000] [--document raw]
 *        [--rounds 5] [--gzip] [--url http://...] [--actions 5000] [--concurrency 8]
 *
 * A slot holds `records` records of `bytes` bytes of JSON in a shared buffer. Each of `threads`
 * threads validates and encodes them again for every batch, as filter threads do, and main sends
 * them; 0: the same ready-made batch is written over and over, so that only the sending costs. One
 * round is ROUND_MS; median and spread are printed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { BodyBuilder } from '../src/pool/record-encoder.ts'
import { PHASE_END, Signals } from '../src/pool/signals.ts'
import { BulkEncoder } from '../src/sink/elasticsearch/bulk-encoder.ts'
import { ElasticsearchSink } from '../src/sink/elasticsearch/elasticsearch-sink.ts'
import type { DocumentMode } from '../src/sink/elasticsearch/settings.ts'
import { ELASTICSEARCH_DEFAULTS } from '../test/helpers/elasticsearch-defaults.ts'
import { NO_LEASE, type Delivery } from '../src/sink/sink.ts'
import { filledSlot, type EncodedBatch, type EncoderData } from './encoder-thread.ts'

const ROUND_MS = 2000
/** Batches waiting in the sink: enough to keep it busy. */
const QUEUED_BYTES_MAX = 96 * 1024 * 1024

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '256' },
    bytes: { type: 'string', default: '1000' },
    document: { type: 'string', default: 'raw' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
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
const threadCount = Number(options.threads)
const signals = new Signals(Signals.allocate())
const credit = { documents: settings.queueCap, bytes: QUEUED_BYTES_MAX }
let settledCount = 0

const sink = new ElasticsearchSink(settings, {
  deadLetters: null,
  overflow: null,
  events: {
    fail: (error) => {
      throw error
    },
    endOfOutput: () => undefined,
  },
})
await sink.open()

const threads = Array.from({ length: threadCount }, (_, partition) => {
  const data: EncoderData = {
    settings,
    records: Number(options.records),
    bytes: Number(options.bytes),
    partition,
    signals: signals.memory,
    credit,
  }
  const thread = new Worker(new URL('encoder-thread.ts', import.meta.url), { workerData: data })
  thread.on('message', (batch: EncodedBatch) => {
    sink.write(batchOf(batch, () => signals.release(batch.ends.length, batch.body.length)))
  })
  return thread
})

const rates: number[] = []
await round()
for (let left = Number(options.rounds); left > 0; left--) rates.push(await round())
rates.sort((left, right) => left - right)
const median = rates[rates.length >> 1] ?? 0
process.stdout.write(
  `${options.document}, ${options.bytes} B, ${threadCount} encoding threads: ` +
    `${Math.round(median)} documents/s (${Math.round(rates[0] ?? 0)} to ` +
    `${Math.round(rates.at(-1) ?? 0)}), ${process.cpuUsage().user / 1e6} s user, ` +
    `${process.cpuUsage().system / 1e6} s system here\n`,
)
signals.setPhase(PHASE_END)
await Promise.all(threads.map((thread) => once(thread, 'exit')))
await sink.close(5000)
stub?.stdin.end()

async function round(): Promise<number> {
  const started = performance.now()
  const before = settledCount
  if (threadCount > 0) await new Promise((resolve) => setTimeout(resolve, ROUND_MS))
  else await writeReadyMade(started + ROUND_MS)
  return ((settledCount - before) * 1000) / (performance.now() - started)
}

async function writeReadyMade(endMs: number): Promise<void> {
  const readyMade = encodeOnce()
  while (performance.now() < endMs) {
    for (let turns = 0; turns < 8 && sink.gauges().queuedBytes < QUEUED_BYTES_MAX; turns++) {
      sink.write(batchOf(readyMade, () => undefined))
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function encodeOnce(): EncodedBatch {
  const encoder = new BulkEncoder(settings)
  const builder = new BodyBuilder()
  for (const record of filledSlot(Number(options.records), Number(options.bytes), 0)) {
    encoder.encode(record, builder)
    builder.endDocument()
  }
  const { body, ends } = builder.take()
  return { body, ends, offsets: new Float64Array(ends.length) }
}

function batchOf({ body, ends, offsets }: EncodedBatch, released: () => void): Delivery {
  const timestampsMs = new Float64Array(ends.length)
  const timestampTypes = new Uint8Array(ends.length)
  const run = { topic: 'bench', partition: 0, assignmentId: 1, offsets }
  return {
    body,
    ends,
    runs: [{ ...run, timestampsMs, timestampTypes }],
    settle: (from, to) => (settledCount += to - from),
    release: released,
    splitOff: () => NO_LEASE,
  }
}
