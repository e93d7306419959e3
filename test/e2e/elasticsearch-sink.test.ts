/**
 * The Elasticsearch output against the real thing: LOGPIPE_TEST_ES names an empty Elasticsearch 9
 * or 8, or an OpenSearch. Skipped by name without.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { ElasticsearchSink } from '../../src/sink/elasticsearch/elasticsearch-sink.ts'
import type { DeadLetter } from '../../src/sink/dead-letters/contract.ts'
import type { SpillQueue } from '../../src/sink/spill/contract.ts'
import type { ElasticsearchSettings } from '../../src/sink/elasticsearch/settings.ts'
import { ELASTICSEARCH_DEFAULTS } from '../helpers/elasticsearch-defaults.ts'
import { batchOf, recordOf, recordsOf, type TestBatch } from '../helpers/bulk-batch.ts'
import { FakeOverflow } from '../helpers/fake-overflow.ts'

const url = process.env['LOGPIPE_TEST_ES']
const options = { skip: url === undefined ? 'LOGPIPE_TEST_ES is not set' : false, timeout: 60_000 }
/** Names of one run do not meet those of another. */
const run = `e2e-${Date.now().toString(36)}`
let nameCount = 0

const freshName = () => `${run}-${++nameCount}`

async function call(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  assert(response.ok, `${method} ${path}: ${text}`)
  return JSON.parse(text) as Record<string, unknown>
}

async function countOf(index: string): Promise<number> {
  await call('POST', `/${index}/_refresh`)
  return (await call('GET', `/${index}/_count`))['count'] as number
}

interface Rig {
  readonly sink: ElasticsearchSink
  readonly letters: DeadLetter[]
  readonly settings: ElasticsearchSettings
  write(batch: TestBatch): TestBatch
}

async function startSink(
  t: TestContext,
  settings: Partial<ElasticsearchSettings>,
  overflow: SpillQueue | null = null,
): Promise<Rig> {
  const letters: DeadLetter[] = []
  const whole = { ...ELASTICSEARCH_DEFAULTS, urls: [url ?? ''], timeoutMs: 10_000, ...settings }
  const sink = new ElasticsearchSink(whole, {
    overflow,
    deadLetters: {
      put: (more) => {
        letters.push(...more)
        return Promise.resolve()
      },
    },
    events: {
      fail: (error) => assert.fail(error),
      endOfOutput: () => undefined,
    },
  })
  await sink.open()
  t.after(async () => await sink.close(0))
  const write = (batch: TestBatch) => {
    sink.write(batch)
    return batch
  }
  return { sink, letters, settings: whole, write }
}

async function until(isDone: () => boolean, withinMs: number): Promise<void> {
  const endMs = systemClock.monotonicMs() + withinMs
  while (!isDone()) {
    assert(systemClock.monotonicMs() < endMs, 'it takes too long')
    await new Promise<void>((resolve) => systemClock.after(20, resolve))
  }
}

test('documents arrive once, also when they are written twice', options, async (t) => {
  const index = freshName()
  const rig = await startSink(t, { index, compression: 'gzip' })
  const first = rig.write(batchOf(recordsOf(3000), rig.settings))
  await rig.sink.flush(20_000)
  const second = rig.write(batchOf(recordsOf(3500), rig.settings))
  await rig.sink.flush(20_000)
  assert.deepEqual(new Set(first.outcomes), new Set(['indexed']))
  assert.deepEqual(new Set(second.outcomes.slice(0, 3000)), new Set(['duplicate']))
  assert.deepEqual(new Set(second.outcomes.slice(3000)), new Set(['indexed']))
  assert.equal(await countOf(index), 3500)
})

test('a document that does not fit the mapping is dead-lettered alone', options, async (t) => {
  const index = freshName()
  await call('PUT', `/${index}`, { mappings: { properties: { n: { type: 'integer' } } } })
  const rig = await startSink(t, { index })
  const records = [1, 2, 3].map((n, offset) =>
    recordOf(n === 2 ? '{"n":"two"}' : `{"n":${n}}`, { offset }),
  )
  const batch = rig.write(batchOf(records, rig.settings))
  await rig.sink.flush(20_000)
  assert.deepEqual(batch.outcomes, ['indexed', 'dead_lettered', 'indexed'])
  assert.match(rig.letters[0]?.errorType ?? '', /^(document|mapper)_parsing_exception$/)
  assert.equal(rig.letters[0]?.offset, 1)
})

test('an id that is too long is found among the others', options, async (t) => {
  const index = freshName()
  const rig = await startSink(t, { index, documentId: 'key' })
  const records = recordsOf(50).map((record, at) => ({
    ...record,
    key: Buffer.from(at === 17 ? 'k'.repeat(513) : `k${at}`),
  }))
  const batch = rig.write(batchOf(records, rig.settings))
  await rig.sink.flush(20_000)
  assert.equal(batch.outcomes[17], 'dead_lettered')
  assert.equal(batch.outcomes.filter((outcome) => outcome === 'indexed').length, 49)
})

