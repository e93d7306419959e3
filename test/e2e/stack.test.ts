import { Client } from '@elastic/elasticsearch'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedElasticsearch, sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

test(
  'a real Kafka keeps what was produced to it',
  { skip: serversMissing(['kafka']) ?? false },
  async (t) => {
    const kafka = await sharedKafka(t)
    const topic = uniqueName('stack')
    await kafka.createTopic(topic, 3, { 'retention.ms': '3600000' })
    assert.deepEqual(await kafka.endOffsets(topic), [0, 0, 0])

    await kafka.produce(topic, ['one ERROR', Buffer.from([0, 255]), null, 'four'])

    const ends = await kafka.endOffsets(topic)
    assert.equal(ends.length, 3)
    assert.equal(
      ends.reduce((sum, end) => sum + end, 0),
      4,
    )
    const committed = await kafka.groupOffsets(uniqueName('nobody'), topic)
    assert.ok(committed.every((offset) => offset === -1))
  },
)

test(
  'a request about a topic may be sent again when its answer was lost',
  { skip: serversMissing(['kafka']) ?? false },
  async (t) => {
    const kafka = await sharedKafka(t)
    const topic = uniqueName('again')
    for (let time = 0; time < 2; time++) await kafka.createTopic(topic, 1)
    assert.deepEqual(await kafka.endOffsets(topic), [0])
    for (let time = 0; time < 2; time++) await kafka.deleteTopic(topic)
  },
)

test(
  'a real Elasticsearch gives back what was indexed',
  { skip: serversMissing(['elasticsearch']) ?? false },
  async (t) => {
    const client = new Client({ node: await sharedElasticsearch(t) })
    t.after(() => client.close())
    const index = uniqueName('stack')

    const created = await client.index({ index, id: 'a-0-7', document: { message: 'one ERROR' } })
    assert.equal(created.result, 'created')
    const { _source: document } = await client.get({ index, id: 'a-0-7' })
    assert.deepEqual(document, { message: 'one ERROR' })
  },
)
