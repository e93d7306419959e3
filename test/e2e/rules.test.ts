/**
 * Rules and fields on a real Kafka and Elasticsearch: each rule's documents are where they belong,
 * edited, through the rule's ingest pipeline; two of one record in one index are two documents, and
 * a second reading finds all of them there.
 */
import { Client } from '@elastic/elasticsearch'
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { flags, Logpipe, testFolder } from '../helpers/logpipe.ts'
import { sharedElasticsearch, sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing(['kafka', 'elasticsearch']) ?? false

const RECORDS = 6000
const PARTITIONS = 2
const LEVELS = ['ERROR', 'INFO', 'WARN']
const levelOf = (n: number) => LEVELS[n % 3] ?? ''
const isHealth = (n: number) => n % 5 === 0
/** Every 500th has a text where the index has a number. */
const isOdd = (n: number) => n % 500 === 100

function valueOf(n: number): string {
  const took = isOdd(n) ? '"late"' : String(n % 2000)
  const path = isHealth(n) ? '/health' : '/api'
  const rest = `"path":"${path}","price":1.10,"password":"x${n}"`
  return `{"n":${n},"level":"${levelOf(n)}","took":${took},${rest}}`
}

const SHARE = 0.25
const isSampled = (n: number) =>
  hash('sha256', String(n), 'buffer').readUInt32BE(0) < SHARE * 2 ** 32

test('rules send documents where they belong, once', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const url = await sharedElasticsearch(t)
  const client = new Client({ node: url })
  t.after(() => client.close())
  const [topic, index, slowIndex] = [uniqueName('rules'), uniqueName('rules'), uniqueName('slow')]
  const pipeline = uniqueName('enrich')
  await client.ingest.putPipeline({
    id: pipeline,
    processors: [{ set: { field: 'enriched', value: true } }],
  })
  const mappingsOf = (type: 'keyword' | 'long') => ({ properties: { took: { type } } })
  await client.indices.create({ index, mappings: mappingsOf('keyword') })
  await client.indices.create({ index: slowIndex, mappings: mappingsOf('long') })
  await kafka.createTopic(topic, PARTITIONS)
  await kafka.produce(
    topic,
    Array.from({ length: RECORDS }, (_, n) => valueOf(n)),
  )
  const folder = testFolder(t)
  const config = path.join(folder, 'pipeline.yaml')
  writeFileSync(
    config,
    `rules:
  all: true
  list:
    - { name: errors, keep: 'level:ERROR', drop: '"/health"' }
    - { name: again, keep: 'level:ERROR and n < 3000', sample: { share: 25%, by: n } }
    - name: slow
      keep: took >= 1000 or took:late
      index: ${slowIndex}
      pipeline: ${pipeline}
      fields: { remove: path }
fields: { redact: { password: mask } }
rule-field: rule
add-kafka: true
dlq: file:letters.ndjson
`,
  )
  const run = async (context: TestContext, group: string) => {
    const place = {
      brokers: kafka.bootstrapServers,
      topic,
      group,
      config,
      until: 'end',
      'ingress-threads': 1,
    }
    const logpipe = new Logpipe(context, ['run', ...flags(place)], {
      folder,
      env: { ES_ENABLED: '1', ES_URL: url, ES_INDEX: index, RUST_WORKERS: '2' },
    })
    const { status, stderr } = await logpipe.ended
    assert.equal(status, 0, stderr)
    assert.match(stderr, /books balance/)
    return stderr
  }
  const all = Array.from({ length: RECORDS }, (_, n) => n)
  const errors = all.filter((n) => levelOf(n) === 'ERROR' && !isHealth(n))
  const again = all.filter((n) => levelOf(n) === 'ERROR' && n < 3000)
  const slow = all.filter((n) => isOdd(n) || n % 2000 >= 1000)
  const sampled = again.filter(isSampled)
  const rules = [errors, again, slow]
  const taken = (n: number) => rules.filter((rule) => rule.includes(n)).length
  const copied = all.reduce((sum, n) => sum + Math.max(0, taken(n) - 1), 0)
  const odd = slow.filter(isOdd)

  const stderr = await run(t, uniqueName('rules'))
  const indexed = errors.length + sampled.length + slow.length - odd.length
  assert.equal(entry(stderr, 'indexed') + entry(stderr, 'duplicate'), indexed, stderr)
  assert.equal(entry(stderr, 'copied'), copied)
  assert.equal(entry(stderr, 'filtered(sample)'), again.length - sampled.length)
  assert.equal(entry(stderr, 'dead_lettered'), odd.length)
  const droppedAlone = all.filter((n) => levelOf(n) === 'ERROR' && isHealth(n) && taken(n) === 0)
  assert.equal(entry(stderr, 'filtered(errors)'), droppedAlone.length)

  const found = await documentsOf(client, index)
  assert.deepEqual(numbersOf(found, 'errors'), errors)
  assert.deepEqual(numbersOf(found, 'again'), sampled)
  const slowFound = await documentsOf(client, slowIndex)
  const indexedSlow = slow.filter((n) => !isOdd(n))
  assert.deepEqual(numbersOf(slowFound, 'slow'), indexedSlow)
  for (const { source } of slowFound) {
    assert.deepEqual([source['enriched'], source['path']], [true, undefined])
    assert.equal(source['password'], '***')
  }
  const [first] = found
  assert.match(first?.id ?? '', /-(errors|again)$/)
  assert.partialDeepStrictEqual(first?.source['kafka'], { topic })

  const letters = readFileSync(path.join(folder, 'letters.ndjson'), 'utf8')
  assert.ok(!letters.includes('"x100"') && letters.includes('***') && letters.includes('1.10'))

  const second = await run(t, uniqueName('rules'))
  assert.equal(entry(second, 'duplicate'), indexed, second)
  assert.equal((await documentsOf(client, index)).length, found.length)
})

interface Found {
  readonly id: string
  readonly source: Readonly<Record<string, unknown>>
}

async function documentsOf(client: Client, index: string): Promise<Found[]> {
  await client.indices.refresh({ index })
  const { hits } = await client.search<Record<string, unknown>>({ index, size: 10_000 })
  return hits.hits.map(({ _id: id = '', _source: source = {} }) => ({ id, source }))
}

function numbersOf(found: readonly Found[], rule: string): number[] {
  return found
    .filter(({ source }) => source['rule'] === rule)
    .map(({ source }) => Number(source['n']))
    .toSorted((one, other) => one - other)
}

/** A number of the books in total; 0 when it is not in them. */
function entry(stderr: string, name: string): number {
  const cells = (line: RegExp) => line.exec(stderr)?.[0].split(/ +/) ?? []
  const column = cells(/^books {2}.*$/m).indexOf(name)
  return column === -1 ? 0 : Number(cells(/^total .*$/m)[column]?.replaceAll(',', ''))
}
