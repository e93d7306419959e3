/**
 * What every thread of the pipeline runs: an ingress thread or a filter thread, as it is told.
 *
 * An exception here ends the thread, and main ends the process in order: nothing unresolved is
 * committed.
 */
import assert from 'node:assert/strict'
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import { OFFSET_NONE } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { LogpipeError } from '../core/errors.ts'
import type { ToFilter } from '../filter/filter-messages.ts'
import { FilterThread } from '../filter/filter-thread.ts'
import { awaitAnswers } from '../kafka/broker-queries.ts'
import { Consumer } from '../kafka/consumer.ts'
import {
  askReaders,
  type AskReaders,
  conflictProblem,
  type GroupQuestion,
  type GroupReaders,
} from '../kafka/group-check.ts'
import type { FromIngress, IngressMessage, ToIngress } from '../kafka/ingress-messages.ts'
import { IngressThread } from '../kafka/ingress-thread.ts'
import { awaitTopics, type Preflight, type Problem } from '../kafka/preflight.ts'
import { Subscription } from '../kafka/subscription.ts'
import { MetricCounter } from '../metrics/metric-counter.ts'
import { propertyOf } from '../options/kafka-properties.ts'
import { Counters } from '../pool/counters.ts'
import { PHASE_END, PHASE_RUN, Signals } from '../pool/signals.ts'
import { SlotReader } from '../pool/slot-reader.ts'
import { Slots } from '../pool/slots.ts'
import { encoderFor } from './encoders.ts'
import type { ThreadData } from './threads.ts'
import type { MarkedRange } from '../kafka/offset-ranges.ts'

/** One wait for a READY slot; then the phase is looked at again. */
const CLAIM_WAIT_MS = 100

/** Then it begins alone; what it fetches waits in slots for the threads that are late. */
const ARRIVAL_TIMEOUT_MS = 5000

const data = workerData as ThreadData
const bridge = loadBridge(data.settings.bridgeFile ?? undefined)
const slots = new Slots(data.slots)
const signals = new Signals(data.signals)
const counters = new Counters(data.counters).row(data.row)
const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Of an ingress thread. */
const send = (message: IngressMessage) => {
  data.port.postMessage({ ...message, ingressIndex: data.index } satisfies FromIngress)
}

const receive = () => receiveMessageOnPort(data.port)?.message as ToIngress | ToFilter | undefined

/**
 * Messages for the ingress that came while the filter's were looked for. It takes them in its next
 * turn; main sends a few a second.
 */
const waiting: ToIngress[] = []
const WAITING_MAX = 10_000

const { replay, filter, rules, edits } = data.settings
const stage = new FilterThread({
  bridge,
  pool: data.pool,
  program: { matcher: data.matcher, rules, edits, metricsFrom: filter.metricsFrom ?? null },
  memory: data.slots,
  slots,
  runReports: data.runReports,
  credit: data.credit,
  encoder: encoderFor(data.settings.output),
  counter: counterHere(),
  span: replay && { fromMs: replay.fromMs, toMs: replay.toMs ?? Infinity },
  signals,
  counters,
  send: (message, transfer) => data.port.postMessage(message, [...transfer]),
  readMessages: () => {
    for (let message = receive(); message !== undefined; message = receive()) dispatch(message)
  },
})

function dispatch(message: ToIngress | ToFilter): void {
  if (message.kind === 'names' || message.kind === 'forget' || message.kind === 'program') {
    stage.handleMessage(message)
  } else {
    waiting.push(message)
    assert(waiting.length <= WAITING_MAX, 'the ingress takes its messages')
  }
}

/** What the thread counts beside the documents. */
function counterHere(): MetricCounter | null {
  const { metrics } = data.settings
  if (metrics === null) return null
  return new MetricCounter(bridge, metrics.specs, metrics.windows?.windowMs ?? null)
}

