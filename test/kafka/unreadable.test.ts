/**
 * Partitions that stand still: which are told, which are set aside, and what is skipped.
 *
 * A partition is a list of batches, some damaged; librdkafka's part is played by a consumer that
 * answers a probe, and a read, with what the batch at that offset gives.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  initialState,
  recordAskedEnd,
  recordUnanswered,
  type PartitionState,
} from '../../src/kafka/partition-state.ts'
import type { IngressMessage, StuckPartition } from '../../src/kafka/ingress-messages.ts'
import { Search, UnreadablePartitions } from '../../src/kafka/unreadable.ts'
import { consumerOn } from '../helpers/consumer-on.ts'

const ID = 7

interface Batch {
  readonly records: number
  readonly isDamaged: boolean
}

/** A partition, its reader, and a clock. */
class Bench {
  nowMs = 0
  readonly sent: IngressMessage[] = []
  readonly state: PartitionState
  /** What a fetch gives is refused whole: no rights, say. The offset is the one asked for. */
  isRefused = false
  isPaused = false
  readonly #batches: readonly (Batch & { readonly base: number })[]
  #end: number
  readonly #watch: UnreadablePartitions
  /** What the consumer does next: read on, or answer a probe. */
  #probe: number | null = null
  #isHalted = false

  constructor(batches: readonly Batch[], skipUnreadable: boolean) {
    let base = 0
    this.#batches = batches.map((batch) => {
      base += batch.records
      return { ...batch, base: base - batch.records }
    })
    this.#end = base
    this.state = initialState({ topic: 'app', partition: 0, offset: 0 })
    const consumer = consumerOn({
      consumerPause: () => {
        this.isPaused = true
      },
      consumerProbe: (_consumer, _id, offset) => {
        this.isPaused = false
        this.#isHalted = false
        this.#probe = offset
      },
      consumerSeek: () => {
        this.#probe = null
      },
    })
    this.#watch = new UnreadablePartitions(
      {
        consumer,
        skipUnreadable,
        nowMs: () => this.nowMs,
        send: (message) => this.sent.push(message),
      },
      new Map([[ID, this.state]]),
      () => {
        this.isPaused = false
        this.#isHalted = false
        this.#probe = null
      },
    )
  }

  clientError(): void {
    const message = 'Receive failed: increase receive.message.max.bytes'
    this.#watch.recordClientError({ code: '_BAD_MSG', message, topic: null })
    this.#watch.recordClientError({ code: '_ALL_BROKERS_DOWN', message: '1/1', topic: null })
  }

  /** Seconds of an ingress thread; `isSilent`: no fetch is answered. */
  run(seconds: number, { isSilent = false, isReading = true, isAnswered = true } = {}): void {
    for (let second = 0; second < seconds; second++) {
      this.nowMs += 1000
      for (const state of this.#watch.still()) {
        if (isAnswered) recordAskedEnd(state, this.#end, this.nowMs)
        else recordUnanswered(state, 'end offset: _TIMED_OUT', this.nowMs)
      }
      const fetches = isSilent || !isReading ? 0 : 50
      for (let step = 0; step < fetches; step++) this.#fetch()
      this.#watch.check(isReading)
    }
  }

  stuck(): readonly StuckPartition[] {
    return this.sent.findLast((message) => message.kind === 'stuck')?.partitions ?? []
  }

  unanswered(): readonly string[] {
    const last = this.sent.findLast((message) => message.kind === 'stuck')
    return last?.unanswered.map(({ problem }) => problem ?? '') ?? []
  }

  /** Records that were there before, and were read, and more of them. */
  grow(records: number): void {
    this.#end += records
  }

  get skipped(): (readonly [from: number, to: number])[] {
    return this.sent.flatMap((one) => (one.kind === 'skipped' ? [[one.from, one.to] as const] : []))
  }

  #batchAt(offset: number): (Batch & { readonly base: number }) | undefined {
    return this.#batches.find(({ base, records }) => offset >= base && offset < base + records)
  }

  #fetch(): void {
    if (this.isPaused || this.#isHalted) return
    const at = this.#probe ?? this.state.offset
    const batch = this.#batchAt(at)
    if (this.isRefused || batch?.isDamaged === true) {
      this.#isHalted = true
      const offset = this.isRefused ? at : (batch?.base ?? at)
      const error = { code: '_BAD_MSG', message: 'failed CRC32C check', offset }
      this.#watch.recordUnreadable({ kind: 'unreadable', assignmentId: ID, ...error })
    } else if (this.#probe !== null) {
      this.#isHalted = true
      this.#watch.recordReadable(ID)
    } else if (batch !== undefined) {
      this.state.offset = batch.base + batch.records
    } else {
      this.state.metEnd = this.#end
    }
  }
}

