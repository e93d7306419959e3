/**
 * The program on an embedded broker, with everything that can go wrong around it: what it writes,
 * what it commits, how it ends.
 *
 * Rule of all of them: what is committed was written, and what was not written is not committed.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { flags, Logpipe, testFolder, type Ended, type LogpipeOptions } from '../helpers/logpipe.ts'
import { API, MockKafka } from '../helpers/mock-kafka.ts'
import { ADD_ON } from '../helpers/program-command.ts'

const GROUP = 'g'
/** Few and small, so that a stalled output is felt after kilobytes. */
const SMALL = {
  'pool-size': 8,
  'buffer-bytes': 65_536,
  'batch-bytes': 16_384,
  'batch-msgs': 64,
  'filter-threads': 2,
  'ingress-threads': 1,
  'run-seconds': 0,
}

const lineOf = (index: number) => `ERROR ${index} ${'.'.repeat(100)}`
const linesUpTo = (count: number) => Array.from({ length: count }, (_, index) => lineOf(index))

interface Given extends LogpipeOptions {
  readonly options?: Readonly<Record<string, string | number>>
}

/** The embedded broker's rebalances take the session's time less a second. */
const SHORT_SESSION = {
  KAFKA_CONFIG_SESSION_TIMEOUT_MS: '3000',
  KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS: '500',
}

function start(t: TestContext, kafka: MockKafka, given: Given = {}): Logpipe {
  const { options = {}, env, ...rest } = given
  const place = { brokers: kafka.brokers, topic: kafka.topic, group: GROUP }
  const args = ['run', ...flags({ ...SMALL, ...place, ...options })]
  return new Logpipe(t, args, { ...rest, env: { ...SHORT_SESSION, ...env } })
}

const TO_FILE = { output: 'file:out' }

function written(run: Logpipe): string[] {
  return linesOf(readFileSync(path.join(run.folder, 'out')))
}

function linesOf(bytes: Buffer): string[] {
  return bytes.toString('latin1').split('\n').slice(0, -1)
}

async function untilWritten(run: Logpipe, count: number): Promise<void> {
  await run.until(`${count} are written`, () => run.metric('written_total') >= count)
}

const sum = (offsets: readonly number[]) => offsets.reduce((all, one) => all + Math.max(0, one), 0)

function assertLastLine({ stderr }: Ended, says: RegExp): void {
  assert.match(stderr.trimEnd().split('\n').at(-1) ?? '', says, stderr)
  assert.doesNotMatch(stderr, /^\s+at /m)
}

test('errors that brokers answer with are got over, and nothing is lost', async (t) => {
  const kafka = new MockKafka(t, 4)
  await kafka.produce(linesUpTo(2000))
  // Loading, not the coordinator, a rebalance; not the leader, a time-out, an unknown error.
  kafka.failNext(API.OFFSET_FETCH, [14, 16])
  kafka.failNext(API.JOIN, [14, 16])
  kafka.failNext(API.HEARTBEAT, [27])
  kafka.failNext(API.OFFSET_COMMIT, [14, 16, 27])
  kafka.failNext(API.FETCH, [6, 7, -1])
  const run = start(t, kafka, { options: TO_FILE })
  await untilWritten(run, 2000)
  await run.stop()
  assert.deepEqual([...new Set(written(run))].sort(), linesUpTo(2000).sort())
  assert.deepEqual(kafka.committed(GROUP), [500, 500, 500, 500])
})

test('a broker that goes away and comes back loses nothing', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce(linesUpTo(1000))
  const run = start(t, kafka, { options: TO_FILE })
  await untilWritten(run, 1000)
  kafka.stop()
  await run.until('it says that the broker is down', () =>
    /kafka: _TRANSPORT|ALL_BROKERS/.test(run.stderr),
  )
  kafka.start()
  await kafka.produce(linesUpTo(2000).slice(1000))
  await untilWritten(run, 2000)
  await run.stop()
  assert.deepEqual([...new Set(written(run))].sort(), linesUpTo(2000).sort())
  assert.deepEqual(kafka.committed(GROUP), [1000, 1000])
})

test('a start that waits for its broker is not ready until that answers', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce(linesUpTo(100))
  kafka.stop()
  const run = start(t, kafka, { options: TO_FILE, env: { WAIT_FOR_KAFKA: '1' } })
  await run.until('it waits', () => run.stderr.includes('retrying until it answers'))
  kafka.start()
  await untilWritten(run, 100)
  await run.stop()
  assert.deepEqual(written(run).sort(), linesUpTo(100).sort())
})

