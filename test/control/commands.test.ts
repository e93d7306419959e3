/** Orders to workers: sent until done, once, within bounds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandQueue } from '../../src/control/commands.ts'
import { ManualClock } from '../../src/core/clock.ts'

const order = { workerId: 'w1', pipelineId: 1, kind: 'check', args: {} } as const

test('an order is sent with every heartbeat until its result comes', () => {
  const queue = new CommandQueue(new ManualClock())
  const { id } = queue.add(order)
  assert.deepEqual(queue.take('w2'), [])
  assert.equal(queue.take('w1')[0]?.id, id)
  assert.equal(queue.take('w1')[0]?.id, id, 'the first answer may have been lost')
  queue.finish('w2', { id, ok: true, result: 'forged' })
  assert.equal(queue.get(id)?.state, 'sent')
  queue.finish('w1', { id, ok: false, result: 'no topic' })
  assert.deepEqual(queue.take('w1'), [])
  assert.equal(queue.get(id)?.state, 'failed')
  assert.equal(queue.get(id)?.result, 'no topic')
  queue.finish('w1', { id, ok: true, result: 'again' })
  assert.equal(queue.get(id)?.state, 'failed', 'a second result changes nothing')
  assert.equal(queue.latest(1, 'check')?.id, id)
})

test('an order expires', () => {
  const clock = new ManualClock()
  const queue = new CommandQueue(clock)
  const { id } = queue.add({ ...order, expiryMs: 1000 })
  clock.advance(999)
  assert.equal(queue.take('w1').length, 1)
  clock.advance(1)
  assert.equal(queue.get(id)?.state, 'expired')
  assert.deepEqual(queue.take('w1'), [])
  queue.finish('w1', { id, ok: true, result: 'late' })
  assert.equal(queue.get(id)?.state, 'expired')
})

test('what is offered stands in the queue once', () => {
  const queue = new CommandQueue(new ManualClock())
  queue.offer(order)
  queue.offer(order)
  queue.offer({ ...order, pipelineId: 99 })
  assert.equal(queue.take('w1').length, 2)
  queue.offer(order)
  assert.equal(queue.take('w1').length, 3, 'the one before has begun: it knew less')
})

test('a worker has at most sixteen unfinished orders, and a thousand are kept', () => {
  const clock = new ManualClock()
  const queue = new CommandQueue(clock)
  const first = queue.add(order)
  for (let index = 1; index < 16; index++) queue.add(order)
  assert.throws(() => queue.add(order), /unfinished/)
  queue.offer({ ...order, pipelineId: 99 })
  assert.equal(queue.take('w1').length, 16, 'what is only offered is left out')
  for (let index = 0; index < 1000; index++) queue.add({ ...order, workerId: `x${index}` })
  assert.equal(queue.get(first.id), undefined)
  assert.deepEqual(queue.take('w1'), [])
})

test('the orders of an open tail do not push out what came of a check', () => {
  const queue = new CommandQueue(new ManualClock())
  const check = queue.add({ ...order, workerId: 'w2' })
  queue.finish('w2', { id: check.id, ok: true, result: 'fine' })
  const waiting = queue.add({ ...order, workerId: 'w3' })
  for (let index = 0; index < 3000; index++) {
    const { id } = queue.add({ ...order, kind: 'tail' })
    queue.finish('w1', { id, ok: true, result: {} })
  }
  assert.equal(queue.latest(1, 'check')?.id, waiting.id)
  assert.equal(queue.get(check.id)?.result, 'fine')
})

test('the orders of workers that are gone do not push out what came of a check', () => {
  const clock = new ManualClock()
  const queue = new CommandQueue(clock)
  for (let index = 0; index < 1000; index++) queue.add({ ...order, workerId: `gone${index}` })
  clock.advance(120_000)
  const check = queue.add(order)
  queue.finish('w1', { id: check.id, ok: true, result: 'fine' })
  for (let index = 0; index < 900; index++) queue.add({ ...order, workerId: `w${index}` })
  assert.equal(queue.get(check.id)?.result, 'fine')
})
