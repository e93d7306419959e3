/**
 * Documents a second into a real Elasticsearch: the output of logpipe beside a loop that posts
 * ready-made bodies over as many connections. An idle Kafka broker runs beside them, as in use.
 *
 *   build/node bench/elasticsearch.ts [--documents 60000] [--bytes 1000] [--connections 4]
 *        [--rounds 5]
 *
 * Both get the same documents, made before the clock starts, in rounds that take turns, each first in
 * every second one. Each round has an index of its own without replicas or refresh, whose mapping
 * has a text and six fields. The loop's bodies hold as many documents as the output's requests at
 * most. Printed: medians, spreads, and the ratio, of the medians and round by round.
 */
import { once } from 'node:events'
import http from 'node:http'
import { parseArgs } from 'node:util'
import { BodyBuilder } from '../src/pool/record-encoder.ts'
import { BulkEncoder } from '../src/sink/elasticsearch/bulk-encoder.ts'
import { ElasticsearchSink } from '../src/sink/elasticsearch/elasticsearch-sink.ts'
import { ELASTICSEARCH_DEFAULTS } from '../test/helpers/elasticsearch-defaults.ts'
import { NO_LEASE, type Delivery } from '../src/sink/sink.ts'
import { startKafka } from '../test/servers/kafka.ts'
import { startElasticsearch } from '../test/servers/search.ts'

const { values: options } = parseArgs({
  options: {
    documents: { type: 'string', default: '60000' },
    bytes: { type: 'string', default: '1000' },
    connections: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
  },
})
const documentCount = Number(options.documents)
const connections = Number(options.connections)
/** Records of a slot. */
const SLOT_RECORDS = 256
const EMPTY = Buffer.alloc(0)

const [kafka, elasticsearch] = await Promise.all([startKafka(), startElasticsearch()])
const { url } = elasticsearch
const agent = new http.Agent({ keepAlive: true, maxSockets: connections })
/** One for all rounds, as in a program that runs: how many requests fit is found out once. */
const sink = new ElasticsearchSink(
  { ...ELASTICSEARCH_DEFAULTS, urls: [url], concurrencyMax: connections, timeoutMs: 30_000 },
  {
    events: {
      fail: (error) => {
        throw error
      },
      endOfOutput: () => undefined,
    },
    deadLetters: null,
    overflow: null,
  },
)
let roundCount = 0

try {
  await Promise.all([writeAll('warm'), postAll('warm')])
  const rates = { output: [] as number[], loop: [] as number[] }
  for (let round = 0; round < Number(options.rounds); round++) {
    // Who comes second meets the merges that the first has left.
    if (round % 2 === 0) rates.output.push(await writeAll('output'))
    rates.loop.push(await postAll('loop'))
    if (round % 2 === 1) rates.output.push(await writeAll('output'))
  }
  const [output, loop] = [describe('the output', rates.output), describe('the loop', rates.loop)]
  const ratios = rates.output
    .map((rate, round) => rate / (rates.loop[round] ?? NaN))
    .toSorted((left, right) => left - right)
  const at = (part: number) => (ratios[Math.floor((ratios.length - 1) * part)] ?? NaN).toFixed(2)
  process.stdout.write(
    `the output is at ${(output / loop).toFixed(2)} of the loop; round by round ${at(0.5)}, ` +
      `half of the rounds between ${at(0.25)} and ${at(0.75)}\n`,
  )
} finally {
  agent.destroy()
  await sink.close(1000)
  await Promise.all([kafka.stop(), elasticsearch.stop()])
}

function describe(what: string, rates: readonly number[]): number {
  const sorted = rates.toSorted((left, right) => left - right)
  const median = sorted[sorted.length >> 1] ?? 0
  const spread = ((sorted.at(-1) ?? 0) - (sorted[0] ?? 0)) / median
  const text = `${Math.round(median)} documents/s, spread ${Math.round(spread * 100)} %`
  process.stdout.write(`${what}: ${text}\n`)
  return median
}

