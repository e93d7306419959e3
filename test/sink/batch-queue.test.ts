/** The queue of the plain outputs: groups, order, and who waits for what. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'
import { BatchQueue } from '../../src/sink/batch-queue.ts'
import { RecordedBatch } from './recorded-batch.ts'

function queueOf(...texts: string[]) {
  const clock = new ManualClock()
  const queue = new BatchQueue(clock)
  for (const text of texts) queue.push(new RecordedBatch([text]))
  return { clock, queue }
}

test('batches are gathered up to the size, and a larger one goes alone', () => {
  const { queue } = queueOf('aa', 'bb', 'cc', 'dddddd', 'e')
  const taken: string[] = []
  while (queue.hasWaiting) taken.push(String(Buffer.from(queue.dequeue(5)?.bytes ?? [])))
  assert.deepEqual(taken, ['aabb', 'cc', 'dddddd', 'e'])
  assert.equal(queue.dequeue(5), null)
})

test('thousands of batches keep their order', () => {
  const { queue } = queueOf(...Array.from({ length: 5000 }, (_, index) => `${index},`))
  let all = ''
  while (queue.hasWaiting) all += String(Buffer.from(queue.dequeue(20)?.bytes ?? []))
  assert.equal(all, Array.from({ length: 5000 }, (_, index) => `${index},`).join(''))
})

test('who waits is let go when what was pushed before is settled, not later', async () => {
  const { clock, queue } = queueOf('a')
  const waited = queue.whenSettled(1000)
  queue.push(new RecordedBatch(['b']))
  assert.equal(queue.isAwaited, false)
  const group = queue.dequeue(1)
  assert(group !== null)
  assert.equal(queue.isAwaited, true)
  queue.settle(group, 'written')
  await waited
  assert.equal(queue.isAwaited, false)
  assert.equal(queue.gauges(null).queuedDocuments, 1)
  assert.equal(clock.pendingCount, 0)
})

test('who waits is let go when the time has passed, or when all is abandoned', async () => {
  const { clock, queue } = queueOf('a')
  const late = queue.whenSettled(1000)
  clock.advance(1000)
  await late
  const waited = queue.whenSettled(1000)
  queue.abandon()
  await waited
  await queue.whenSettled(1000)
  assert.equal(queue.hasWaiting, false)
  assert.equal(clock.pendingCount, 0)
})
