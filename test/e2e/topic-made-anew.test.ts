/**
 * A topic that is deleted and made anew while it is read: its offsets come twice.
 *
 * Goal: the new records are all written, and the group stands behind them. Kafka gives nothing to
 * hold on to here, so what lay unread in the old topic is gone; the test reads it before.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import { sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing(['kafka']) ?? false

const linesOf = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => `ERROR ${name} ${index}`)

test('a topic that is made anew is read from its first record', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const topic = uniqueName('anew')
  const group = uniqueName('anew')
  await kafka.createTopic(topic, 2)
  // In turns, so that each partition is shorter when it is made anew: a file's reader knows it by
  // its offsets alone.
  await kafka.produceInTurns(topic, linesOf('old', 1000), 2)
  const run = new Logpipe(t, [
    'run',
    ...flags({ brokers: kafka.bootstrapServers, topic, group, 'run-seconds': 0 }),
    ...flags({ output: 'file:out', 'pool-size': 32, 'filter-threads': 2 }),
    // It notices that a topic is gone, and that it is there again, when it asks.
    ...flags({ 'kafka-config': 'topic.metadata.refresh.interval.ms=1000' }),
  ])
  await run.until('the old is written', () => run.metric('written_total') === 1000)
  await kafka.deleteTopic(topic)
  await kafka.createTopic(topic, 2)
  await kafka.produceInTurns(topic, linesOf('new', 300), 2)
  await run.until('the new is written', () => run.metric('written_total') >= 1300)
  await run.stop()
  const written = readFileSync(path.join(run.folder, 'out'), 'utf8').split('\n').slice(0, -1)
  assert.deepEqual(
    [...new Set(written)].sort(),
    [...linesOf('old', 1000), ...linesOf('new', 300)].sort(),
  )
  const committed = await kafka.groupOffsets(group, topic)
  const ends = await kafka.endOffsets(topic)
  // A partition of which nothing new was read keeps what the group had committed of the old one.
  const isRead = (_: number, partition: number) => ends[partition] !== 0
  assert.ok(ends.some(isRead))
  assert.deepEqual(committed.filter(isRead), ends.filter(isRead))
})
