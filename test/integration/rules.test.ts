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
