/** The credit of a batch whose documents leave the memory in parts. */
import fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Signals } from '../../src/pool/signals.ts'
import { CreditShare } from '../../src/run/delivery.ts'

const LIMITS = { documents: 1, bytes: 1 }

test('however a share is split, and in whatever order released, all of it comes back', () => {
  const splits = fc.array(
    fc.record({ from: fc.nat(), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
  )
  fc.assert(
    fc.property(fc.nat(1000), fc.nat(100_000), splits, (documents, bytes, cuts) => {
      const signals = new Signals(Signals.allocate())
      signals.take(documents, bytes)
      const giveBack = (count: number, size: number) => signals.settle(count, size)
      const left = new Map<CreditShare, { documents: number; bytes: number }>()
      left.set(new CreditShare(documents, bytes, giveBack), { documents, bytes })
      for (const { from, part } of cuts) {
        const [share, has] = [...left][from % left.size]!
        const [count, size] = [has.documents, has.bytes].map((all) => Math.floor(all * part))
        left.set(share.splitOff(count!, size!), { documents: count!, bytes: size! })
        left.set(share, { documents: has.documents - count!, bytes: has.bytes - size! })
      }
      for (const share of [...left.keys()].toReversed()) share.releaseBody()
      assert.equal(signals.isFull(LIMITS), false)
      // Not more than all, either.
      signals.take(1, 1)
      assert.equal(signals.isFull(LIMITS), true)
    }),
  )
})

test('a share is released once', () => {
  const share = new CreditShare(1, 10, () => undefined)
  share.releaseBody()
  assert.throws(() => share.releaseBody(), /once/)
  assert.throws(() => share.splitOff(1, 1))
})