test('a member that its group has fenced ends with its instance id, and status 1', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce(linesUpTo(100))
  const run = start(t, kafka, { options: { ...TO_FILE, 'group-instance-id': 'node-7' } })
  await untilWritten(run, 100)
  kafka.failNext(API.HEARTBEAT, [82])
  const ended = await run.ended
  assert.equal(ended.status, 1)
  assertLastLine(ended, /fenced this consumer: FENCED_INSTANCE_ID: .*instance id node-7-0\)/)
})

test('a log whose offsets begin anew is read on, as another assignment', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce(linesUpTo(200))
  // As after the topic was made anew: the group stands behind its end.
  kafka.commit(GROUP, [5000, 20])
  const run = start(t, kafka, { options: TO_FILE })
  await untilWritten(run, 180)
  assert.match(
    run.stderr,
    /t \[0\]: expected offset 5000, got 0: log truncated .*; continuing from 0/,
  )
  await kafka.produce(linesUpTo(400).slice(200))
  await untilWritten(run, 380)
  await run.stop()
  const skipped = new Set(Array.from({ length: 20 }, (_, index) => lineOf(2 * index + 1)))
  const expected = linesUpTo(400).filter((line) => !skipped.has(line))
  assert.deepEqual(written(run).sort(), expected.sort())
  assert.deepEqual(kafka.committed(GROUP), [200, 200])
})

/** More than an output and the pool hold, less than what the broker keeps of six partitions. */
const HEAVY_COUNT = 24_000
const HEAVY_PARTITIONS = 6
const heavyLines = () =>
  Array.from({ length: HEAVY_COUNT }, (_, index) => `${lineOf(index)}${'-'.repeat(900)}`)

/** A program whose output nobody reads, until the pool is full of what it cannot write. */
async function startStalled(t: TestContext, options: Given['options'] = {}) {
  const kafka = new MockKafka(t, HEAVY_PARTITIONS)
  await kafka.produce(heavyLines())
  const run = start(t, kafka, { readStdout: false, options })
  // By slots, or by the bytes of the batches in them.
  await run.until('nothing more is read', () => /^polled=0 .*queued=[1-9]/m.test(run.stderr))
  return { kafka, run }
}

test('an output that stalls pauses the reading, and loses nothing', async (t) => {
  // Pauses after a quarter of the time that a member may stay away.
  const options = { 'kafka-config': 'max.poll.interval.ms=12000', 'revoke-drain-ms': 2000 }
  const { kafka, run } = await startStalled(t, options)
  await run.until('it pauses', () => run.stderr.includes('consumption paused'))
  assert.ok(sum(kafka.committed(GROUP)) < HEAVY_COUNT)
  run.openStdout()
  await untilWritten(run, HEAVY_COUNT)
  await run.stop()
  assert.match(run.stderr, /the output has caught up: consumption resumed/)
  assert.deepEqual(linesOf(run.stdout).sort(), heavyLines().sort())
  assert.equal(sum(kafka.committed(GROUP)), HEAVY_COUNT)
})

test('in direct mode, too, the group is served while the output stalls', async (t) => {
  const kafka = new MockKafka(t, HEAVY_PARTITIONS)
  await kafka.produce(heavyLines())
  const options = { 'kafka-config': 'max.poll.interval.ms=12000', 'pipeline-mode': 'direct' }
  const run = start(t, kafka, { readStdout: false, options })
  await run.until('it pauses', () => run.stderr.includes('consumption paused'))
  run.openStdout()
  await untilWritten(run, HEAVY_COUNT)
  await run.stop()
  assert.deepEqual(linesOf(run.stdout).sort(), heavyLines().sort())
  assert.equal(sum(kafka.committed(GROUP)), HEAVY_COUNT)
})

test('OVERFLOW_DROP_NEWEST reads on while the output stalls, and books its drops', async (t) => {
  const kafka = new MockKafka(t, HEAVY_PARTITIONS)
  await kafka.produce(heavyLines())
  const run = start(t, kafka, { readStdout: false, env: { OVERFLOW_DROP_NEWEST: '1' } })
  await run.until('it read all', () => run.metric('polled_total') === HEAVY_COUNT)
  const dropped = run.metric('dropped_total')
  assert.ok(dropped > 0)
  run.openStdout()
  await untilWritten(run, HEAVY_COUNT - dropped)
  const { stderr } = await run.stop()
  assert.equal(linesOf(run.stdout).length, HEAVY_COUNT - dropped)
  assert.match(stderr, /dropped\(overflow_newest\)/)
  assert.equal(sum(kafka.committed(GROUP)), HEAVY_COUNT)
})

