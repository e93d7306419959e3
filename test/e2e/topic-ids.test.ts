/**
 * What `_id` is made of, on a real Kafka and a real Elasticsearch: a topic that was deleted and
 * made anew has the offsets of its past, and its records are documents of their own. And topics
 * whose documents would mix in one index by topic are refused.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { openAdmin } from '../../src/kafka/admin.ts'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import type { KafkaClient } from '../servers/kafka.ts'
import { sharedElasticsearch, sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const RECORDS = 20
// A cold server may take seconds to make an index.
const SMALL = flags({
  'pool-size': 16,
  'filter-threads': 1,
  'ingress-threads': 1,
  'es-timeout-ms': 20_000,
})

interface Place {
  readonly kafka: KafkaClient
  readonly url: string
  readonly topic: string
  readonly index: string
}

function pipeline(t: TestContext, place: Place, group: string, more: readonly string[] = []) {
  const { kafka, url, topic, index } = place
  return new Logpipe(t, [
    'run',
    ...flags({ brokers: kafka.bootstrapServers, topic, group, 'run-seconds': 0 }),
    ...flags({ output: 'elasticsearch', 'es-url': url, 'es-index': index }),
    ...SMALL,
    ...more,
  ])
}

/** Reads what there is, and ends. */
async function readAll(
  t: TestContext,
  place: Place,
  more: readonly string[] = [],
): Promise<string> {
  const run = pipeline(t, place, uniqueName('ids'), more)
  await run.until('all is read', () => run.metric('polled_total') >= RECORDS)
  return (await run.stop()).stderr
}

async function produce({ kafka, topic }: Place, generation: string): Promise<void> {
  const values = Array.from({ length: RECORDS }, (_, index) => `ERROR ${generation} ${index}`)
  await kafka.produce(topic, values)
}

async function makeAnew({ kafka, topic }: Place): Promise<void> {
  const admin = await openAdmin({
    brokers: kafka.bootstrapServers,
    config: [],
    timeoutMs: 30_000,
  })
  try {
    assert.equal(await admin.deleteTopic(topic), true)
    const endMs = performance.now() + 30_000
    while ((await admin.listTopics()).includes(topic)) assert.ok(performance.now() < endMs)
  } finally {
    admin.close()
  }
  await kafka.createTopic(topic, 1)
}

/** The ids of all documents, sorted. */
async function idsIn({ url, index }: Place): Promise<string[]> {
  await fetch(`${url}/${index}/_refresh`, { method: 'POST' })
  const answer = await fetch(`${url}/${index}/_search?size=1000&_source=false`)
  const { hits } = (await answer.json()) as { hits: { hits: { _id: string }[] } }
  return hits.hits.map(({ _id: id }) => id).sort()
}

async function placeFor(t: TestContext, prefix: string): Promise<Place> {
  const kafka = await sharedKafka(t)
  const url = await sharedElasticsearch(t)
  const topic = uniqueName(prefix)
  await kafka.createTopic(topic, 1)
  return { kafka, url, topic, index: topic }
}

const missing = serversMissing(['kafka', 'elasticsearch'])

test('a topic made anew makes documents of its own', { skip: missing ?? false }, async (t) => {
  const place = await placeFor(t, 'anew')
  await produce(place, 'old')
  await readAll(t, place)
  const old = await idsIn(place)
  assert.equal(old.length, RECORDS)
  for (const id of old) assert.match(id, new RegExp(`^[0-9a-f]{8}-${place.topic}-0-\\d+$`))

  await makeAnew(place)
  await produce(place, 'new')
  await readAll(t, place)
  const all = await idsIn(place)
  assert.equal(all.length, 2 * RECORDS, 'the same offsets, and no document of the past in the way')
  assert.equal(new Set(all.map((id) => id.slice(0, 8))).size, 2)

  // Read once more, by a group or by a replay, it is what is there already.
  assert.match(await readAll(t, place), /duplicate/)
  const replay = new Logpipe(t, [
    'replay',
    ...flags({ brokers: place.kafka.bootstrapServers, topic: place.topic }),
    ...flags({ from: '2020-01-01T00:00Z', output: 'elasticsearch' }),
    ...flags({ 'es-url': place.url, 'es-index': place.index }),
    ...SMALL,
  ])
  const { status, stderr } = await replay.ended
  assert.equal(status, 0, stderr)
  assert.deepEqual(await idsIn(place), all)

  const without = { ...place, index: uniqueName('without') }
  await readAll(t, without, ['--id-prefix', 'none'])
  assert.ok((await idsIn(without)).includes(`${place.topic}-0-0`))
  const named = { ...place, index: uniqueName('named') }
  await readAll(t, named, ['--id-prefix', 'eu'])
  assert.ok((await idsIn(named)).includes(`eu-${place.topic}-0-0`))
})

test('a topic made anew while it is read is read anew', { skip: missing ?? false }, async (t) => {
  const place = await placeFor(t, 'live')
  const group = uniqueName('live')
  await produce(place, 'old')
  const run = pipeline(t, place, group)
  await run.until('all is read', () => run.metric('polled_total') >= RECORDS)
  await makeAnew(place)
  // The new log grows to the offset that was reached, and beyond it: librdkafka would go on there.
  await produce(place, 'new')
  await produce(place, 'newer')
  await run.until('all is read anew', () => run.metric('polled_total') >= 3 * RECORDS)
  const { stderr } = await run.stop()
  assert.match(stderr, /log truncated or topic recreated/)
  const ids = await idsIn(place)
  assert.deepEqual(await place.kafka.groupOffsets(group, place.topic), [2 * RECORDS])
  // Records of the new log that were read before it was noticed are there under both ids.
  const offsets = (prefix: string) => ids.filter((id) => id.startsWith(prefix)).length
  const prefixes = [...new Set(ids.map((id) => id.slice(0, 8)))]
  assert.equal(prefixes.length, 2)
  assert.ok(
    prefixes.some((prefix) => offsets(prefix) === 2 * RECORDS),
    ids.join(),
  )
})

test('topics that differ in capitals are not mixed', { skip: missing ?? false }, async (t) => {
  const place = await placeFor(t, 'capitals')
  const other = place.topic.toUpperCase()
  await place.kafka.createTopic(other, 1)
  const says = new RegExp(
    `ES_INDEX is "app-\\{topic\\}": topics .* would both go to the index app-${place.topic}`,
  )
  for (const topic of [`${place.topic},${other}`, `^(${place.topic}|${other})$`]) {
    const run = pipeline(t, { ...place, topic, index: 'app-{topic}' }, uniqueName('ids'))
    const { status, stderr } = await run.ended
    assert.match(stderr, says)
    assert.equal(status, 2)
  }
})
