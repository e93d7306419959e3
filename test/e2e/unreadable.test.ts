/**
 * Batches that are damaged on the broker's disk: one with good ones behind it, one at the end.
 *
 * Goal: with --skip-unreadable exactly their records are missing, counted as lost, and the group
 * stands behind them; without it nothing behind them is read.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import { startKafka } from '../servers/kafka.ts'
import { uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing(['kafka']) ?? false

const BATCH = 10

test('damaged batches stop their partitions, or are counted as lost', { skip }, async (t) => {
  const kafka = await startKafka()
  t.after(() => kafka.stop())
  const topic = uniqueName('damaged')
  const group = uniqueName('damaged')
  await kafka.createTopic(topic, 2)
  let made = 0
  const produce = async () => {
    const values = Array.from({ length: 2 * BATCH }, () => `ERROR ${made++} ${'x'.repeat(50)}`)
    await kafka.produceInTurns(topic, values, 2)
  }
  for (let batch = 0; batch < 4; batch++) await produce()
  kafka.damage(topic, 0, 2 * BATCH)
  kafka.damage(topic, 1, 3 * BATCH)
  const options = [
    ...flags({ brokers: kafka.bootstrapServers, topic, group, 'run-seconds': 0 }),
    ...flags({ output: 'file:out', 'pool-size': 16, 'filter-threads': 1 }),
    ...flags({ 'ingress-threads': 1 }),
  ]

  const stopped = new Logpipe(t, ['run', ...options])
  await stopped.until('both are told', () => stopped.metric('kafka_stuck_partitions') === 2)
  assert.equal(stopped.metric('written_total'), 5 * BATCH)
  assert.equal(stopped.metric('kafka_lag'), 3 * BATCH)
  const { status, stderr } = await stopped.stop()
  assert.equal(status, 0, stderr)
  assert.match(stderr, new RegExp(`${topic} \\[0\\] is stuck at offset 20: .*failed CRC32C check`))
  assert.match(stderr, new RegExp(`${topic} \\[1\\] is stuck at offset 30: .*failed CRC32C check`))
  assert.deepEqual(await kafka.groupOffsets(group, topic), [2 * BATCH, 3 * BATCH])

  const run = new Logpipe(t, ['run', ...options, '--skip-unreadable'])
  await run.until('what lies behind is written', () => run.metric('written_total') === BATCH)
  await run.until('both are skipped', () => run.stderr.split('skipped offsets').length === 3)
  await produce()
  await run.until('what came since is written', () => run.metric('written_total') === 3 * BATCH)
  run.signal('SIGTERM')
  const ended = await run.ended
  assert.equal(ended.status, 3, ended.stderr)
  assert.match(ended.stderr, /lost\(unreadable\) damaged-\w+\/0 10: offsets 20 to 29$/m)
  assert.match(ended.stderr, /lost\(unreadable\) damaged-\w+\/1 10: offsets 30 to 39$/m)
  assert.match(ended.stderr, /^books balance/m)
  assert.deepEqual(await kafka.groupOffsets(group, topic), [5 * BATCH, 5 * BATCH])
  const lines = [stopped, run].flatMap(({ folder }) =>
    readFileSync(path.join(folder, 'out'), 'utf8').trimEnd().split('\n'),
  )
  assert.equal(new Set(lines).size, 8 * BATCH)
  assert.equal(lines.length, 8 * BATCH)
})