interface Prepared {
  readonly batches: readonly Pick<Delivery, 'body' | 'ends'>[]
}

/** Batches as filter threads make them, for an index that is made here. */
async function prepare(name: string): Promise<Prepared> {
  const index = `${name}-${++roundCount}`
  const fields = ['level', 'service', 'host', 'zone'].map((field) => [field, { type: 'keyword' }])
  await request('PUT', `/${index}`, {
    settings: { number_of_replicas: 0, refresh_interval: '-1' },
    mappings: {
      properties: {
        ...Object.fromEntries(fields),
        seq: { type: 'long' },
        took_ms: { type: 'float' },
        message: { type: 'text' },
      },
    },
  })
  const encoder = new BulkEncoder({ ...ELASTICSEARCH_DEFAULTS, index, document: 'raw' })
  const builder = new BodyBuilder()
  const batches = []
  for (let offset = 0; offset < documentCount; offset++) {
    encoder.encode(recordAt(offset), builder)
    builder.endDocument()
    if (builder.documentCount === SLOT_RECORDS || offset === documentCount - 1) {
      batches.push(builder.take())
    }
  }
  return { batches }
}

function recordAt(offset: number): Parameters<BulkEncoder['encode']>[0] {
  const head =
    `{"level":"ERROR","seq":${offset},"service":"checkout-${offset % 7}","host":"h${offset % 31}",` +
    `"zone":"z${offset % 3}","took_ms":${offset % 997}.5,"message":"`
  const text = `order ${offset} of customer ${offset % 4711} could not be booked, will try again; `
  const byteCount = Number(options.bytes)
  const value = `${(head + text.repeat(1 + byteCount / text.length)).slice(0, byteCount - 2)}"}`
  const rest = { timestampMs: 1, timestampType: 'create' as const, key: null, headers: EMPTY }
  return { topic: 'bench', partition: 0, offset, idPrefix: '', value: Buffer.from(value), ...rest }
}

/** @returns documents a second. */
async function writeAll(name: string): Promise<number> {
  const { batches } = await prepare(name)
  const { promise, resolve } = Promise.withResolvers<void>()
  let leftCount = documentCount
  const settled = (count: number) => {
    leftCount -= count
    if (leftCount === 0) resolve()
  }
  const started = performance.now()
  for (const { body, ends } of batches) {
    const timestampTypes = new Uint8Array(ends.length)
    const run = { topic: 'bench', partition: 0, assignmentId: 1, timestampTypes }
    const numbers = new Float64Array(ends.length)
    sink.write({
      body,
      ends,
      runs: [{ ...run, offsets: numbers, timestampsMs: numbers }],
      settle: (from, to) => settled(to - from),
      ...NO_LEASE,
    })
  }
  await promise
  return documentCount / ((performance.now() - started) / 1000)
}

async function postAll(name: string): Promise<number> {
  const { batches } = await prepare(name)
  const perBody = Math.max(1, Math.floor(ELASTICSEARCH_DEFAULTS.bulkActions / SLOT_RECORDS))
  const bodies: Buffer[] = []
  for (let first = 0; first < batches.length; first += perBody) {
    bodies.push(Buffer.concat(batches.slice(first, first + perBody).map(({ body }) => body)))
  }
  const started = performance.now()
  const post = async (): Promise<void> => {
    for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) {
      const answer = await request('POST', '/_bulk?filter_path=errors', body)
      if (answer !== '{"errors":false}') throw new TypeError(answer.slice(0, 300))
    }
  }
  await Promise.all(Array.from({ length: connections }, post))
  return documentCount / ((performance.now() - started) / 1000)
}

async function request(method: string, path: string, body: object): Promise<string> {
  const isBulk = Buffer.isBuffer(body)
  const headers = { 'content-type': isBulk ? 'application/x-ndjson' : 'application/json' }
  const asked = http.request(`${url}${path}`, { method, agent, headers })
  asked.end(isBulk ? body : JSON.stringify(body))
  const [response] = (await once(asked, 'response')) as [http.IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
