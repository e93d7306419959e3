/**
 * Rules on an embedded broker: what becomes of each record, and that the books say the same. The
 * output is a file: where documents go, and with which ids, is the encoder's test.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { flags, Logpipe, testFolder } from '../helpers/logpipe.ts'
import { MockKafka } from '../helpers/mock-kafka.ts'

const RECORDS = 3000
const LEVELS = ['ERROR', 'INFO', 'WARN']
const lines = Array.from(
  { length: RECORDS },
  (_, index) => `{"n":${index},"level":"${LEVELS[index % 3]}","health":${index % 5 === 0}}`,
)
/** Small slots, so that one scan does not take all that matches. */
const SMALL = {
  'pool-size': 8,
  'buffer-bytes': 16_384,
  'batch-bytes': 16_384,
  'batch-msgs': 64,
  'filter-threads': 2,
  'run-seconds': 0,
  until: 'end',
  output: 'file:out',
}

interface Written {
  readonly values: readonly number[]
  readonly total: Readonly<Record<string, unknown>>
}

async function runWith(t: TestContext, rules: string, more: object = {}): Promise<Written> {
  const kafka = new MockKafka(t, 2)
  await kafka.produce(lines)
  const folder = testFolder(t)
  const config = path.join(folder, 'pipeline.yaml')
  writeFileSync(config, rules)
  const place = { brokers: kafka.brokers, topic: kafka.topic, group: 'g', config }
  const options = { ...SMALL, ...place, ...more }
  const run = new Logpipe(t, ['run', ...flags(options)], { folder })
  const { status, stderr } = await run.ended
  assert.equal(status, 0, stderr)
  const text = readFileSync(path.join(folder, 'out'), 'utf8').split('\n').slice(0, -1)
  return {
    values: text.map((line) => (JSON.parse(line) as { n: number }).n).toSorted((a, b) => a - b),
    total: { stderr },
  }
}

const indices = Array.from({ length: RECORDS }, (_, index) => index)

test('the first rule that holds takes a record, and what a rule drops is its row', async (t) => {
  const { values, total } = await runWith(
    t,
    `rules:
  - { name: errors, keep: 'level:ERROR', drop: 'health:true' }
  - { name: all-of-it, keep: 'n < 1000' }
`,
  )
  const isError = (index: number) => index % 3 === 0 && index % 5 !== 0
  assert.deepEqual(
    values,
    indices.filter((index) => isError(index) || index < 1000),
  )
  assert.match(String(total['stderr']), /filtered\(errors\)/)
  assert.match(String(total['stderr']), /books balance/)
})

test('with all: true a record is written once for each rule that holds', async (t) => {
  const { values, total } = await runWith(
    t,
    `rules:
  all: true
  list:
    - { name: errors, keep: 'level:ERROR' }
    - { name: small, keep: 'n < 1000', sample: 100% }
    - { name: none, keep: 'n >= 0', sample: { share: 0.000000001, by: n } }
`,
  )
  const expected = indices.flatMap((index) => [
    ...(index % 3 === 0 ? [index] : []),
    ...(index < 1000 ? [index] : []),
  ])
  assert.deepEqual(values, expected)
  assert.match(String(total['stderr']), /copied/)
  assert.match(String(total['stderr']), /filtered\(sample\)/)
  assert.match(String(total['stderr']), /books balance/)
})

test('SIGHUP takes over rules and fields, without leaving the group', async (t) => {
  const kafka = new MockKafka(t, 1)
  const folder = testFolder(t)
  const config = path.join(folder, 'pipeline.yaml')
  writeFileSync(config, FIRST_RULES)
  const place = { brokers: kafka.brokers, topic: kafka.topic, group: 'g', config }
  const { until: _, ...options } = SMALL
  const run = new Logpipe(t, ['run', ...flags({ ...options, ...place })], { folder })
  let produced = 0
  const read = async (...values: string[]) => {
    await kafka.produce(values)
    produced += values.length
    await run.until('it read all', () => run.metric('polled_total') === produced)
  }
  const reload = async (text: string, said: RegExp) => {
    writeFileSync(config, text)
    run.signal('SIGHUP')
    await run.until('it says so', () => said.test(run.stderr))
  }
  const levels = ['{"level":"ERROR"}', '{"level":"WARN"}', '{"level":"INFO"}']
  await read(...levels, '{"level":"ERROR","x":1}')
  await reload(SECOND_RULES, /SIGHUP: RULES, RULE_FIELD, FIELDS changed/)
  // Numbers of metrics are behind those of rules, and metrics do not change.
  assert.match(run.stderr, /SIGHUP: METRICS changed: needs a restart/)
  await read(...levels, '{"level":"WARN","x":1}', '{"level":"WARN","secret":1}')
  await reload('rules: [{ name: a, keep: "level:" }]\n', /rule "a", keep: .*keeping the old/)
  await read('{"level":"INFO","again":1}')
  await reload("keep: '/WAR/'\n", /SIGHUP: MATCH_KEEP, RULES, RULE_FIELD, FIELDS changed/)
  await read(...levels)
  await reload(SECOND_RULES, /(?:RULES, RULE_FIELD, FIELDS changed[^]*){3}/)
  await read('{"level":"WARN"}', '{"level":"WARN","x":1}')
  const { status, stderr } = await run.stop()
  assert.equal(status, 0, stderr)
  const written = readFileSync(path.join(folder, 'out'), 'utf8').split('\n').slice(0, -1)
  assert.deepEqual(written, [
    '{"level":"ERROR"}',
    '{"level":"WARN"}',
    '{"level":"WARN","rule":"warnings"}',
    '{"level":"INFO","rule":"rest"}',
    '{"level":"WARN","rule":"warnings"}',
    '{"level":"INFO","again":1,"rule":"rest"}',
    '{"level":"WARN"}',
    '{"level":"WARN","rule":"warnings"}',
  ])
  assert.match(stderr, /filtered\(errors\) .*filtered\(warnings\)|filtered\(warnings\) .*errors/)
  assert.match(stderr, /books balance/)
  assert.equal(stderr.match(/assigned \d partitions/g)?.length, 1)
})

const FIRST_RULES = `rules:
  - { name: errors, keep: 'level:ERROR', drop: 'x:*' }
  - { name: warnings, keep: 'level:WARN' }
metrics: { all: 'level:*' }
`
const SECOND_RULES = `rules:
  - { name: warnings, keep: 'level:WARN', drop: 'x:*' }
  - { name: rest, keep: 'level:INFO' }
rule-field: rule
fields: { remove: secret }
metrics: { all: 'level:*', more: 'level:WARN' }
`
