/**
 * Damage in the spill, with a real Kafka: bytes flipped and ends cut off while logpipe runs or is
 * down. What the spill can no longer give is read from Kafka again; only what Kafka has no more is
 * lost, and then the exit status says so. With rules of which every one that holds makes a document
 * a record may lie in the spill twice, and the one that is damaged is the one that is replaced.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { untilCommitted } from '../helpers/committed.ts'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { flags, Logpipe, testFolder } from '../helpers/logpipe.ts'
import { randomOf } from '../helpers/spills.ts'
import type { KafkaClient } from '../servers/kafka.ts'
import { sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing(['kafka']) ?? false

const RECORDS = 30_000
const PARTITIONS = 3
const MATCH_EVERY = 2
const MATCHES = RECORDS / MATCH_EVERY
/** Bytes flipped in each segment, and what is cut off its end: several blocks of ranges. */
const FLIPS = 6
const CUT_BYTES = 1_000_000

type CommitOn = 'index' | 'spill'

/** Every second match meets both: two documents of one record. */
const RULES = `rules:
  all: true
  list:
    - { name: errors, keep: 'level:ERROR' }
    - { name: fourth, keep: 'level:ERROR and fourth:true', index: fourth }
`
const RULED = MATCHES + RECORDS / 4

class Rig {
  readonly #t: TestContext
  readonly kafka: KafkaClient
  readonly fake = new FakeBulk()
  readonly topic = uniqueName('damage')
  readonly group = uniqueName('damage')
  readonly folder: string
  /** Documents that the matches become. */
  readonly documents: number
  readonly #options: Readonly<Record<string, string>>
  #url = ''

  constructor(t: TestContext, kafka: KafkaClient, rules: string | null) {
    this.#t = t
    this.kafka = kafka
    this.folder = testFolder(t)
    this.documents = rules === null ? MATCHES : RULED
    this.#options = rules === null ? {} : { config: path.join(this.folder, 'rules.yaml') }
    if (rules !== null) writeFileSync(path.join(this.folder, 'rules.yaml'), rules)
  }

  static async open(t: TestContext, rules: string | null = null): Promise<Rig> {
    const rig = new Rig(t, await sharedKafka(t), rules)
    rig.#url = await rig.fake.listen()
    t.after(() => rig.fake.close())
    await rig.kafka.createTopic(rig.topic, PARTITIONS)
    const values = Array.from({ length: RECORDS }, (_, index) => {
      const level = index % MATCH_EVERY === 0 ? 'ERROR' : 'INFO'
      const fourth = index % 4 === 0
      return JSON.stringify({ level, index, fourth, message: 'x'.repeat(200 + (index % 300)) })
    })
    await rig.kafka.produce(rig.topic, values)
    return rig
  }

