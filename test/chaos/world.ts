/**
 * What the faults happen to: real Kafka and Elasticsearch, the proxy between, two consumer groups,
 * and the feed. One group commits on the word of Elasticsearch (`cache`: its spill is one), the
 * other on the spill (`durable`); both read the same topics into indices of their own.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { seededRandom } from '../../src/core/random.ts'
import { flags } from '../helpers/logpipe.ts'
import { startKafka, type KafkaServer } from '../servers/kafka.ts'
import { startElasticsearch, type SearchServer } from '../servers/search.ts'
import { Feed, PATTERN } from './feed.ts'
import { Member, type CommitOn } from './member.ts'
import { untilDone } from './pause.ts'
import { Proxy } from './proxy.ts'

export interface Group {
  readonly name: string
  readonly commitOn: CommitOn
}

const GROUPS: readonly Group[] = [
  { name: 'cache', commitOn: 'index' },
  { name: 'durable', commitOn: 'spill' },
]
export const TOPICS = ['orders', 'events'] as const
const PARTITIONS = 3

/** The disk of a member's spill has so much more than the spill may take. */
const SPILL_DISK_FACTOR = 4

export interface WorldOptions {
  readonly seed: number
  readonly brokers: 1 | 3
  /** Members that run all the time, by group; a group that is not named is left out. */
  readonly members: Readonly<Record<string, number>>
  readonly spillBytesMax: number
  readonly perSecond: number
  /** Where the members' words are kept. */
  readonly output: string
}

/** `cache-orders` and so on. */
export function indexName(group: string, topic: string): string {
  return `${group}-${topic}`
}

export class World {
  readonly #closers: (() => void | Promise<void>)[] = []
  readonly #disks: string[] = []
  readonly members: Member[] = []
  /** One a group that joins and leaves. */
  readonly joiners: Member[] = []
  readonly groups: readonly Group[]
  /** Whether each member's spill has a disk of its own. */
  hasDisks = true
  readonly folder: string
  kafka!: KafkaServer
  search!: SearchServer
  proxy!: Proxy
  feed!: Feed

