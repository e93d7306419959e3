/**
 * Two processes of one group on a real Kafka, one of them stopped and started while records flow.
 *
 * Goal: no match is lost, and nothing is committed that was not written. Method: a feed numbers its
 * records, so that partition and offset say which of them match; both processes write JSON lines.
 * After every stop, in order (SIGTERM) or not (SIGKILL), the committed offsets are read first and
 * the files then: each match below a committed offset must be in a file. At the end all must be.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { openBulkProducer } from '../../src/kafka/producer.ts'
import { untilCommitted } from '../helpers/committed.ts'
import { flags, Logpipe, testFolder } from '../helpers/logpipe.ts'
import type { KafkaClient } from '../servers/kafka.ts'
import { sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const isFull = process.env['LOGPIPE_TEST_FULL'] === '1'
const RECORDS = isFull ? 500_000 : 100_000
const STOPS = isFull ? 20 : 4
const PARTITIONS = 6
/** One record in so many matches: the outputs then have work, and waiting offsets, all the time. */
const MATCH_EVERY = 5
/** The feed is slower than the stops: its rate follows from how long one of them takes. */
const STOP_SECONDS = 7
const FEED_PER_TICK = Math.ceil((RECORDS / STOPS / STOP_SECONDS) * 0.05)
const FEED_EVERY_MS = 50
const MINUTES_MAX = isFull ? 10 : 3

const missing = serversMissing(['kafka'])

test(
  'no match is lost when a process of the group is stopped and started',
  { skip: missing ?? false, timeout: MINUTES_MAX * 60_000 },
  async (t) => {
    const kafka = await sharedKafka(t)
    const topic = uniqueName('rebalance')
    const group = uniqueName('rebalance')
    await kafka.createTopic(topic, PARTITIONS)
    const folder = testFolder(t)
    const files = ['steady', 'restless'].map((name) => path.join(folder, name))
    const start = (name: string) =>
      new Logpipe(
        t,
        [
          'run',
          ...flags({ brokers: kafka.bootstrapServers, topic, group, 'run-seconds': 0 }),
          ...flags({ output: `file:${name}`, format: 'json', 'pool-size': 32 }),
          ...flags({ 'filter-threads': 2, 'runtime-metrics-path': `${name}.metrics` }),
          // The shortest that the broker allows: how long the dead are waited for.
          ...flags({ 'kafka-config': 'session.timeout.ms=6000' }),
        ],
        { folder, runMsMax: MINUTES_MAX * 60_000 },
      )

    const fed = feed(t, kafka, topic)
    // Met below; a test that fails before that must not be followed by another failure.
    fed.catch(() => undefined)
    const steady = start('steady')
    for (let stop = 0; stop < STOPS; stop++) {
      const restless = start('restless')
      await restless.until(
        'it writes',
        () =>
          /assigned [1-9]/.test(restless.stderr) &&
          restless.metric('written_total', 'restless.metrics') > 0,
      )
      if (stop % 2 === 0) {
        await restless.stop()
      } else {
        restless.signal('SIGKILL')
        await restless.ended
      }
      assert.ok(!steady.hasEnded, steady.stderr)
      await assertCommittedIsWritten(kafka, topic, group, files)
    }
    await fed
    const ends = await kafka.endOffsets(topic)
    assert.equal(
      ends.reduce((sum, end) => sum + end, 0),
      RECORDS,
    )
    await untilCommitted({ kafka, group, topic, run: steady }, ends)
    await steady.stop()
    const { written, duplicates } = writtenOffsets(files)
    const lost = matchesBelow(ends).filter((name) => !written.has(name))
    assert.deepEqual(lost, [])
    t.diagnostic(`${written.size} matches, ${duplicates} written again`)
  },
)

/** Record i goes to partition i modulo the partitions; so its offset is i divided by them. */
async function feed(t: TestContext, kafka: KafkaClient, topic: string): Promise<void> {
  const producer = await openBulkProducer({
    brokers: kafka.bootstrapServers,
    // One writer, no retry out of order: the offsets are as numbered.
    config: [['enable.idempotence', 'true']],
    timeoutMs: 10_000,
  })
  t.after(() => producer.close())
  for (let index = 0; index < RECORDS;) {
    for (const end = Math.min(RECORDS, index + FEED_PER_TICK); index < end; index++) {
      const level = index % MATCH_EVERY === 0 ? 'ERROR' : 'INFO'
      const value = Buffer.from(`${level} record ${index} ${'.'.repeat(index % 300)}`)
      while (!producer.send(topic, index % PARTITIONS, null, value)) await pause(1)
    }
    await pause(FEED_EVERY_MS)
  }
  await producer.flush(30_000)
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** The names of all matches below these offsets. */
function matchesBelow(offsets: readonly number[]): string[] {
  return offsets.flatMap((end, partition) =>
    Array.from({ length: Math.max(0, end) }, (_, offset) => offset)
      .filter((offset) => (offset * PARTITIONS + partition) % MATCH_EVERY === 0)
      .map((offset) => `${partition}/${offset}`),
  )
}

/**
 * What the files hold. A process that was killed may leave a torn line, which counts for nothing.
 */
function writtenOffsets(files: readonly string[]): { written: Set<string>; duplicates: number } {
  const written = new Set<string>()
  let lines = 0
  for (const line of files.flatMap(linesOf)) {
    const found = /^\{"topic":"[^"]+","partition":(\d+),"offset":(\d+),.*\}$/.exec(line)
    if (found === null) continue
    written.add(`${found[1]}/${found[2]}`)
    lines++
  }
  return { written, duplicates: lines - written.size }
}

function linesOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
}

async function assertCommittedIsWritten(
  kafka: KafkaClient,
  topic: string,
  group: string,
  files: readonly string[],
): Promise<void> {
  const committed = await kafka.groupOffsets(group, topic)
  const { written } = writtenOffsets(files)
  const unwritten = matchesBelow(committed).filter((name) => !written.has(name))
  assert.deepEqual(unwritten, [], 'committed, and not written')
}