for (const [what, call, thread] of [
  ['a filter thread', 'slotScan', /^logpipe: the thread filter-\d died: made to fail/],
  ['an ingress thread', 'consumerFill', /^logpipe: the thread ingress-0 died: made to fail/],
] as const) {
  test(`${what} that dies ends the process in order, and what it held stays unread`, async (t) => {
    const kafka = new MockKafka(t, 2)
    await kafka.produce(linesUpTo(5000))
    const env = {
      BRIDGE_LIB: path.resolve('test/helpers/faulty-bridge.cjs'),
      REAL_BRIDGE: path.resolve(ADD_ON),
      FAULTY_CALL: call,
      FAULTY_AT: '9',
    }
    const run = start(t, kafka, { options: TO_FILE, env })
    const ended = await run.ended
    assert.equal(ended.status, 1, ended.stderr)
    assertLastLine(ended, thread)
    const committed = kafka.committed(GROUP)
    assertCommittedWereWritten(committed, written(run))
    assert.ok(sum(committed) < 5000)

    const again = start(t, kafka, { options: TO_FILE, folder: run.folder })
    // All may have been written before, and a process that has just begun takes no signal yet; the
    // snapshot in its folder may be that of the one before.
    await again.until('it reads', () => /polled=[1-9]/.test(again.stderr))
    await again.until('all are there', () => new Set(written(again)).size === 5000)
    await again.stop()
    assert.deepEqual(kafka.committed(GROUP), [2500, 2500])
  })
}

/** Record i lies in partition i % 2 at offset i / 2. */
function assertCommittedWereWritten(committed: readonly number[], lines: readonly string[]): void {
  const there = new Set(lines)
  committed.forEach((end, partition) => {
    for (let offset = 0; offset < end; offset++) {
      assert.ok(there.has(lineOf(2 * offset + partition)), `offset ${offset} of ${partition}`)
    }
  })
}

test('records larger than a slot are filtered and written like any other', async (t) => {
  const kafka = new MockKafka(t, 2)
  const large = (mark: string) => Buffer.from(`${mark} ${'x'.repeat(300_000)} ${mark}`)
  await kafka.produce(['ERROR 1', large('ERROR'), large('INFO'), 'INFO', large('ERROR'), 'ERROR 2'])
  const run = start(t, kafka, { options: TO_FILE })
  await untilWritten(run, 4)
  await run.stop()
  const expected = ['ERROR 1', String(large('ERROR')), String(large('ERROR')), 'ERROR 2']
  assert.deepEqual(written(run).sort(), expected.sort())
  assert.deepEqual(kafka.committed(GROUP), [3, 3])
})

test('what is not written at the deadline stays uncommitted, with status 1', async (t) => {
  const { kafka, run } = await startStalled(t, { 'shutdown-deadline-ms': 3000 })
  run.signal('SIGTERM')
  const ended = await run.ended
  assert.equal(ended.status, 1, ended.stderr)
  assertLastLine(ended, /^logpipe: \d+ records were read but not settled before the deadline; /)
  assert.ok(sum(kafka.committed(GROUP)) < HEAVY_COUNT / 10)
})

for (const [name, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`a second ${name} ends it at once, with status ${status}`, async (t) => {
    const { run } = await startStalled(t)
    // Two signals at once would be one.
    const saidBefore = run.stderr.length
    run.signal(name)
    await run.until('it drains', () => run.stderr.slice(saidBefore).includes('kafka=0 msg/s'))
    assert.ok(!run.hasEnded)
    run.signal(name)
    const ended = await run.ended
    assert.deepEqual([ended.status, ended.signal], [status, null])
  })
}

test('a reader that goes away ends it quietly, with status 0', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce(linesUpTo(10_000))
  const run = start(t, kafka, { readStdout: false, env: { LOG_QUIET: '1' } })
  await run.until('it waits for its reader', () => run.metric('es_mem_queue_len') > 0)
  run.closeStdout()
  const ended = await run.ended
  assert.equal(ended.stderr, '')
  assert.equal(ended.status, 0)
})

