/**
 * An embedded broker that the tests' own process holds, for programs that run beside it: topics,
 * records, what a group has committed, and faults.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import binding from '@confluentinc/kafka-javascript'
import type { BridgeId } from '../../src/bridge/bridge.ts'
import { loadBridge } from '../../src/bridge/load.ts'
import { awaitAnswers, type Facts } from '../../src/kafka/broker-queries.ts'
import { decodeNote } from '../../src/kafka/commit-note.ts'
import { type Consumer, withConsumer } from '../../src/kafka/consumer.ts'

const bridge = loadBridge(undefined)
const REQUEST_MS = 20_000
const TOPIC = 't'

/** Kafka's keys of requests, for `failNext`. */
export const API = { FETCH: 1, OFFSET_COMMIT: 8, OFFSET_FETCH: 9, JOIN: 11, HEARTBEAT: 12 } as const

export class MockKafka {
  readonly brokers: string
  readonly topic = TOPIC
  readonly #id: BridgeId
  readonly #partitions: readonly { topic: string; partition: number; offset: number }[]

  constructor(t: TestContext, partitions: number) {
    const topics = [{ topic: TOPIC, partitions }]
    const { id, bootstrapServers } = bridge.mockOpen({ brokerCount: 1, topics })
    t.after(() => bridge.mockClose(id))
    this.#id = id
    this.brokers = bootstrapServers
    this.#partitions = Array.from({ length: partitions }, (_, partition) => ({
      topic: TOPIC,
      partition,
      offset: 0,
    }))
  }

  /** In turns to all partitions; resolves when the broker has them. */
  async produce(values: readonly (string | Buffer)[]): Promise<void> {
    const client = new binding.KafkaJS.Kafka({ kafkaJS: { brokers: [this.brokers] } })
    const more = { 'linger.ms': 5, 'message.max.bytes': 8_000_000, log_level: 0 }
    const producer = client.producer(more)
    await producer.connect()
    const count = this.#partitions.length
    const messages = values.map((value, index) => ({ value, partition: index % count }))
    await producer.send({ topic: TOPIC, messages })
    await producer.disconnect()
  }

  /** The next requests of this kind are answered with these codes of Kafka's, in order. */
  failNext(apiKey: number, errorCodes: readonly number[]): void {
    bridge.mockPushErrors(this.#id, apiKey, errorCodes)
  }

  stop(): void {
    bridge.mockBrokerDown(this.#id, 1)
  }

  start(): void {
    bridge.mockBrokerUp(this.#id, 1)
  }

  /** What the group has committed, by partition; -1: nothing. */
  committed(group: string): number[] {
    return this.#committedBy(group).map(({ committed }) => Math.max(-1, committed?.offset ?? -1))
  }

  /** The pipelines that committed for the group: their fingerprints, each once. */
  committers(group: string): string[] {
    const rows = this.#committedBy(group)
    const notes = rows.map(({ committed }) => decodeNote(committed?.metadata ?? null))
    return [...new Set(notes.flatMap((note) => note?.pipeline.fingerprint ?? []))]
  }

  #committedBy(group: string): readonly Facts[] {
    return this.#asMember(group, (consumer) => {
      let found: readonly Facts[] = []
      awaitAnswers(consumer, (queries) => {
        queries.ask(this.#partitions, { committed: true }, REQUEST_MS, (facts) => (found = facts))
      })
      return found
    })
  }

  /** Commits for a group that has no members. */
  commit(group: string, offsets: readonly number[]): void {
    const rows = this.#partitions.map((row, index) => ({ ...row, offset: offsets[index] ?? 0 }))
    const answers = this.#asMember(group, (consumer) => consumer.commit(rows, REQUEST_MS))
    assert.ok(answers.every((one) => one.error === null))
  }

  #asMember<T>(group: string, ask: (consumer: Consumer) => T): T {
    const properties = [
      ['bootstrap.servers', this.brokers],
      ['group.id', group],
    ] as const
    const options = { properties, tokenFile: null, warn: assert.fail }
    return withConsumer(bridge, options, REQUEST_MS, ask)
  }
}
