/**
 * Records of every kind that Kafka knows, made from a seed, and sent so that it is known which
 * offset each one has: what an output must hold can then be said exactly.
 */
import binding, { type Producer } from '@confluentinc/kafka-javascript'
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'

export interface KnownRecord {
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
  readonly timestampMs: number
}

export interface SentRecord extends KnownRecord {
  readonly offset: number
}

export interface RecordsOptions {
  readonly seed: number
  readonly count: number
  readonly partitions: number
  /** Sizes of values that come once each, beside the small ones. */
  readonly largeBytes: readonly number[]
}

/** Queued in the producer at most; the large values are the reason. */
const QUEUE_KBYTES = 65_536
const QUEUE_FULL = -184
const SEND_MS_MAX = 60_000

/** xorshift32: the same records everywhere. */
function makeRandom(seed: number): (below: number) => number {
  let state = seed * 2 + 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const WORDS = ['INFO', 'ERRO', 'RROR', 'Error', 'error', 'E', 'R', 'served', 'latency=17', 'WARN']
/** Broken UTF-8: a lone continuation, an overlong zero, a surrogate, a cut sequence. */
const BROKEN = [[0x80], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xff, 0x00, 0xfe]]

/**
 * About one in nine contains ERROR: at the front, at the back, in the middle, alone, in broken
 * UTF-8. Others have it in the key or a header only, or split over two records, or in small
 * letters.
 */
export function makeRecords(options: RecordsOptions): KnownRecord[] {
  const random = makeRandom(options.seed)
  const filler = (bytes: number) => {
    let text = ''
    while (text.length < bytes) text += `${WORDS[random(WORDS.length)] ?? ''} ${random(1000)} `
    return Buffer.from(text.slice(0, bytes))
  }
  const broken = () => Buffer.from(BROKEN[random(BROKEN.length)] ?? [])
  const error = Buffer.from('ERROR')
  const makers: readonly (() => Buffer | null)[] = [
    () => null,
    () => Buffer.alloc(0),
    () => error,
    () => Buffer.concat([error, filler(random(200))]),
    () => Buffer.concat([filler(random(2000)), error]),
    () => Buffer.concat([filler(random(200)), broken(), error, broken(), filler(random(200))]),
    () => Buffer.concat([filler(20), Buffer.from('\nERROR ERROR\r\n'), filler(20)]),
    () => Buffer.concat([filler(random(100)), Buffer.from('ERR')]),
    () => Buffer.concat([Buffer.from('OR '), filler(random(100))]),
    () => broken(),
    () => filler(1 + random(20_000)),
  ]
  const large = new Map(
    options.largeBytes.map((bytes, index) => [
      Math.floor(((index + 1) * options.count) / (options.largeBytes.length + 1)),
      bytes,
    ]),
  )
  return Array.from({ length: options.count }, (_, index) => {
    const bytes = large.get(index)
    const maker = random(5) === 0 ? makers[random(makers.length)] : undefined
    let value = maker === undefined ? filler(random(400)) : maker()
    // Every other large one matches, at its very end.
    if (bytes !== undefined)
      value = Buffer.concat([filler(bytes - 5), random(2) ? error : broken()])
    return {
      // Skewed, and the last partition stays empty.
      partition: random(10) < 8 ? 0 : random(Math.max(1, options.partitions - 1)),
      key: random(3) === 0 ? null : Buffer.from(random(9) === 0 ? 'ERROR' : `key-${random(50)}`),
      value,
      headers:
        random(4) === 0
          ? [
              ['level', error],
              ['level', broken()],
              ['', null],
            ]
          : [],
      timestampMs: 1_700_000_000_000 + index,
    }
  })
}

export interface SendOptions {
  readonly bootstrapServers: string
  readonly topic: string
  readonly codec: string
  /** Sends all of them in one transaction, and ends it so. */
  readonly transaction?: 'commit' | 'abort'
}

