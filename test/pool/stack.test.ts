/** The stack of free slots in shared memory. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { Stack } from '../../src/pool/stack.ts'
import { NOTHING } from '../../src/pool/event-count.ts'

test('a stack gives back last what was put in first', () => {
  const steps = fc.array(fc.boolean(), { maxLength: 100 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), steps, (size, pushes) => {
      const stack = new Stack(Stack.allocate(size))
      const model: number[] = []
      const outside = Array.from({ length: size }, (_, index) => index)
      for (const isPush of pushes) {
        if (isPush && outside.length > 0) {
          const value = outside.shift()!
          stack.push(value)
          model.push(value)
        } else if (!isPush) {
          const value = stack.tryPop()
          assert.equal(value, model.pop() ?? NOTHING)
          if (value !== NOTHING) outside.push(value)
        }
        assert.equal(stack.count, model.length)
      }
    }),
  )
})

test('a waiting pop is woken by a push, and gives up at its time-out', () => {
  const stack = new Stack(Stack.allocate(2))
  assert.equal(stack.pop(1), NOTHING)
  stack.push(1)
  assert.equal(stack.pop(1000), 1)
})

test('the count of changes may wrap without harm', () => {
  const memory = Stack.allocate(2)
  new BigInt64Array(memory, 0, 1)[0] = ((1n << 31n) - 1n) << 32n
  const stack = new Stack(memory)
  for (const value of [0, 1, 0, 1]) {
    stack.push(value)
    assert.equal(stack.tryPop(), value)
  }
})

/** Holds a few numbers at a time, and says when it was given one that somebody else holds. */
const HOLDER = `
  const { workerData, parentPort } = require('node:worker_threads')
  import(workerData.stack).then(({ Stack }) => {
    const stack = new Stack(workerData.memory)
    const held = new Int32Array(workerData.held)
    let bad = 0
    for (let round = 0; round < workerData.rounds; round++) {
      const mine = []
      while (mine.length < 3) { const value = stack.pop(5); if (value !== -1) mine.push(value) }
      for (const value of mine) if (Atomics.add(held, value, 1) !== 0) bad++
      for (const value of mine) Atomics.sub(held, value, 1)
      for (const value of mine.reverse()) stack.push(value)
    }
    parentPort.postMessage(bad)
  })`

/**
 * Goal: no number is ever held by two threads, above all not by pop, pop, push of others in
 * between.
 * Method: three threads take three of ten numbers at a time, mark them, and put them back; a mark
 * that is there already is a fault. In the end all ten are there once.
 */
test('a number is held by one thread at a time', async () => {
  const memory = Stack.allocate(10)
  const numbers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  for (const value of numbers) new Stack(memory).push(value)
  const held = new SharedArrayBuffer(40)
  const stack = new URL('../../src/pool/stack.ts', import.meta.url).href
  const faults = await Promise.all(
    [1, 2, 3].map(async () => {
      const workerData = { stack, memory, held, rounds: 20_000 }
      const worker = new Worker(HOLDER, { eval: true, workerData })
      const [bad] = (await once(worker, 'message')) as [number]
      return bad
    }),
  )
  assert.deepEqual(faults, [0, 0, 0])
  const left = numbers.map(() => new Stack(memory).tryPop())
  assert.deepEqual(
    left.sort((one, other) => one - other),
    numbers,
  )
})
