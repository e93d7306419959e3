/**
 * Goal: what the spill lost is read again and the books tell it, in both modes; what Kafka has no
 * more is lost; a broker that is away is asked again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock } from '../../src/core/clock.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { Books } from '../../src/offsets/books.ts'
import type { Refetched, Unread } from '../../src/run/refetch.ts'
import { SpillRepair, type RepairParts } from '../../src/run/spill-repair.ts'
import type { DocumentKey } from '../../src/sink/elasticsearch/batch.ts'
import type { OffsetRange } from '../../src/core/topic-partition.ts'
import type { Outcome, Delivery } from '../../src/sink/sink.ts'
import type { SpillDamage } from '../../src/sink/spill/contract.ts'

const DAMAGE: SpillDamage = {
  file: 'segment',
  bytesFrom: 10,
  bytesTo: 20,
  lostCount: 3,
  ranges: [{ topic: 'app', partition: 1, from: 10, to: 20, count: 3 }],
  unattributedCount: 0,
  torn: false,
}

class Rig {
  readonly books = new Books()
  readonly clock = new ManualClock()
  readonly warnings: string[] = []
  readonly asked: OffsetRange[] = []
  readonly written: Delivery[] = []
  readonly settled: [document: DocumentKey, outcome: Outcome][] = []
  /** The rules that make a document of each match; none: there are no rules. */
  rules: readonly number[] = []
  resolvedCount = 0
  resolving = Promise.resolve()
  /** Kafka has what lies from here on. */
  low = 0
  committed: number | null = null
  /** The log that the topic has. */
  log = 'b'
  /** No broker answers for this partition. */
  awayPartition: number | null = null
  readonly repair: SpillRepair

  constructor(commitOn: 'index' | 'spill', movedOut: readonly DocumentKey[] = []) {
    const parts: RepairParts = {
      commitOn,
      sink: {
        write: (batch) => this.written.push(batch),
        movedOutIn: () =>
          new Map(
            movedOut.map((document) => [
              document,
              (outcome: Outcome) => this.settled.push([document, outcome]),
            ]),
          ),
        movedOutRanges: () => [{ topic: 'app', partition: 1, from: 0, to: 99, count: 2 }],
      },
      spill: {
        resolveDamage: () => {
          this.resolvedCount++
          return this.resolving
        },
      },
      books: this.books,
      openRefetcher: () => ({
        read: async (range, take) => await this.#read(range, take),
        committed: () => Promise.resolve(this.committed),
        close: () => undefined,
      }),
      warn: (message) => this.warnings.push(message),
      fail: (error) => assert.fail(error),
      clock: this.clock,
    }
    this.repair = new SpillRepair(parts)
  }

  /** Every second record of a range matches, and one more behind it. */
  async #read(
    range: OffsetRange,
    take: (refetched: Refetched) => Promise<void>,
  ): Promise<Unread[]> {
    this.asked.push(range)
    if (range.log !== undefined && range.log !== this.log) return [{ ...range, isOtherLog: true }]
    if (range.partition === this.awayPartition)
      throw new LogpipeError('KAFKA_UNREACHABLE', 'no broker')
    const from = Math.max(range.from, this.low)
    if (from >= range.to) return [range]
    const offsets = Array.from({ length: range.to - from }, (_, index) => from + index)
    const documents = offsets
      .filter((offset) => offset % 2 === 0)
      .flatMap((offset) => {
        const rules: readonly (number | undefined)[] =
          this.rules.length === 0 ? [undefined] : this.rules
        return rules.map((rule) => ({ offset, rule }))
      })
      .map(({ offset, rule }) => ({
        rule,
        topic: range.topic,
        partition: range.partition,
        offset,
        timestampMs: 1,
        timestampType: 'create' as const,
        document: Buffer.from(`{"create":{}}\n{"at":${offset}}\n`),
      }))
    const filteredCount = offsets.filter((offset) => offset % 2 !== 0).length
    await take({ documents, filteredCount, behindCount: 1 })
    return from > range.from ? [{ ...range, to: from }] : []
  }

  async settle(outcome: Outcome): Promise<void> {
    for (let turns = 0; turns < 5; turns++) await turn()
    for (const batch of this.written.splice(0)) {
      batch.settle(0, batch.ends.length, outcome)
      batch.release()
    }
    for (let turns = 0; turns < 5; turns++) await turn()
  }

  get book() {
    return this.books.of('app', 1)
  }

  get statement() {
    return this.books.state(() => 0)
  }
}