const good = (records: number): Batch => ({ records, isDamaged: false })
const damaged = (records: number): Batch => ({ records, isDamaged: true })

test('a damaged batch is told at its second failure, then every minute; none is skipped', () => {
  const bench = new Bench([good(20), damaged(10), good(20)], false)
  bench.run(1)
  assert.deepEqual([bench.state.offset, bench.stuck()], [20, []])
  assert.ok(bench.isPaused)
  bench.run(10)
  assert.deepEqual(bench.stuck(), [
    {
      topic: 'app',
      partition: 0,
      offset: 20,
      reason: 'failed CRC32C check (_BAD_MSG)',
      canSkip: true,
      isDue: true,
    },
  ])
  bench.run(290)
  assert.equal(bench.sent.filter(({ kind }) => kind === 'stuck').length, 5)
  assert.deepEqual([bench.state.offset, bench.skipped], [20, []])
})

test('what was told is taken back when the partition is read again', () => {
  const bench = new Bench([good(20)], true)
  bench.isRefused = true
  bench.run(30)
  assert.equal(bench.stuck().length, 1)
  bench.isRefused = false
  bench.run(30)
  assert.deepEqual([bench.state.offset, bench.stuck(), bench.skipped], [20, [], []])
})

test('exactly the damaged batches are skipped, and all else is read', () => {
  const batches = fc.array(
    fc.record({ records: fc.integer({ min: 1, max: 3000 }), isDamaged: fc.boolean() }),
    { minLength: 1, maxLength: 6 },
  )
  fc.assert(
    fc.property(batches, (list) => {
      const bench = new Bench(list, true)
      bench.run(60 * list.length)
      const lost = bench.skipped.reduce((sum, [from, to]) => sum + to - from, 0)
      const expected = list.reduce((sum, one) => sum + (one.isDamaged ? one.records : 0), 0)
      assert.equal(lost, expected)
      assert.equal(
        bench.state.offset,
        list.reduce((sum, { records }) => sum + records, 0),
      )
      assert.deepEqual(bench.stuck(), [])
    }),
    { numRuns: 100 },
  )
})

test('a broker that refuses everything proves nothing about a batch', () => {
  const bench = new Bench([good(20), good(20)], true)
  bench.run(0)
  bench.isRefused = true
  bench.run(600)
  assert.deepEqual(bench.skipped, [])
  // Away altogether in the midst of a search.
  bench.isRefused = false
  const other = new Bench([damaged(10), good(20)], true)
  other.run(5)
  other.run(60, { isSilent: true })
  assert.deepEqual(other.skipped, [])
  other.run(60)
  assert.deepEqual(other.skipped, [[0, 10]])
})

test('silence is told when brokers say that there is more', () => {
  const bench = new Bench([good(20)], true)
  bench.run(25, { isSilent: true })
  assert.deepEqual(bench.stuck(), [])
  bench.run(15, { isSilent: true })
  const one = bench.stuck()[0]
  assert.match(one?.reason ?? '', /no record for \d+ s, but the end offset is 20: no error/)
  assert.equal(one?.canSkip, false)
  // Nobody is in its way: it is read on.
  assert.equal(bench.isPaused, false)
  const idle = new Bench([], true)
  idle.run(600)
  assert.deepEqual(idle.sent, [])
})