  private constructor(groups: readonly Group[]) {
    this.groups = groups
    this.folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-chaos-'))
    this.after(() => rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 }))
    const abandon = () => this.#abandon()
    process.once('exit', abandon)
    this.after(() => void process.off('exit', abandon))
  }

  static async start(options: WorldOptions): Promise<World> {
    const world = new World(GROUPS.filter(({ name }) => options.members[name] !== undefined))
    try {
      await world.#start(options)
    } catch (error) {
      await world.stop()
      throw error
    }
    return world
  }

  /** Called at the end, the last one first. */
  after(close: () => void | Promise<void>): void {
    this.#closers.push(close)
  }

  async stop(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close()
  }

  /** All groups' indices. */
  get indices(): readonly string[] {
    return this.groups.flatMap(({ name }) => TOPICS.map((topic) => indexName(name, topic)))
  }

  /** The process is told to end in the middle of a run: nothing outlives it. */
  #abandon(): void {
    // The signal is sent at once; nobody is left to wait for the end.
    for (const member of this.everyone) void member.kill()
    for (const disk of this.#disks) spawnSync('umount', ['--lazy', disk])
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }

  /** Members and joiners. */
  get everyone(): readonly Member[] {
    return [...this.members, ...this.joiners]
  }

  /** Calls Elasticsearch itself, not the proxy. @throws Error when it does not answer with 200. */
  async call(method: string, route: string, body?: object): Promise<unknown> {
    const answer = await fetch(`${this.search.url}${route}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${route}: ${answer.status} ${text.slice(0, 300)}`)
    return JSON.parse(text)
  }

  async #start(options: WorldOptions): Promise<void> {
    const random = seededRandom(options.seed)
    const [kafka, search] = await Promise.all([
      startKafka({ brokers: options.brokers }),
      startElasticsearch(),
    ])
    this.kafka = kafka
    this.after(() => kafka.stop())
    this.search = search
    this.after(() => search.stop())
    this.proxy = new Proxy(search.url, () => random.next() / 2 ** 32)
    this.after(() => this.proxy.close())
    for (const topic of TOPICS) await kafka.createTopic(topic, PARTITIONS)
    for (const index of this.indices) await this.#createIndex(index)
    for (const group of this.groups) {
      for (let number = 1; number <= (options.members[group.name] ?? 0); number++) {
        this.members.push(await this.#makeMember(group, `${group.name}-${number}`, options))
      }
      this.joiners.push(await this.#makeMember(group, `${group.name}-joiner`, options))
    }
    for (const member of this.members) member.start()
    this.feed = await Feed.start({
      brokers: kafka.bootstrapServers,
      topics: TOPICS,
      partitions: PARTITIONS,
      perSecond: options.perSecond,
      random: seededRandom(options.seed + 1),
    })
  }

  /** A key that is no number is what the mapping refuses. */
  async #createIndex(index: string): Promise<void> {
    await untilDone(`index ${index}`, 60_000, async () => {
      await this.call('PUT', `/${index}`, {
        settings: { number_of_shards: 1, number_of_replicas: 0 },
        mappings: {
          dynamic: false,
          properties: {
            kafka: {
              properties: {
                key: { type: 'integer' },
                partition: { type: 'integer' },
                offset: { type: 'long' },
              },
            },
          },
        },
      })
    })
  }

  async #makeMember(group: Group, name: string, options: WorldOptions): Promise<Member> {
    const folder = path.join(this.folder, name)
    mkdirSync(path.join(folder, 'spill'), { recursive: true })
    this.#mountDisk(path.join(folder, 'spill'), options.spillBytesMax * SPILL_DISK_FACTOR)
    const url = await this.proxy.listen(name)
    const member = new Member({
      name,
      commitOn: group.commitOn,
      folder,
      hooks: this,
      logFile: path.join(options.output, `${name}.log`),
      args: memberArgs(group, this.kafka.bootstrapServers, url, options.spillBytesMax),
    })
    this.after(() => member.retire())
    return member
  }

  /** A disk that can really be full; only root may make one. */
  #mountDisk(folder: string, bytes: number): void {
    try {
      const size = `size=${bytes}`
      execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'logpipe-chaos', folder], {
        stdio: 'ignore',
      })
      this.#disks.push(folder)
      this.after(() => void execFileSync('umount', ['--lazy', folder]))
    } catch {
      // Then only the bound of the spill makes it full.
      this.hasDisks = false
    }
  }
}

function memberArgs(group: Group, brokers: string, url: string, spillBytesMax: number): string[] {
  return [
    'run',
    ...flags({ brokers, topic: TOPICS.join(','), group: group.name, 'run-seconds': 0 }),
    ...flags({ pattern: PATTERN, document: 'wrap', 'log-format': 'json' }),
    '--es-enabled',
    ...flags({ 'es-url': url, 'es-index': indexName(group.name, '{topic}') }),
    ...flags({ 'commit-on': group.commitOn, dlq: 'file:letters.jsonl' }),
    ...flags({ 'es-bulk-actions': 400, 'es-queue-cap': 2000, 'es-concurrency': 4 }),
    ...flags({ 'es-spill-path': 'spill/queue.bin', 'es-spill-max-bytes': spillBytesMax }),
    ...flags({ 'ingress-threads': 1, 'filter-threads': 1, 'pool-size': 16 }),
    ...flags({ 'buffer-bytes': 262_144, 'batch-bytes': 65_536 }),
    ...flags({ 'shutdown-deadline': 8000, 'revoke-drain-ms': 4000 }),
    // The shortest that the brokers allow: how long the dead are waited for.
    ...flags({ 'kafka-config': 'session.timeout.ms=6000' }),
  ]
}