test('under spill, what an earlier process lost is read and booked as carried in', async () => {
  const rig = new Rig('spill')
  rig.repair.add(DAMAGE, true)
  assert(!rig.repair.isDone)
  await rig.settle('indexed')
  assert(rig.repair.isDone)
  assert.equal(rig.resolvedCount, 1)
  const counts = ['carried_in', 'fetched', 'indexed', 'fenced', 'filtered(pattern)'] as const
  assert.deepEqual(
    counts.map((entry) => rig.book.count(entry)),
    // Ten records and one behind; five match; the entries replaced and the one behind are fenced.
    [3, 11, 5, 3 + 1, 5],
  )
  assert.deepEqual(rig.statement.imbalances, [])
  assert.equal(rig.statement.exitStatus, 0)
})

test('under spill, damage while it runs takes its entries out of the spill', async () => {
  const rig = new Rig('spill')
  rig.book.add('fetched', 3)
  rig.book.add('spilled', 3)
  rig.repair.add(DAMAGE, false)
  await rig.settle('duplicate')
  assert.equal(rig.book.count('spilled'), 0)
  assert.deepEqual(rig.statement.imbalances, [])
})

test('until it is settled, the damaged files stay', async () => {
  const rig = new Rig('spill')
  rig.repair.add(DAMAGE, true)
  for (let turns = 0; turns < 5; turns++) await turn()
  assert.equal(rig.written.length, 1)
  await rig.repair.close()
  assert.equal(rig.resolvedCount, 0)
  assert(!rig.repair.isDone, 'the exit status tells it')
  assert.deepEqual(rig.statement.imbalances, [])
})

test('what Kafka has no more is lost, with exit status 3', async () => {
  const rig = new Rig('spill')
  rig.low = 14
  rig.repair.add(DAMAGE, true)
  await rig.settle('indexed')
  assert.deepEqual(rig.book.lost('spill'), { count: 4, ranges: [{ from: 10, to: 14 }] })
  assert.match(rig.warnings.join('\n'), /app \[1\]: offsets 10 to 13 are lost/)
  assert.equal(rig.statement.exitStatus, 3)
  assert.deepEqual(rig.statement.imbalances, [])
  assert.equal(rig.resolvedCount, 1)
})

test('entries that nothing tells the offsets of are lost, unless they are unsettled', async () => {
  const damage = { ...DAMAGE, ranges: [], unattributedCount: 3 }
  const spill = new Rig('spill')
  spill.repair.add(damage, true)
  await spill.settle('indexed')
  assert.equal(spill.statement.total.lost('spill').count, 3)
  assert.equal(spill.statement.exitStatus, 3)
  const index = new Rig('index', [50, 52])
  index.repair.add(damage, false)
  await index.settle('indexed')
  assert.deepEqual(index.asked, [{ topic: 'app', partition: 1, from: 0, to: 99, count: 2 }])
  assert.deepEqual(index.settled, [
    [50, 'indexed'],
    [52, 'indexed'],
  ])
  assert.equal(index.statement.exitStatus, 0)
})

test('under index, only what is unsettled is sent, and settled in its old place', async () => {
  const rig = new Rig('index', [12, 16])
  rig.repair.add(DAMAGE, false)
  await rig.settle('indexed')
  assert.deepEqual(rig.settled, [
    [12, 'indexed'],
    [16, 'indexed'],
  ])
  assert.equal(rig.book.count('indexed'), 0, 'counted where it was pending')
  assert.deepEqual(rig.statement.imbalances, [])
})

