/** The credit of a batch whose documents leave the memory in parts. */
import fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Signals } from '../../src/pool/signals.ts'
import type { MatchedRun } from '../../src/filter/matches.ts'
import { Books } from '../../src/offsets/books.ts'
import { Ledger } from '../../src/offsets/ledger.ts'
import { CreditLease, deliveriesOf } from '../../src/run/delivery.ts'

const LIMITS = { documents: 1, bytes: 1 }

test('however a share is split, and in whatever order released, all of it comes back', () => {
  const splits = fc.array(
    fc.record({ from: fc.nat(), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
  )
  fc.assert(
    fc.property(fc.nat(1000), fc.nat(100_000), splits, (documents, bytes, cuts) => {
      const signals = new Signals(Signals.allocate())
      signals.take(documents, bytes)
      const giveBack = (count: number, size: number) => signals.release(count, size)
      const left = new Map<CreditLease, { documents: number; bytes: number }>()
      left.set(new CreditLease(documents, bytes, giveBack), { documents, bytes })
      for (const { from, part } of cuts) {
        const [share, has] = [...left][from % left.size]!
        const [count, size] = [has.documents, has.bytes].map((all) => Math.floor(all * part))
        left.set(share.splitOff(count!, size!), { documents: count!, bytes: size! })
        left.set(share, { documents: has.documents - count!, bytes: has.bytes - size! })
      }
      for (const share of [...left.keys()].toReversed()) share.release()
      assert.equal(signals.isFull(LIMITS), false)
      // Not more than all, either.
      signals.take(1, 1)
      assert.equal(signals.isFull(LIMITS), true)
    }),
  )
})

test('a share is released once', () => {
  const share = new CreditLease(1, 10, () => undefined)
  share.release()
  assert.throws(() => share.release(), /once/)
  assert.throws(() => share.splitOff(1, 1))
})

test('a body in parts is given back with the last, and one that nobody wants at once', () => {
  const given: number[] = []
  const giveBack = (documents: number) => given.push(documents)
  const shared = new CreditLease(3, 10, giveBack, 2)
  shared.release()
  assert.deepEqual(given, [])
  shared.release()
  assert.deepEqual(given, [3])
  assert.throws(() => shared.release(), /once/)
  assert.throws(() => new CreditLease(1, 10, giveBack, 0).release(), /once/)
  assert.deepEqual(given, [3, 1])
})

test('an answer about a range settles each of its runs, in the ledger and in the books', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ count: fc.integer({ min: 1, max: 5 }), isFenced: fc.boolean() }), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.infiniteStream(fc.integer({ min: 1, max: 6 })),
      (shapes, sizes) => {
        const ledger = new Ledger({ unresolvedMax: 100 })
        const books = new Books()
        const given: number[] = []
        const runs = shapes.map(({ count }, index) => runOf(index, count))
        const tracked = runs.map((run, index) => {
          const place = { topic: 't', partition: index }
          ledger.open({ ...place, assignmentId: index, epoch: index, startOffset: 0 })
          if (shapes[index]?.isFenced === true) return null
          const tile = ledger.cover(index, 0, run.coverTo, run.offsets)
          assert(typeof tile !== 'string')
          return { ...place, run, tile, book: books.of('t', index) }
        })
        const documentCount = shapes.reduce((sum, { count }) => sum + count, 0)
        const ends = Uint32Array.from({ length: documentCount }, (_, index) => (index + 1) * 3)
        const body = Buffer.from(Array.from(ends, (end) => `${end}`.padStart(3)).join(''))
        const list = deliveriesOf({ body, ends, runs }, tracked, ledger, (documents) =>
          given.push(documents),
        )
        const wanted = shapes.filter(({ isFenced }) => !isFenced).map(({ count }) => count)
        const settledCount = () =>
          shapes.reduce((sum, _, index) => sum + books.of('t', index).count('indexed'), 0)
        assert.equal(
          list.reduce((sum, one) => sum + one.ends.length, 0),
          wanted.reduce((sum, count) => sum + count, 0),
        )
        for (const one of list) {
          assert.equal(one.ends.at(-1), one.body.length)
          for (let from = 0; from < one.ends.length;) {
            const to = Math.min(one.ends.length, from + (sizes.next().value ?? 1))
            const before = settledCount()
            one.settle(from, to, 'indexed')
            assert.equal(settledCount() - before, to - from)
            assert.throws(() => one.settle(from, to, 'indexed'), /settled once/)
            from = to
          }
          one.release()
          assert.equal(one.body.length, 0)
          assert.throws(() => one.release(), /once/)
        }
        assert.deepEqual(given, [documentCount])
        for (const [index, { count, isFenced }] of shapes.entries()) {
          assert.equal(ledger.watermark(index), isFenced ? 0 : count)
        }
      },
    ),
  )
})

function runOf(assignmentId: number, count: number): MatchedRun {
  const offsets = Float64Array.from({ length: count }, (_, offset) => offset)
  const report = { coverFrom: 0, coverTo: count, recordCount: count, valueBytes: 0, outsideTime: 0 }
  const ruled = { copies: 0, tallies: [], rules: new Uint16Array(0) }
  const rest = { lastTimestampMs: 0, lowWatermark: 0, reason: 0, markEpoch: -1, ...ruled }
  const times = { timestampsMs: offsets, timestampTypes: new Uint8Array(count) }
  return { assignmentId, offsets, ...report, ...rest, ...times }
}