test('once its end was met, a partition that stands still is told within five seconds', () => {
  const bench = new Bench([good(20)], true)
  bench.run(3)
  bench.grow(5)
  bench.run(4, { isSilent: true })
  assert.deepEqual(bench.stuck(), [
    {
      topic: 'app',
      partition: 0,
      offset: 20,
      reason: 'no record comes, but the end offset is 25',
      canSkip: false,
      isDue: false,
    },
  ])
  assert.equal(bench.isPaused, false, 'it may come yet')
  bench.run(2)
  assert.deepEqual(bench.stuck(), [])
  // So is one with an error of the client, wherever it stands.
  const failing = new Bench([good(20)], true)
  failing.run(1, { isSilent: true })
  failing.clientError()
  failing.run(4, { isSilent: true })
  assert.equal(failing.stuck().length, 1)
})

test('brokers that do not say where a partition ends are told within five seconds', () => {
  const bench = new Bench([good(20)], true)
  const away = { isSilent: true, isAnswered: false }
  bench.run(3)
  bench.run(1, away)
  assert.deepEqual(bench.sent, [], 'a leader may move')
  bench.run(3, away)
  const told = ['its broker does not answer']
  assert.deepEqual([bench.unanswered(), bench.stuck()], [told, []])
  bench.run(60, away)
  assert.equal(bench.sent.length, 1, 'once')
  bench.run(1, { isSilent: true })
  assert.deepEqual(bench.unanswered(), [])
})

test('a partition that costs its broker the connection is set aside, longer each time', () => {
  const bench = new Bench([good(20)], true)
  const pauses: number[] = []
  for (let second = 0; second < 900; second++) {
    const was = bench.isPaused
    // librdkafka tells the same error every half minute.
    if (!was && second % 30 === 3) bench.clientError()
    bench.run(1, { isSilent: true })
    if (!was && bench.isPaused) pauses.push(second)
  }
  assert.match(bench.stuck()[0]?.reason ?? '', /receive\.message\.max\.bytes/)
  const gaps = pauses.slice(1).map((second, index) => second - pauses[index]!)
  assert.ok(gaps.length >= 3 && gaps.every((gap, index) => index === 0 || gap > gaps[index - 1]!))
  assert.ok(pauses[0]! < 20)
  assert.deepEqual(bench.skipped, [])
})

test('a leader that is away is no reason to set its partition aside', () => {
  const bench = new Bench([good(20)], true)
  bench.run(8, { isSilent: true })
  bench.clientError()
  bench.run(60, { isSilent: true, isAnswered: false })
  assert.deepEqual([bench.isPaused, bench.stuck()], [false, []])
  // It is back, and a fetch comes a moment after its first answer.
  bench.run(1, { isSilent: true })
  assert.equal(bench.isPaused, false)
  bench.run(2)
  assert.equal(bench.state.offset, 20)
})

test('time in which nothing is read does not count', () => {
  const bench = new Bench([good(20)], true)
  bench.run(600, { isSilent: true, isReading: false })
  bench.state.isPausedByMain = true
  bench.run(600, { isSilent: true })
  assert.deepEqual(bench.sent, [])
})

test('the end of a batch is found in as many probes as its length has digits', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e9 }),
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 0, max: 1e6 }),
      (from, length, more) => {
        const end = from + length + more
        const search = new Search(from, end, from)
        for (let probes = 1; ; probes++) {
          assert.ok(search.target >= from && search.target <= end)
          const isBehind = search.target >= from + length
          const progress = isBehind ? search.read() : search.failed(from)
          if (progress === 'searching') continue
          assert.equal(progress, 'found')
          assert.equal(search.found, from + length)
          return assert.ok(probes <= 2 * Math.ceil(Math.log2(length + 1)) + 3)
        }
      },
    ),
  )
})