test('of a record with several documents, that of the right rule is sent and settled', async () => {
  const rig = new Rig('index', ['12 1', '16 0', '16 1'])
  rig.rules = [0, 1]
  rig.repair.add(DAMAGE, false)
  await rig.settle('indexed')
  assert.deepEqual(rig.settled, [
    ['12 1', 'indexed'],
    ['16 0', 'indexed'],
    ['16 1', 'indexed'],
  ])
  assert.deepEqual(rig.statement.imbalances, [])
})

test('of an end that was never finished only what is committed is read', async () => {
  const rig = new Rig('spill')
  rig.committed = 14
  rig.repair.add({ ...DAMAGE, torn: true }, true)
  await rig.settle('indexed')
  assert.deepEqual(rig.asked, [{ ...DAMAGE.ranges[0], to: 14 }])
  const none = new Rig('spill')
  none.repair.add({ ...DAMAGE, torn: true }, true)
  await none.settle('indexed')
  assert.deepEqual(none.asked, [])
})

test('a broker that is away is asked again', async () => {
  const rig = new Rig('spill')
  rig.awayPartition = 1
  rig.repair.add(DAMAGE, true)
  for (let turns = 0; turns < 5; turns++) await turn()
  assert.match(rig.warnings.at(-1) ?? '', /no broker; retrying in 5 s/)
  assert(!rig.repair.isDone)
  rig.awayPartition = null
  rig.clock.advance(5000)
  await rig.settle('indexed')
  assert(rig.repair.isDone)
  assert.equal(rig.asked.length, 2)
})

test('a broker that leaves half way through has what was read before booked once', async () => {
  for (const isLeftover of [false, true]) {
    const rig = new Rig('spill')
    for (const partition of [1, 2]) {
      const book = rig.books.of('app', partition)
      if (!isLeftover) book.carryIn(3)
    }
    rig.awayPartition = 2
    const [range] = DAMAGE.ranges
    const ranges = [range!, { ...range!, partition: 2 }]
    rig.repair.add({ ...DAMAGE, lostCount: 6, ranges }, isLeftover)
    await rig.settle('indexed')
    assert.match(rig.warnings.at(-1) ?? '', /no broker/)
    rig.awayPartition = null
    rig.clock.advance(5000)
    await rig.settle('indexed')
    assert(rig.repair.isDone)
    assert.deepEqual(
      rig.asked.map(({ partition }) => partition),
      [1, 2, 2],
    )
    const { total } = rig.statement
    assert.deepEqual([total.count('carried_in'), total.count('spilled')], [6, 0])
    assert.deepEqual(rig.statement.imbalances, [])
  }
})

test('damage that comes while earlier damage is being resolved is worked on', async () => {
  const rig = new Rig('spill')
  rig.book.carryIn(6)
  const { promise, resolve } = Promise.withResolvers<void>()
  rig.resolving = promise
  rig.repair.add(DAMAGE, false)
  await rig.settle('indexed')
  rig.repair.add(DAMAGE, false)
  resolve()
  await rig.settle('indexed')
  await rig.settle('indexed')
  assert(rig.repair.isDone)
  assert.equal(rig.resolvedCount, 2)
  assert.equal(rig.book.count('spilled'), 0)
})

test('offsets of a log that is gone are lost, and not looked for in its successor', async () => {
  const former = { ...DAMAGE, ranges: [{ ...DAMAGE.ranges[0]!, log: 'a' }] }
  for (const commitOn of ['index', 'spill'] as const) {
    const rig = new Rig(commitOn, [12, 14])
    if (commitOn === 'spill') {
      rig.book.add('fetched', 3)
      rig.book.add('spilled', 3)
    }
    rig.repair.add(former, false)
    await rig.settle('indexed')
    assert(rig.repair.isDone)
    assert.equal(rig.written.length, 0)
    assert.deepEqual(rig.book.lost('spill').ranges, [{ from: 10, to: 20 }])
    assert.match(rig.warnings.at(-1) ?? '', /offsets 10 to 19 are lost: .*truncated or recreated/)
    assert.deepEqual(rig.statement.imbalances, [])
    assert.equal(rig.statement.exitStatus, 3)
    const settled = commitOn === 'index' ? [12, 14] : []
    assert.deepEqual(
      rig.settled.map(([offset]) => offset),
      settled,
    )
  }
})
