/** The bench on a real Kafka: what was produced is what is counted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import { sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const RECORDS = 20_000
const MATCH_SHARE = 0.01

const missing = serversMissing(['kafka'])

test('bench consume counts what bench produce made', { skip: missing ?? false }, async (t) => {
  const kafka = await sharedKafka(t)
  const topic = uniqueName('bench')
  const bench = async (
    word: string,
    options: Readonly<Record<string, string | number>>,
  ): Promise<Record<string, unknown>> => {
    const { status, stdout, stderr } = await new Logpipe(t, [
      'bench',
      word,
      '--json',
      ...flags(options),
    ]).ended
    assert.equal(status, 0, stderr)
    return JSON.parse(stdout.toString('utf8')) as Record<string, unknown>
  }
  const produced = await bench('produce', {
    broker: kafka.bootstrapServers,
    topic,
    'num-records': RECORDS,
    'match-share': MATCH_SHARE,
  })
  assert.equal(produced['records'], RECORDS)
  const consumed = await bench('consume', {
    brokers: kafka.bootstrapServers,
    topic,
    records: RECORDS,
  })
  assert.equal(consumed['records'], RECORDS)
  assert.equal(consumed['matched'], RECORDS * MATCH_SHARE)
})
