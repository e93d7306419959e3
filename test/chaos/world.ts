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
import { Feed, PATTERN, type FedTopic } from './feed.ts'
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

/** Topics, and what each is there for. */
interface WorldTopic extends FedTopic {
  /** One replica a partition: without its broker it has no leader. */
  readonly isAlone?: true
  /** Two replicas on brokers 2 and 3, of which one not in sync may lead. */
  readonly isUnclean?: true
}
export const BUSY = 'orders'
/** Partitions are added to it. */
export const GROWING = 'events'
/** Each partition is on one broker only. */
const ALONE = 'alone'
/** It is deleted and made anew. */
export const REBORN = 'reborn'
/** Its log loses its end at unclean elections. */
export const TORN = 'torn'
const TOPICS: readonly WorldTopic[] = [
  { name: BUSY, partitions: 3, weight: 8, hasPoison: true },
  { name: GROWING, partitions: 3, weight: 8, hasPoison: true },
  { name: ALONE, partitions: 3, weight: 2, hasPoison: true, isAlone: true },
  { name: REBORN, partitions: 2, weight: 1, hasPoison: false },
  { name: TORN, partitions: 1, weight: 1, hasPoison: false, isUnclean: true },
]
/** The member that a twin shares its place in the group with. */
const STATIC_MEMBER = 'cache-2'
const INSTANCE_ID = 'the-only-one'

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
  /** It has the instance id of STATIC_MEMBER, and fences it while both run. */
  twin: Member | null = null
  readonly topics: readonly WorldTopic[]
  readonly brokers: 1 | 3
  readonly groups: readonly Group[]
  /** Whether each member's spill has a disk of its own. */
  hasDisks = true
  readonly folder: string
  kafka!: KafkaServer
  search!: SearchServer
  proxy!: Proxy
  feed!: Feed

  private constructor(groups: readonly Group[], brokers: 1 | 3) {
    this.groups = groups
    this.brokers = brokers
    this.topics = TOPICS.filter(({ isUnclean }) => brokers === 3 || isUnclean !== true)
    this.folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-chaos-'))
    this.after(() => rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 }))
    const abandon = () => this.#abandon()
    process.once('exit', abandon)
    this.after(() => void process.off('exit', abandon))
  }

  static async start(options: WorldOptions): Promise<World> {
    const groups = GROUPS.filter(({ name }) => options.members[name] !== undefined)
    const world = new World(groups, options.brokers)
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
    return this.groups.flatMap((group) =>
      this.topics.map(({ name }) => indexName(group.name, name)),
    )
  }

  /** The process is told to end in the middle of a run: nothing outlives it. */
  #abandon(): void {
    // The signal is sent at once; nobody is left to wait for the end.
    for (const member of this.everyone) void member.kill()
    for (const disk of this.#disks) spawnSync('umount', ['--lazy', disk])
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }

  /** Members, joiners and the twin. */
  get everyone(): readonly Member[] {
    return [...this.members, ...this.joiners, ...(this.twin === null ? [] : [this.twin])]
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
    for (const topic of this.topics) await this.makeTopic(topic)
    for (const index of this.indices) await this.#createIndex(index)
    for (const group of this.groups) {
      for (let number = 1; number <= (options.members[group.name] ?? 0); number++) {
        const name = `${group.name}-${number}`
        this.members.push(await this.#makeMember(group, name, options))
        if (name === STATIC_MEMBER) this.twin = await this.#makeMember(group, 'twin', options)
      }
      this.joiners.push(await this.#makeMember(group, `${group.name}-joiner`, options))
    }
    for (const member of this.members) member.start()
    this.feed = await Feed.start({
      brokers: kafka.bootstrapServers,
      topics: this.topics,
      perSecond: options.perSecond,
      random: seededRandom(options.seed + 1),
    })
  }

  async makeTopic({ name, partitions, isAlone, isUnclean }: WorldTopic): Promise<void> {
    const { kafka, brokers } = this
    if (isUnclean === true) {
      const config = {
        'min.insync.replicas': '1',
        'unclean.leader.election.enable': 'true',
      }
      return await kafka.createPlacedTopic(name, '2:3', config)
    }
    if (isAlone !== true || brokers === 1) return await kafka.createTopic(name, partitions)
    const config = { 'min.insync.replicas': '1' }
    await kafka.createPlacedTopic(name, '1,2,3', config)
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
      args: [
        ...memberArgs(group, this, url, options.spillBytesMax),
        ...(name === STATIC_MEMBER || name === 'twin'
          ? flags({ 'group-instance-id': INSTANCE_ID })
          : []),
      ],
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

function memberArgs(group: Group, world: World, url: string, spillBytesMax: number): string[] {
  const brokers = world.kafka.bootstrapServers
  const topic = world.topics.map(({ name }) => name).join(',')
  return [
    'run',
    ...flags({ brokers, topic, group: group.name, 'run-seconds': 0 }),
    ...flags({ pattern: PATTERN, document: 'wrap', 'log-format': 'json' }),
    '--es-enabled',
    ...flags({ 'es-url': url, 'es-index': indexName(group.name, '{topic}') }),
    // Each member has a proxy of its own, and so another address of the same Elasticsearch.
    '--take-over',
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
