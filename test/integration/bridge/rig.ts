/** What the bridge's tests share: a mock cluster, a producer, a pool with one consumer. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import kafka from '@confluentinc/kafka-javascript'
import {
  FILL_EVENTS,
  type BridgeId,
  type ConsumerEvent,
  type FillLimits,
  type PoolShape,
} from '../../../src/bridge/bridge.ts'
import { loadBridge } from '../../../src/bridge/load.ts'
import * as layout from '../../../src/pool/layout.ts'
import { SlotReader } from '../../../src/pool/slot-reader.ts'

export const bridge = loadBridge(undefined)

/** Real time: a consumer that has not come this far by then never will. */
const DEADLINE_MS = 30_000

/** Quick rebalances; the newer protocol refuses both, because there the broker decides. */
const CLASSIC = [
  ['heartbeat.interval.ms', '100'],
  ['session.timeout.ms', '2500'],
] as const

export interface Mock {
  readonly id: BridgeId
  readonly bootstrapServers: string
}

export function openMock(t: TestContext, partitions = 1): Mock {
  const mock = bridge.mockOpen({ brokerCount: 1, topics: [{ topic: 't', partitions }] })
  t.after(() => bridge.mockClose(mock.id))
  return mock
}

export interface Message {
  readonly partition?: number
  readonly key?: Buffer | string | null
  readonly value: Buffer | string | null
  readonly headers?: Record<string, Buffer | string>
  readonly timestamp?: string
}

export async function produce(mock: Mock, messages: readonly Message[]): Promise<void> {
  const client = new kafka.KafkaJS.Kafka({ kafkaJS: { brokers: [mock.bootstrapServers] } })
  const producer = client.producer({ 'linger.ms': 5, 'message.max.bytes': 4_000_000, log_level: 0 })
  await producer.connect()
  await producer.send({ topic: 't', messages: messages.map((message) => ({ ...message })) })
  await producer.disconnect()
}

export function openConsumer(
  t: TestContext,
  mock: Mock,
  topics: readonly string[] = [],
  more: readonly (readonly [string, string])[] = [],
): BridgeId {
  const consumer = bridge.consumerOpen({
    config: [
      ['bootstrap.servers', mock.bootstrapServers],
      ['group.id', 'g'],
      ['enable.auto.commit', 'false'],
      ['enable.auto.offset.store', 'false'],
      ['auto.offset.reset', 'earliest'],
      ['fetch.wait.max.ms', '20'],
      ...(more.some(([name]) => name === 'group.protocol') ? [] : CLASSIC),
      ...more,
    ],
    topics,
  })
  t.after(() => {
    try {
      bridge.consumerClose(consumer, 10_000)
    } catch {
      // The test closed it.
    }
  })
  return consumer
}

export interface Run {
  readonly assignmentId: number
  readonly coverFrom: number
  readonly coverTo: number
}

export interface Found {
  readonly offset: number
  readonly timestamp: number
  readonly timestampType: number
  readonly value: string | null
  readonly key: string | null
  readonly headers: string
}

/** One slot and what a thread of the pipeline does with it. */
export class Rig {
  readonly pool: BridgeId
  readonly shape: PoolShape
  readonly memory: SharedArrayBuffer
  readonly #hits: Int32Array

  constructor(t: TestContext, shape: PoolShape) {
    this.shape = shape
    this.memory = new SharedArrayBuffer(layout.slotLayout(shape).slotBytes * shape.slotCount)
    this.pool = bridge.poolOpen(this.memory, shape)
    this.#hits = new Int32Array(shape.recordsMax)
    t.after(() => bridge.poolClose(this.pool))
  }

  get words(): Int32Array {
    return new Int32Array(this.memory, 0, layout.HEADER_WORDS)
  }

  setState(state: layout.SlotState): void {
    Atomics.store(this.words, layout.HEADER_STATE, state)
  }

  /** Fills slot 0 once; events are collected into `events`. */
  fill(consumer: BridgeId, events: ConsumerEvent[], limits: Partial<FillLimits> = {}): number {
    this.setState(layout.SLOT_FILLING)
    const result = bridge.consumerFill(consumer, this.pool, 0, {
      recordsMax: this.shape.recordsMax,
      bytesMax: this.shape.bufferBytes,
      pullMax: 100,
      timeoutMs: 20,
      viewsMax: 0,
      ...limits,
    })
    if (result >= FILL_EVENTS) events.push(...bridge.consumerEvents(consumer))
    return result % FILL_EVENTS
  }

  runs(): Run[] {
    const { runsAt } = layout.slotLayout(this.shape)
    return Array.from({ length: this.words[layout.HEADER_RUNS] ?? 0 }, (_, index) => {
      const at = runsAt + index * layout.RUN_BYTES
      const ints = new Int32Array(this.memory, at, 4)
      const floats = new Float64Array(this.memory, at, 5)
      return {
        assignmentId: ints[layout.RUN_ASSIGNMENT] ?? -1,
        coverFrom: floats[layout.RUN_COVER_FROM] ?? -1,
        coverTo: floats[layout.RUN_COVER_TO] ?? -1,
      }
    })
  }

  /** The time of the last record of each run, as a filter thread reads it. */
  lastTimes(): number[] {
    const reader = new SlotReader(this.memory, this.shape)
    reader.open(0)
    return Array.from({ length: reader.runCount }, (_, index) => reader.run(index).lastTimestampMs)
  }

  /** Scans slot 0 and copies the hits out. */
  scan(matcher: BridgeId): Found[] {
    this.setState(layout.SLOT_FILTERING)
    const count = bridge.slotScan(this.pool, 0, matcher, this.#hits)
    return [...this.#hits.subarray(0, count)].map((index) => this.#record(index))
  }

  #record(index: number): Found {
    const { recordsAt, payloadAt } = layout.slotLayout(this.shape)
    const at = recordsAt + index * layout.RECORD_BYTES
    const ints = new Int32Array(this.memory, at, 6)
    const floats = new Float64Array(this.memory, at, 5)
    const word = (field: number) => ints[field] ?? Number.NaN
    const common = {
      offset: floats[layout.RECORD_OFFSET] ?? -1,
      timestamp: floats[layout.RECORD_TIMESTAMP] ?? -1,
      timestampType: word(layout.RECORD_TIMESTAMP_TYPE),
    }
    if (((this.words[layout.HEADER_FLAGS] ?? 0) & layout.SLOT_FLAG_OVERSIZE) !== 0) {
      const record = bridge.slotOversize(this.pool, 0)
      const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString('latin1')
      const headers = text(record.headers) ?? ''
      return { ...common, value: text(record.value), key: text(record.key), headers }
    }
    const text = (start: number, bytes: number) =>
      Buffer.from(this.memory, payloadAt + start, bytes).toString('latin1')
    const valueBytes = word(layout.RECORD_VALUE_BYTES)
    const keyBytes = word(layout.RECORD_KEY_BYTES)
    const meta = word(layout.RECORD_META_START)
    return {
      ...common,
      value: valueBytes < 0 ? null : text(word(layout.RECORD_VALUE_START), valueBytes),
      key: keyBytes < 0 ? null : text(meta, keyBytes),
      headers: text(meta + Math.max(keyBytes, 0), word(layout.RECORD_HEADERS_BYTES)),
    }
  }
}

/** Calls `step` until it says that it is done. */
export function until(step: () => boolean): void {
  const deadline = performance.now() + DEADLINE_MS
  while (!step()) assert.ok(performance.now() < deadline, 'not within the deadline')
}