test('with ids from keys the newest record stays, whatever the order', options, async (t) => {
  const index = freshName()
  const rig = await startSink(t, { index, documentId: 'key' })
  for (const offset of [5, 9, 7, 9]) {
    const record = recordOf(`{"at":${offset}}`, { offset, key: Buffer.from('k') })
    rig.write(batchOf([record], rig.settings))
    await rig.sink.flush(20_000)
  }
  const found = await call('GET', `/${index}/_doc/k`)
  assert.deepEqual(found['_source'], { at: 9 })
})

test('a blocked and a closed index wait while another flows', options, async (t) => {
  const [blocked, closed, open] = [freshName(), freshName(), freshName()]
  for (const index of [blocked, closed]) {
    await call('PUT', `/${index}`, { settings: { number_of_replicas: 0 } })
  }
  await call('PUT', `/${blocked}/_settings`, { 'index.blocks.write': true })
  await call('POST', `/${closed}/_close`)
  const rig = await startSink(t, { index: '{topic}' }, new FakeOverflow())
  const batches = [blocked, closed, open].map((topic) =>
    rig.write(batchOf(recordsOf(20, 0, { topic }), rig.settings)),
  )
  await until(() => batches[2]?.unsettledCount() === 0, 20_000)
  assert.equal(batches[0]?.unsettledCount(), 20)
  assert.equal(batches[1]?.unsettledCount(), 20)
  assert.match(rig.sink.gauges().trouble ?? '', /documents wait for the index \S+, and 1 more/)
  await call('PUT', `/${blocked}/_settings`, { 'index.blocks.write': false })
  await call('POST', `/${closed}/_open`)
  await until(() => batches.every((batch) => batch.unsettledCount() === 0), 40_000)
  for (const index of [blocked, closed, open]) assert.equal(await countOf(index), 20)
  assert.deepEqual(rig.letters, [])
})

test('a missing pipeline holds; once it is there the documents flow', options, async (t) => {
  const [index, pipeline] = [freshName(), freshName()]
  const rig = await startSink(t, { index, pipeline })
  const batch = rig.write(batchOf(recordsOf(5), rig.settings))
  await until(() => rig.sink.gauges().trouble !== null, 20_000)
  assert.match(rig.sink.gauges().trouble ?? '', /pipeline with id .* does not exist/)
  await call('PUT', `/_ingest/pipeline/${pipeline}`, {
    processors: [{ set: { field: 'seen', value: true } }],
  })
  await until(() => batch.unsettledCount() === 0, 30_000)
  assert.deepEqual(new Set(batch.outcomes), new Set(['indexed']))
})

test(
  'a processor that fails every document holds its index, or is named as the one to blame',
  options,
  async (t) => {
    const [index, pipeline] = [freshName(), freshName()]
    const define = (processor: object) =>
      call('PUT', `/_ingest/pipeline/${pipeline}`, { processors: [processor] })
    await define({ fail: { message: 'I do not like it' } })
    const rig = await startSink(t, { index, pipeline })
    const batch = rig.write(batchOf(recordsOf(3), rig.settings))
    await rig.sink.flush(3000)
    if (rig.letters.length > 0) {
      // OpenSearch names the processor as the one to blame: that is known at once.
      assert.deepEqual(
        batch.outcomes,
        Array.from({ length: 3 }, () => 'dead_lettered'),
      )
      return assert.match(rig.letters[2]?.reason ?? '', /I do not like it/)
    }
    assert.equal(batch.unsettledCount(), 3)
    await define({ set: { field: 'seen', value: true } })
    await until(() => batch.unsettledCount() === 0, 40_000)
    assert.deepEqual(new Set(batch.outcomes), new Set(['indexed']))
    assert.deepEqual(rig.letters, [])
  },
)

test('a data stream takes wrapped documents, and knows them again', options, async (t) => {
  const name = freshName()
  await call('PUT', `/_index_template/${name}`, {
    index_patterns: [name],
    data_stream: {},
    template: { settings: { number_of_replicas: 0 } },
    priority: 500,
  })
  const rig = await startSink(t, { index: name, document: 'wrap' })
  for (const outcome of ['indexed', 'duplicate']) {
    const batch = rig.write(batchOf(recordsOf(10), rig.settings))
    await rig.sink.flush(20_000)
    assert.deepEqual(new Set(batch.outcomes), new Set([outcome]))
  }
  assert.equal(await countOf(name), 10)
})

test('a record that holds an action deletes nothing', options, async (t) => {
  const index = freshName()
  await call('PUT', `/${index}/_doc/victim`, { here: true })
  const evil = JSON.stringify({ delete: { _index: index, _id: 'victim' } })
  for (const document of ['raw', 'wrap', 'auto'] as const) {
    const rig = await startSink(t, { index, document })
    const records = ['\n', '\r\n', '\r'].map((end, offset) =>
      recordOf(`{"m":1}${end}${evil}${end}`, { offset, topic: document }),
    )
    const batch = rig.write(batchOf(records, rig.settings))
    await rig.sink.flush(20_000)
    assert.deepEqual(batch.outcomes, ['indexed', 'indexed', 'indexed'])
  }
  assert.equal(await countOf(index), 10)
})