test('SIGHUP takes filters over within the group, and wrong ones change nothing', async (t) => {
  const kafka = new MockKafka(t, 2)
  const folder = testFolder(t)
  const file = path.join(folder, 'pipeline.yaml')
  writeFileSync(file, 'pattern: ERROR\n')
  const run = start(t, kafka, { folder, options: { ...TO_FILE, config: 'pipeline.yaml' } })
  await kafka.produce(['ERROR 1', 'FATAL 2', 'ERROR 3', 'FATAL 4'])
  await run.until('it read all', () => run.metric('polled_total') === 4)
  await run.until('it commits', () => kafka.committers(GROUP).length === 1)
  const before = kafka.committers(GROUP)

  writeFileSync(file, 'pattern: [unclosed\n')
  run.signal('SIGHUP')
  await run.until('it refuses', () =>
    /SIGHUP: .*pipeline.yaml.*; keeping the old configuration/.test(run.stderr),
  )
  await kafka.produce(['ERROR 5', 'FATAL 6'])
  await run.until('it read all', () => run.metric('polled_total') === 6)

  writeFileSync(file, 'pattern: FATAL\nes-index: other\n')
  run.signal('SIGHUP')
  await run.until('it says so', () => /SIGHUP: ES_INDEX changed/.test(run.stderr))
  assert.match(run.stderr, /SIGHUP: ES_INDEX changed: needs a restart/)
  await kafka.produce(['ERROR 7', 'FATAL 8'])
  await run.until('it read all', () => run.metric('polled_total') === 8)

  writeFileSync(file, "keep: '/(/'\nes-index: other\n")
  run.signal('SIGHUP')
  await run.until('it refuses', () =>
    /SIGHUP: --keep: column 2: .*not compile.*; keeping the old configuration/.test(run.stderr),
  )
  writeFileSync(file, "keep: 'n >= 10'\ndrop: '@partition:1'\nes-index: other\n")
  run.signal('SIGHUP')
  await run.until('it says so', () => /SIGHUP: .*MATCH_KEEP, MATCH_DROP changed/.test(run.stderr))
  await kafka.produce(['{"n":10}', '{"n":11}', 'FATAL 9', '{"n":12}', '{"n":1.3e1}', '{}'])
  await run.until('it read all', () => run.metric('polled_total') === 14)
  const { stderr } = await run.stop()
  const kept = ['ERROR 1', 'ERROR 3', 'ERROR 5', 'FATAL 8', '{"n":1.3e1}', '{"n":10}']
  assert.deepEqual(written(run).sort(), kept)
  assert.equal(stderr.match(/assigned \d partitions/g)?.length, 1)
  assert.deepEqual(kafka.committed(GROUP), [7, 7])
  assert.deepEqual(kafka.committers(GROUP), before, 'it is the same pipeline still')
})

test('a second process does not write into the same output file', async (t) => {
  const kafka = new MockKafka(t, 1)
  const run = start(t, kafka, { options: TO_FILE })
  await run.until('it runs', () => /assigned 1 partitions/.test(run.stderr))
  const second = start(t, kafka, { options: { ...TO_FILE, group: 'other' }, folder: run.folder })
  const ended = await second.ended
  assertLastLine(
    ended,
    /^logpipe: another process writes to the output file out: give each process its/,
  )
  assert.equal(ended.status, 1)
  await run.stop()
})

test('PRODUCT_LINE=metrics counts by pattern and partition, and writes nothing', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce(['ERROR 1', 'FATAL 2', 'ERROR and FATAL', 'INFO', 'ERROR 5', 'INFO'])
  const run = start(t, kafka, {
    env: { MATCH_PATTERN: 'ERROR\nFATAL' },
    options: { 'product-line': 'metrics', 'metrics-listen': '127.0.0.1:0' },
  })
  await run.until('it counted all', () => run.metric('written_total') === 4)
  const [, url = ''] = /metrics at (http:\S+)/.exec(run.stderr) ?? []
  const scraped = await (await fetch(url)).text()
  const { stderr, stdout } = await run.stop()

  assert.match(scraped, /^pattern_matched_total\{pattern="ERROR",topic="t",partition="0"\} 3$/m)
  assert.match(scraped, /^pattern_matched_total\{pattern="FATAL",topic="t",partition="1"\} 1$/m)
  const snapshot: unknown = JSON.parse(
    readFileSync(path.join(run.folder, 'data/runtime_metrics.json'), 'utf8'),
  )
  assert.deepEqual(Object(snapshot).pattern_matched_total, {
    ERROR: { t: { 0: 3, 1: 0 } },
    FATAL: { t: { 0: 1, 1: 1 } },
  })
  assert.match(stderr, /\| counted ERROR=3 FATAL=2( |$)/m)
  assert.match(stderr, /^total +6 .*\b4 +0$/m)
  assert.equal(stdout.length, 0)
  assert.deepEqual(kafka.committed(GROUP), [3, 3])
})

test('the embedded Kafka makes as many errors as it is told', async (t) => {
  const options = ['--embedded', '--error-share', '1', '--run-seconds', '0']
  const run = new Logpipe(t, ['run', ...options, '--output', 'none', '--filter-threads', '2'])
  await run.until('some came', () => run.metric('polled_total') >= 1000)
  const { stderr } = await run.stop()
  const [, records, matched] = /read (\d+) records .*; (\d+) matched$/m.exec(stderr) ?? []
  assert.equal(matched, records)
})
