/** The bounded queue in shared memory. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { Ring } from '../../src/pool/ring.ts'
import { NOTHING } from '../../src/pool/event-count.ts'

test('a ring is first in, first out, and refuses more than its limit', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.option(fc.nat(1000), { nil: undefined }), { maxLength: 200 }),
      (limit, steps) => {
        const ring = new Ring(Ring.allocate(limit))
        const model: number[] = []
        for (const step of steps) {
          if (step === undefined) {
            assert.equal(ring.tryPop(), model.shift() ?? NOTHING)
          } else {
            const fits = model.length < limit
            assert.equal(ring.tryPush(step), fits)
            if (fits) model.push(step)
          }
          assert.equal(ring.count, model.length)
        }
      },
    ),
  )
})

test('positions may wrap past 2^31 without losing a value', () => {
  const memory = Ring.allocate(3)
  const words = new Int32Array(memory)
  const start = 0x7fff_fffc // Four pushes before the sign changes.
  words[0] = start
  words[1] = start
  for (let index = 0; index < 4; index++) {
    const position = start + index
    words[16 + (position & 3) * 2] = position | 0
  }
  const ring = new Ring(memory)
  for (let value = 0; value < 20; value++) {
    assert(ring.tryPush(value))
    assert.equal(ring.tryPop(), value)
  }
})

test('a waiting pop is woken by a push, and gives up at its time-out', () => {
  const ring = new Ring(Ring.allocate(2))
  assert.equal(ring.pop(1), NOTHING)
  assert(ring.tryPush(7))
  assert.equal(ring.pop(1000), 7)
})

/** Moves every value it pops to the other ring, until it has moved enough. */
const MOVER = `
  const { workerData, parentPort } = require('node:worker_threads')
  import(workerData.ring).then(({ Ring }) => {
    const from = new Ring(workerData.from), to = new Ring(workerData.to)
    const done = new Int32Array(workerData.done)
    while (Atomics.load(done, 0) < workerData.moves) {
      const value = from.pop(5)
      if (value === -1) continue
      while (!to.tryPush(value)) Atomics.wait(done, 1, 0, 1)
      Atomics.add(done, 0, 1)
    }
    parentPort.postMessage('done')
  })`

/**
 * Goal: no value is lost or doubled when several threads push and pop at once. Method: 8 tokens
 * circulate between two rings, moved by two threads in each direction, 40,000 times; at the end
 * every token is there exactly once.
 */
test('tokens that four threads pass around are all there in the end', async () => {
  const forth = Ring.allocate(8)
  const back = Ring.allocate(8)
  const tokens = [0, 1, 2, 3, 4, 5, 6, 7]
  for (const token of tokens) assert(new Ring(forth).tryPush(token))
  const done = new SharedArrayBuffer(8)
  const ring = new URL('../../src/pool/ring.ts', import.meta.url).href
  const workers = [0, 1, 2, 3].map((index) => {
    const [from, to] = index % 2 === 0 ? [forth, back] : [back, forth]
    return new Worker(MOVER, { eval: true, workerData: { ring, from, to, done, moves: 40_000 } })
  })
  await Promise.all(workers.map(async (worker) => once(worker, 'exit')))
  const left: number[] = []
  for (const memory of [forth, back]) {
    for (let value = new Ring(memory).tryPop(); value !== NOTHING;) {
      left.push(value)
      value = new Ring(memory).tryPop()
    }
  }
  assert.deepEqual(
    left.sort((one, other) => one - other),
    tokens,
  )
})