/** Sends them in order. @returns them with their offsets, once all are acknowledged. */
export async function sendRecords(
  records: readonly KnownRecord[],
  { bootstrapServers, topic, codec, transaction }: SendOptions,
): Promise<SentRecord[]> {
  const producer = new binding.Producer({
    'bootstrap.servers': bootstrapServers,
    'compression.codec': codec as 'lz4',
    'message.max.bytes': 10_000_000,
    'queue.buffering.max.kbytes': QUEUE_KBYTES,
    'linger.ms': 5,
    dr_cb: true,
    ...(transaction === undefined ? {} : { 'transactional.id': `${topic}-${transaction}` }),
  })
  const offsets = records.map(() => -1)
  let acked = 0
  let refused: unknown
  producer.on('delivery-report', (error, report) => {
    if (error) refused ??= error
    offsets[report.opaque as number] = report.offset
    acked++
  })
  await call((done) => producer.connect({}, done))
  producer.setPollInBackground(true)
  try {
    if (transaction !== undefined) {
      await call((done) => producer.initTransactions(SEND_MS_MAX, done))
      await call((done) => producer.beginTransaction(done))
    }
    for (const [index, record] of records.entries()) await produce(producer, topic, record, index)
    await call((done) => producer.flush(SEND_MS_MAX, done))
    for (const endMs = performance.now() + SEND_MS_MAX; acked < records.length;) {
      assert.ok(performance.now() < endMs, `${acked} of ${records.length} acknowledged`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    if (transaction === 'commit')
      await call((done) => producer.commitTransaction(SEND_MS_MAX, done))
    if (transaction === 'abort') await call((done) => producer.abortTransaction(SEND_MS_MAX, done))
  } finally {
    await new Promise<void>((resolve) => producer.disconnect(0, () => resolve()))
  }
  assert.equal(refused, undefined)
  return records.map((record, index) => ({ ...record, offset: offsets[index] ?? -1 }))
}

async function produce(
  producer: Producer,
  topic: string,
  { partition, key, value, headers, timestampMs }: KnownRecord,
  opaque: number,
): Promise<void> {
  // The binding sends an empty header value as none, and takes no null.
  const pairs = headers.map(([name, value]) => ({ [name]: value ?? Buffer.alloc(0) }))
  for (;;) {
    try {
      producer.produce(topic, partition, value, key, timestampMs, opaque, pairs)
      return
    } catch (error) {
      if ((error as { code?: unknown }).code !== QUEUE_FULL) throw error
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

function call(start: (done: (error: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    // The binding says "no error" with undefined or null, whatever its types say.
    start((error) => (error ? reject(asError(error)) : resolve()))
  })
}

/** The binding's own errors are plain objects. */
function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(JSON.stringify(error), { cause: error })
}

/** What `--format raw` makes of these values, in lines, sorted, as one checksum and a count. */
export function checksumOfValues(values: readonly (Buffer | null)[]): Checksum {
  const newline = Buffer.from('\n')
  return checksumOfText(Buffer.concat(values.flatMap((value) => [value ?? '', newline].map(bytes))))
}

const bytes = (part: Buffer | string) => (typeof part === 'string' ? Buffer.from(part) : part)

export interface Checksum {
  readonly lines: number
  readonly sha256: string
}

/** Of the text's lines, whatever their order. */
export function checksumOfText(text: Buffer): Checksum {
  const lines: string[] = []
  for (let from = 0; from < text.length;) {
    const found = text.indexOf(0x0a, from)
    const to = found === -1 ? text.length : found
    // A digest for each: lines are up to megabytes long, and any bytes.
    lines.push(createHash('sha256').update(text.subarray(from, to)).digest('base64'))
    from = to + 1
  }
  const sum = createHash('sha256')
  for (const line of lines.sort()) sum.update(line)
  return { lines: lines.length, sha256: sum.digest('hex') }
}
