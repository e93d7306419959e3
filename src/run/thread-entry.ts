/**
 * What every thread of the pipeline runs: an ingress thread or a filter thread, as it is told.
 *
 * An exception here ends the thread, and main ends the process in order: nothing unresolved is
 * committed.
 */
import assert from 'node:assert/strict'
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import {
  OFFSET_NONE,
  type BridgeId,
  type ConsumerOptions,
  type PartitionOffset,
} from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { FromIngress, ToIngress } from '../kafka/ingress-messages.ts'
import { IngressThread } from '../kafka/ingress-thread.ts'
import type { OffsetRange } from '../kafka/offset-ranges.ts'
import { configRefusal } from '../kafka/consumer-settings.ts'
import { awaitTopics, type Preflight, type Problem } from '../kafka/preflight.ts'
import { SignIn } from '../kafka/sign-in.ts'
import { Counters } from '../pool/counters.ts'
import { PHASE_END, PHASE_RUN, Signals } from '../pool/signals.ts'
import { SlotReader } from '../pool/slot-reader.ts'
import { Slots } from '../pool/slots.ts'
import { FilterStage } from './filter-stage.ts'
import type { ThreadData, ToFilter } from './thread-data.ts'

/** One wait for a READY slot; then the phase is looked at again. */
const CLAIM_WAIT_MS = 100

/** A consumer without a token has no connection, so nothing is to wait for. */
const REFUSED_CLOSE_MS = 1000

/** A machine so slow still works; what is fetched then waits in its slots. */
const ARRIVAL_TIMEOUT_MS = 5000

const data = workerData as ThreadData
const bridge = loadBridge(data.settings.bridgeFile ?? undefined)
const slots = new Slots(data.slots)
const signals = new Signals(data.signals)
const counters = new Counters(data.counters).row(data.row)
const sleeper = new Int32Array(new SharedArrayBuffer(4))

const receive = () => receiveMessageOnPort(data.port)?.message as ToIngress | ToFilter | undefined

/**
 * Messages for the ingress that were met while looking for the filter's; at most a few a second.
 */
const waiting: ToIngress[] = []

const stage = new FilterStage({
  data,
  bridge,
  slots,
  signals,
  counters,
  send: (message, transfer) => data.port.postMessage(message, [...transfer]),
  readMessages: () => {
    for (let message = receive(); message !== undefined; message = receive()) dispatch(message)
  },
})

function dispatch(message: ToIngress | ToFilter): void {
  if (message.kind === 'names' || message.kind === 'forget' || message.kind === 'matcher') {
    stage.handleMessage(message)
  } else {
    waiting.push(message)
  }
}

function runFilter(): void {
  for (;;) {
    const slotIndex = slots.claim(CLAIM_WAIT_MS)
    for (let message = receive(); message !== undefined; message = receive()) dispatch(message)
    if (slotIndex === undefined) {
      if (signals.phase === PHASE_END) return
    } else {
      stage.process(slotIndex)
    }
  }
}

const NOTHING_ASKED: Preflight = { problem: null, events: [], logs: [], topics: [] }

/**
 * Loading the code of all threads takes the cores for a moment. Records that were fetched meanwhile
 * would only lie there, so the first fill waits for everyone; the group is joined in the meantime.
 */
function awaitOthers(): void {
  const { kafka, mode, filter } = data.settings
  const threadCount = kafka.properties.length + (mode === 'direct' ? 0 : filter.threadCount)
  const endMs = performance.now() + ARRIVAL_TIMEOUT_MS
  while (signals.arrivedCount < threadCount && performance.now() < endMs) {
    if (signals.phase !== PHASE_RUN) return
    Atomics.wait(sleeper, 0, 0, 1)
  }
}

