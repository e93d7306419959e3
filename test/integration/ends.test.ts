/** Runs that end by themselves: at the end of what is there, after so many matches. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import { MockKafka } from '../helpers/mock-kafka.ts'

const GROUP = 'g'
const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `ERROR ${from + index}`)

function start(
  t: TestContext,
  kafka: MockKafka,
  options: Readonly<Record<string, string | number>>,
  ...switches: readonly string[]
): Logpipe {
  const place = {
    brokers: kafka.brokers,
    topic: kafka.topic,
    group: GROUP,
    output: 'file:out',
    'ingress-threads': 1,
  }
  const env = {
    KAFKA_CONFIG_SESSION_TIMEOUT_MS: '3000',
    KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS: '500',
  }
  return new Logpipe(t, ['run', ...switches, ...flags({ ...place, ...options })], { env })
}

const written = (run: Logpipe) =>
  readFileSync(path.join(run.folder, 'out'), 'utf8').split('\n').slice(0, -1)

const committed = (kafka: MockKafka) =>
  kafka.committed(GROUP).reduce((sum, offset) => sum + Math.max(0, offset), 0)

for (const mode of ['worker', 'direct']) {
  test(`--until end reads what is there, commits it, and stops (${mode})`, async (t) => {
    const kafka = new MockKafka(t, 4)
    await kafka.produce(lines(0, 1000))
    const first = start(t, kafka, { until: 'end', mode })
    assert.equal((await first.ended).status, 0, first.stderr)
    assert.deepEqual(written(first).sort(), lines(0, 1000).sort())
    assert.deepEqual(kafka.committed(GROUP), [250, 250, 250, 250])
    // Nothing new: the next one stops, too. What came since is the one's after it.
    const second = start(t, kafka, { until: 'end', mode })
    assert.equal((await second.ended).status, 0, second.stderr)
    assert.deepEqual(written(second), [])
    await kafka.produce(lines(1000, 1100))
    const third = start(t, kafka, { until: 'end', mode })
    assert.equal((await third.ended).status, 0, third.stderr)
    assert.deepEqual(written(third).sort(), lines(1000, 1100).sort())
    assert.match(third.stderr, /books balance/)
  })
}

test('--start end passes what is there, and --from-beginning reads it', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce(lines(0, 100))
  const late = start(t, kafka, { start: 'end', until: 'end', group: 'late' })
  assert.equal((await late.ended).status, 0, late.stderr)
  assert.deepEqual(written(late), [])
  assert.deepEqual(kafka.committed('late'), [50, 50])
  const early = start(t, kafka, { until: 'end', group: 'early' }, '--from-beginning')
  assert.equal((await early.ended).status, 0, early.stderr)
  assert.deepEqual(written(early).sort(), lines(0, 100).sort())
})

test('-n stops after exactly so many matches, and the next run goes on behind them', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce(lines(0, 1000))
  const all: string[] = []
  for (let round = 0; round < 3; round++) {
    const run = start(t, kafka, { 'max-records': 100 })
    assert.equal((await run.ended).status, 0, run.stderr)
    assert.equal(written(run).length, 100)
    all.push(...written(run))
    assert.equal(committed(kafka), 100 * (round + 1), run.stderr)
    assert.match(run.stderr, /books balance/)
  }
  assert.equal(new Set(all).size, 300, 'none came twice')
  const rest = start(t, kafka, { 'max-records': 1000, until: 'end' })
  assert.equal((await rest.ended).status, 0, rest.stderr)
  all.push(...written(rest))
  assert.deepEqual(all.sort(), lines(0, 1000).sort())
})

test('-n and --until end go together: whichever comes first', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce(lines(0, 10))
  const run = start(t, kafka, { 'max-records': 50, until: 'end' })
  assert.equal((await run.ended).status, 0, run.stderr)
  assert.equal(written(run).length, 10)
})