  start(commitOn: CommitOn): Logpipe {
    const { topic, group, folder } = this
    const brokers = this.kafka.bootstrapServers
    const place = { brokers, topic, group, ...this.#options }
    const given = flags({ ...place, 'run-seconds': 0, 'commit-on': commitOn })
    const env = { ES_ENABLED: '1', ES_URL: this.#url, RUST_WORKERS: '2' }
    return new Logpipe(this.#t, ['run', ...given], { env, folder })
  }

  /** Elasticsearch is away until all matches lie in the spill. */
  async fillSpill(commitOn: CommitOn): Promise<Logpipe> {
    this.fake.script = () => ({ kind: 'status', status: 503 })
    const logpipe = this.start(commitOn)
    await logpipe.until(
      'all is in the spill',
      // A few are read back, to look with.
      () => logpipe.metric('matched_total') >= MATCHES && logpipe.metric('es_mem_queue_len') < 500,
    )
    return logpipe
  }

  async untilCommitted(run: Logpipe): Promise<void> {
    const { kafka, group, topic } = this
    await untilCommitted({ kafka, group, topic, run }, await kafka.endOffsets(topic))
  }

  get segments(): string[] {
    return globSync(path.join(this.folder, 'data/**/*.spill')).sort()
  }

  /** @param seed picks the places. */
  damage(seed: number, isCut: boolean): void {
    const random = randomOf(seed)
    for (const file of this.segments) {
      const bytes = readFileSync(file)
      for (let flip = 0; flip < FLIPS; flip++) {
        const place = random(bytes.length)
        bytes[place] = (bytes[place] ?? 0) ^ (1 + random(255))
      }
      writeFileSync(file, bytes, { flag: 'r+' })
      if (isCut) truncateSync(file, Math.max(0, bytes.length - random(CUT_BYTES) - 1))
    }
  }

  /** Whether each match was written once. */
  assertAllWritten(): void {
    const ids = new Set(this.fake.ids)
    assert.equal(ids.size, this.documents)
    assert.ok([...this.fake.writes.values()].every((count) => count === 1))
  }
}

for (const rules of [null, RULES]) {
  const whose = rules === null ? '' : ', of each rule'
  test(`under spill, the next start reads what is damaged again${whose}`, { skip }, async (t) => {
    const rig = await Rig.open(t, rules)
    const first = await rig.fillSpill('spill')
    await rig.untilCommitted(first)
    first.signal('SIGKILL')
    await first.ended
    assert.ok(rig.segments.length > 0)
    const seed = Date.now() % 1_000_000
    rig.damage(seed, true)
    rig.fake.script = () => ({ kind: 'items' })
    const second = rig.start('spill')
    const { documents } = rig
    await second.until(`all is there (seed ${seed})`, () => rig.fake.documents.size >= documents)
    const { stderr } = await second.stop()
    rig.assertAllWritten()
    const named =
      /spill file segment-\d+-[0-9a-f]+\.spill (damaged, bytes \d+ to|truncated at byte) \d+/
    assert.match(stderr, named)
    assert.equal(total(stderr, 'carried_in'), documents)
    assert.doesNotMatch(stderr, /lost\(/)
    assert.match(stderr, /^books balance$/m)
    assert.deepEqual(rig.segments, [], 'what was dealt with is gone')
  })

  test(`under index, what is damaged is read while it runs${whose}`, { skip }, async (t) => {
    const rig = await Rig.open(t, rules)
    const logpipe = await rig.fillSpill('index')
    rig.damage(Date.now() % 1_000_000, false)
    rig.fake.script = () => ({ kind: 'items' })
    await logpipe.until('all is there', () => rig.fake.documents.size >= rig.documents)
    await logpipe.until('nothing waits', () => logpipe.metric('es_spill_queue_bytes') === 0)
    const { stderr } = await logpipe.stop()
    rig.assertAllWritten()
    assert.equal(total(stderr, 'pending'), 0)
    await rig.untilCommitted(logpipe)
  })
}

test('under index, the next start after a kill reads all again, once each', { skip }, async (t) => {
  const rig = await Rig.open(t, RULES)
  const first = await rig.fillSpill('index')
  first.signal('SIGKILL')
  await first.ended
  rig.damage(Date.now() % 1_000_000, true)
  rig.fake.script = () => ({ kind: 'items' })
  const second = rig.start('index')
  await second.until('all is there', () => rig.fake.documents.size >= rig.documents)
  await rig.untilCommitted(second)
  const { stderr } = await second.stop()
  rig.assertAllWritten()
  assert.match(stderr, /^books balance$/m)
})

test('what neither the spill nor Kafka has is lost, and said to be', { skip }, async (t) => {
  const rig = await Rig.open(t)
  const first = await rig.fillSpill('spill')
  await rig.untilCommitted(first)
  first.signal('SIGKILL')
  await first.ended
  rig.damage(7, false)
  await rig.kafka.deleteBelow(rig.topic, await rig.kafka.endOffsets(rig.topic))
  rig.fake.script = () => ({ kind: 'items' })
  const second = rig.start('spill')
  await second.until('what is lost is told', () => /are lost: damaged/.test(second.stderr))
  await second.until('the spill is empty', () => rig.segments.length === 0)
  second.signal('SIGTERM')
  const { status, stderr } = await second.ended
  assert.equal(status, 3, stderr)
  assert.match(stderr, /^lost\(spill\) damage-\w+\/\d [\d,]+: offsets \d+ to \d+/m)
  assert.match(stderr, /^books balance$/m)
  const written = rig.fake.documents.size
  assert.ok(written > 0 && written < MATCHES, `${written} written`)
})

/** A number of the books in total; 0 when it is not in them. */
function total(stderr: string, name: string): number {
  const cells = (line: RegExp) => line.exec(stderr)?.[0].split(/ +/) ?? []
  const column = cells(/^books {2}.*$/m).indexOf(name)
  return column === -1 ? 0 : Number(cells(/^total .*$/m)[column]?.replaceAll(',', ''))
}