function runFilter(): void {
  for (;;) {
    let slotIndex = slots.claim(0)
    if (slotIndex === undefined) {
      stage.flush()
      slotIndex = slots.claim(CLAIM_WAIT_MS)
    }
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
  const endMs = performance.now() + ARRIVAL_TIMEOUT_MS
  while (signals.arrivedCount < data.threadCount && performance.now() < endMs) {
    if (signals.phase !== PHASE_RUN) return
    Atomics.wait(sleeper, 0, 0, 1)
  }
}

function runIngress(): void {
  const { settings, index } = data
  const { kafka, pool, replay } = settings
  const consumer = openConsumer()
  if (consumer === null) return
  const goesOn = ({ message }: Problem) => {
    if (!settings.waits) return false
    send({ kind: 'awaitingBroker', message })
    return signals.phase === PHASE_RUN
  }
  const { problem, events, logs, topics }: Preflight =
    index === 0 ? awaitTopics(consumer, kafka, { goesOn }) : NOTHING_ASKED
  for (const line of logs) send({ ...line, kind: 'log' })
  // Whoever is stopped while it waits has done nothing wrong.
  const isFailed = problem !== null && !(settings.waits && signals.phase !== PHASE_RUN)
  if (isFailed) send({ kind: 'failed', ...problem })
  else if (index === 0 && problem === null) send({ kind: 'opened', topics })
  const isGroup = kafka.membership === 'group'
  const mayRead = problem === null && (!isGroup || mayJoin(consumer))
  const subscription = mayRead && replay === null ? openSubscription(consumer) : null
  // The group is joined while the other threads start.
  if (isGroup) subscription?.poll(performance.now())
  awaitOthers()
  new IngressThread({
    consumer,
    pool: data.pool,
    slots,
    reader: new SlotReader(data.slots.slots, data.slots.shape),
    counters,
    signals,
    limits: pool.limits,
    start: kafka.start,
    untilEnd: kafka.untilEnd,
    commits: settings.commits,
    revokeDrainMs: kafka.revokeDrainMs,
    stallPauseMs: kafka.stallPauseMs,
    skipUnreadable: kafka.skipUnreadable,
    dropNewest: pool.dropNewest,
    send,
    receive: receiveForIngress,
    sleep: (ms) => Atomics.wait(sleeper, 0, 0, ms),
    filterHere: settings.mode === 'direct' ? stage : null,
    drop: (slotIndex) => {
      stage.reportDropped(slotIndex)
      bridge.slotDiscard(data.pool, slotIndex)
    },
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    ranges: replay === null || problem !== null ? null : rangesOfThread(replay.ranges),
    subscription,
    asksGroup: kafka.membership !== 'alone',
    identity: kafka.identity,
    onJoined: lookAround,
  }).run(events)
}

function openSubscription(consumer: Consumer): Subscription {
  const { settings, index } = data
  const { topics, membership, properties } = settings.kafka
  return new Subscription({
    consumer,
    wanted: topics,
    isGroup: membership === 'group',
    share: { index, count: properties.length },
    warn: (message) => {
      // The threads find the same; one of them tells it.
      if (index === 0) send(noteOf('TOPICS', message))
    },
  })
}

function groupQuestion(): GroupQuestion {
  const { groupId, identity, properties, topics } = data.settings.kafka
  const instanceIds = properties.flatMap((list) => propertyOf(list, 'group.instance.id') ?? [])
  return { groupId, identity, instanceIds, topics }
}

/**
 * False: another pipeline reads with the group; main was told. Each thread asks, since each is a
 * member of its own that would take partitions.
 */
function mayJoin(consumer: Consumer): boolean {
  let readers: GroupReaders | undefined
  awaitAnswers(consumer, (queries) => {
    askReaders(queries, groupQuestion(), (answer) => (readers = answer))
  })
  const { conflict = null, notices = [] } = readers ?? {}
  if (data.index === 0) for (const notice of notices) send(noteOf('GROUP', notice))
  if (conflict === null) return true
  if (data.settings.kafka.takesOver) {
    if (data.index === 0) send(noteOf('GROUP', conflict))
    return true
  }
  send({ kind: 'failed', ...conflictProblem(conflict) })
  return false
}

/** Two that start at the same moment find the group empty, and meet in it. */
function lookAround(ask: AskReaders): void {
  if (data.index !== 0 || data.settings.kafka.takesOver) return
  ask(groupQuestion(), ({ conflict, givesWay }) => {
    if (conflict === null) return
    if (givesWay) send({ kind: 'failed', ...conflictProblem(conflict) })
    else send(noteOf('GROUP', conflict))
  })
}

/** Something to be told that no broker said. */
function noteOf(code: string, message: string): IngressMessage {
  const nowhere = { topic: null, partition: -1, offset: OFFSET_NONE } as const
  return { kind: 'trouble', code, message, fatal: false, ...nowhere }
}

/** Null when properties or token are refused: main was told, and that the thread is done. */
function openConsumer(): Consumer | null {
  const { properties: all, tokenFile } = data.settings.kafka
  const properties = all[data.index]
  assert(properties !== undefined)
  const warn = (message: string) => send(noteOf('TOKEN', message))
  try {
    return new Consumer(bridge, { properties, tokenFile, warn })
  } catch (thrown) {
    if (!(thrown instanceof LogpipeError)) throw thrown
    send({ kind: 'failed', code: thrown.code, message: thrown.message })
    send({ kind: 'stopped', positions: [] })
    send({ kind: 'closed', inTime: true })
    return null
  }
}

/** This thread's share of a replay. */
function rangesOfThread(ranges: readonly MarkedRange[]): MarkedRange[] {
  const threadCount = data.settings.kafka.properties.length
  return ranges.filter((_, place) => place % threadCount === data.index)
}

function receiveForIngress(): ToIngress | undefined {
  for (let message = receive(); message !== undefined; message = receive()) {
    dispatch(message)
    if (waiting.length > 0) break
  }
  return waiting.shift()
}

signals.arrive()
if (data.role === 'ingress') runIngress()
else runFilter()
data.port.close()