function runIngress(): void {
  const { settings, index } = data
  const { kafka, pool, replay } = settings
  const config = kafka.properties[index]
  assert(config !== undefined)
  const send = (message: FromIngress) => data.port.postMessage(message)
  const isStatic = kafka.membership === 'static'
  const opened = openConsumer({ config, topics: isStatic ? [] : kafka.topics }, send)
  if (opened === null) return
  const { consumer, signIn } = opened
  const goesOn = ({ message }: Problem) => {
    if (!settings.waits) return false
    send({ kind: 'awaitingBroker', ingressIndex: index, message })
    signIn.look()
    return signals.phase === PHASE_RUN
  }
  const { problem, events, logs, topics }: Preflight =
    index === 0 ? awaitTopics(bridge, consumer, kafka, { goesOn }) : NOTHING_ASKED
  for (const line of logs) send({ ...line, kind: 'log', ingressIndex: index })
  // Whoever is stopped while it waits has done nothing wrong.
  const isFailed = problem !== null && !(settings.waits && signals.phase !== PHASE_RUN)
  if (isFailed) send({ kind: 'failed', ingressIndex: index, ...problem })
  else if (index === 0 && problem === null) send({ kind: 'opened', ingressIndex: index, topics })
  awaitOthers()
  new IngressThread({
    ingressIndex: index,
    bridge,
    consumer,
    pool: data.pool,
    slots,
    reader: new SlotReader(data.slots.slots, data.slots.shape),
    counters,
    signals,
    limits: pool.limits,
    start: kafka.start,
    topics: kafka.topics,
    commits: settings.commits,
    revokeDrainMs: kafka.revokeDrainMs,
    stallPauseMs: kafka.stallPauseMs,
    skipUnreadable: kafka.skipUnreadable,
    dropNewest: pool.dropNewest,
    send,
    receive: receiveForIngress,
    sleep: (ms) => Atomics.wait(sleeper, 0, 0, ms),
    filterHere: settings.mode === 'direct' ? (slot, waiting) => stage.process(slot, waiting) : null,
    reportDropped: (slotIndex) => stage.reportDropped(slotIndex),
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    ranges: replay === null || problem !== null ? null : rangesOfThread(replay.ranges),
    signIn,
    staticPartitions: isStatic && problem === null ? staticPartitions(consumer) : null,
  }).run(events)
}

interface Opened {
  readonly consumer: BridgeId
  readonly signIn: SignIn
}

/** Null when properties or token are refused: main was told, and that the thread is done. */
function openConsumer(
  options: ConsumerOptions,
  send: (message: FromIngress) => void,
): Opened | null {
  const ingressIndex = data.index
  let consumer: BridgeId | null = null
  try {
    consumer = bridge.consumerOpen(options)
    const signIn = new SignIn({
      bridge,
      consumer,
      tokenFile: data.settings.kafka.tokenFile,
      nowMs: () => Date.now(),
      warn: (message) => {
        const where = { topic: null, partition: -1, offset: OFFSET_NONE }
        const trouble = { ingressIndex, code: 'TOKEN', message, fatal: false }
        send({ ...trouble, ...where, kind: 'trouble' })
      },
    })
    signIn.begin()
    return { consumer, signIn }
  } catch (thrown) {
    const told =
      thrown instanceof LogpipeError
        ? { code: thrown.code, message: thrown.message }
        : {
            code: 'KAFKA_CONFIG',
            message: configRefusal(messageOf(thrown), options.config),
          }
    send({ kind: 'failed', ingressIndex, ...told })
    if (consumer !== null) bridge.consumerClose(consumer, REFUSED_CLOSE_MS)
    send({ kind: 'stopped', ingressIndex, positions: [] })
    send({ kind: 'closed', ingressIndex, inTime: true })
    return null
  }
}

/** This thread's share of a replay. */
function rangesOfThread(ranges: readonly OffsetRange[]): OffsetRange[] {
  const threadCount = data.settings.kafka.properties.length
  return ranges.filter((_, place) => place % threadCount === data.index)
}

/** This thread's share of all partitions: those whose number leaves its index as the remainder. */
function staticPartitions(consumer: BridgeId): PartitionOffset[] {
  const { kafka } = data.settings
  const threadCount = kafka.properties.length
  return kafka.topics.flatMap((topic) => {
    const { topics } = bridge.consumerMetadata(consumer, topic, kafka.connectTimeoutMs)
    const count = topics.find((one) => one.topic === topic)?.partitions ?? 0
    return Array.from({ length: count }, (_, partition) => ({
      topic,
      partition,
      offset: OFFSET_NONE,
    })).filter(({ partition }) => partition % threadCount === data.index)
  })
}

function receiveForIngress(): ToIngress | undefined {
  for (let message = receive(); message !== undefined; message = receive()) {
    dispatch(message)
    if (waiting.length > 0) break
  }
  return waiting.shift()
}

// Told to end before it began, a thread has nothing to undo.
assert(signals.phase >= PHASE_RUN)
signals.arrive()
if (data.role === 'ingress') runIngress()
else runFilter()
data.port.close()
