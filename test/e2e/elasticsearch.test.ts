/**
 * Kafka to a real Elasticsearch: every match is indexed once, however often it is read.
 */
import { Client } from '@elastic/elasticsearch'
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import { sharedElasticsearch, sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing(['kafka', 'elasticsearch']) ?? false

const RECORDS = 20_000
const PARTITIONS = 3
const MATCH_EVERY = 10
const MATCHES = RECORDS / MATCH_EVERY

/** Text, JSON objects, and what must not get into a _bulk body as it is. */
function valueOf(index: number): string {
  const level = index % MATCH_EVERY === 0 ? 'ERROR' : 'INFO'
  if (index % 40 === 0) return JSON.stringify({ level, index, message: `record ${index}` })
  if (index % 50 === 0) return `{"m":"${level} ${index}"}\n{"delete":{"_index":"x","_id":"1"}}`
  return `${level} record ${index} "quoted" \\ ${'.'.repeat(index % 200)}`
}

interface Indexed {
  readonly count: number
  readonly texts: readonly string[]
}

test('every match is indexed once, however often it is read', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const url = await sharedElasticsearch(t)
  const client = new Client({ node: url })
  t.after(() => client.close())
  const topic = uniqueName('indexed')
  const index = uniqueName('indexed')
  const group = uniqueName('indexed')
  await kafka.createTopic(topic, PARTITIONS)
  const values = Array.from({ length: RECORDS }, (_, each) => valueOf(each))
  await kafka.produce(topic, values)

  const run = (context: TestContext, group: string) =>
    new Logpipe(
      context,
      ['run', ...flags({ brokers: kafka.bootstrapServers, topic, group, 'run-seconds': 0 })],
      { env: { ES_ENABLED: '1', ES_URL: url, ES_INDEX: index, RUST_WORKERS: '2' } },
    )

  const indexed = async (): Promise<Indexed> => {
    await client.indices.refresh({ index })
    const { hits } = await client.search<object>({
      index,
      size: MATCHES * 2,
      track_total_hits: true,
    })
    const total = typeof hits.total === 'number' ? hits.total : (hits.total?.value ?? 0)
    return { count: total, texts: hits.hits.map((hit) => JSON.stringify(hit._source)) }
  }

  await t.test('the first run indexes all of them', async (t) => {
    const first = run(t, group)
    await first.until('all is read', () => first.metric('polled_total') === RECORDS)
    const { stderr } = await first.stop()
    // A request that a cold server took too long over is sent again, and finds duplicates.
    assert.equal(entry(stderr, 'indexed') + entry(stderr, 'duplicate'), MATCHES)
    const { count, texts } = await indexed()
    assert.equal(count, MATCHES)
    for (const each of [0, 10, 40, 50]) {
      const found = texts.filter((text) => text.includes(needleOf(each)))
      assert.equal(found.length, 1, needleOf(each))
    }
  })

  await t.test('the same group finds nothing new', async (t) => {
    const second = run(t, group)
    await second.until('it has its partitions', () => second.metric('kafka_lag') === 0)
    await second.until('it is in balance', () => /assigned [1-9]/.test(second.stderr))
    const { stderr } = await second.stop()
    assert.match(stderr, /read 0 records/)
    assert.equal((await indexed()).count, MATCHES)
  })

  await t.test('a new group finds all of them there already', async (t) => {
    const third = run(t, uniqueName('indexed'))
    await third.until('all is read', () => third.metric('polled_total') === RECORDS)
    const { stderr } = await third.stop()
    assert.equal(entry(stderr, 'duplicate'), MATCHES)
    assert.equal((await indexed()).count, MATCHES)
  })
})

/** A number of the books in total; 0 when it is not in them. */
function entry(stderr: string, name: string): number {
  const cells = (line: RegExp) => line.exec(stderr)?.[0].split(/ +/) ?? []
  const column = cells(/^books {2}.*$/m).indexOf(name)
  return column === -1 ? 0 : Number(cells(/^total .*$/m)[column]?.replaceAll(',', ''))
}

/** What of a value must be found in its document, as JSON has it. */
function needleOf(index: number): string {
  if (index % 40 === 0) return `"index":${index},`
  if (index % 50 === 0) return `ERROR ${index}\\"`
  return `record ${index} `
}
