/**
 * What every thread of the pipeline runs: an ingress thread or a filter thread, as it is told.
 *
 * An exception here ends the thread, and main ends the process in order: nothing unresolved is
 * committed.
 */
import assert from 'node:assert/strict'
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import { type BridgeId, type ConsumerOptions, OFFSET_NONE } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { ToFilter } from '../filter/filter-messages.ts'
import { FilterThread } from '../filter/filter-thread.ts'
import { awaitAnswers } from '../kafka/broker-queries.ts'
import { configRefusal } from '../kafka/consumer-settings.ts'
import {
  askReaders,
  type AskReaders,
  conflictProblem,
  type GroupQuestion,
  type GroupReaders,
} from '../kafka/group-check.ts'
import type { FromIngress, ToIngress } from '../kafka/ingress-messages.ts'
import { IngressThread } from '../kafka/ingress-thread.ts'
import { awaitTopics, type Preflight, type Problem } from '../kafka/preflight.ts'
import { SignIn } from '../kafka/sign-in.ts'
import { Subscription } from '../kafka/subscription.ts'
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

const { replay } = data.settings
const stage = new FilterThread({
  bridge,
  pool: data.pool,
  matcher: data.matcher,
  memory: data.slots,
  slots,
  runReports: data.runReports,
  credit: data.credit,
  encoder: encoderFor(data.settings.output),
  span: replay && { fromMs: replay.fromMs, toMs: replay.toMs ?? Infinity },
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
  const opened = openConsumer({ config, topics: [] }, send)
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
  const isGroup = kafka.membership === 'group'
  const mayRead = problem === null && (!isGroup || mayJoin(consumer, send))
  const subscription = mayRead && replay === null ? openSubscription(consumer, send) : null
  // The group is joined while the other threads start.
  if (isGroup) subscription?.look(performance.now())
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
    untilEnd: kafka.untilEnd,
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
    subscription,
    asksGroup: kafka.membership !== 'alone',
    identity: kafka.identity,
    onJoined: (ask) => lookAround(ask, send),
  }).run(events)
}

function openSubscription(consumer: BridgeId, send: (message: FromIngress) => void): Subscription {
  const { settings, index } = data
  const { topics, membership, properties } = settings.kafka
  return new Subscription({
    bridge,
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
function mayJoin(consumer: BridgeId, send: (message: FromIngress) => void): boolean {
  let readers: GroupReaders | undefined
  awaitAnswers(bridge, consumer, (queries) => {
    askReaders(queries, groupQuestion(), (answer) => (readers = answer))
  })
  const { conflict = null, notices = [] } = readers ?? {}
  if (data.index === 0) for (const notice of notices) send(noteOf('GROUP', notice))
  if (conflict === null) return true
  if (data.settings.kafka.takesOver) {
    if (data.index === 0) send(noteOf('GROUP', conflict))
    return true
  }
  send({ kind: 'failed', ingressIndex: data.index, ...conflictProblem(conflict) })
  return false
}

/** Two that start at the same moment find the group empty, and meet in it. */
function lookAround(ask: AskReaders, send: (message: FromIngress) => void): void {
  if (data.index !== 0 || data.settings.kafka.takesOver) return
  ask(groupQuestion(), ({ conflict, givesWay }) => {
    if (conflict === null) return
    if (givesWay) send({ kind: 'failed', ingressIndex: data.index, ...conflictProblem(conflict) })
    else send(noteOf('GROUP', conflict))
  })
}

/** Something to be told that no broker said. */
function noteOf(code: string, message: string): FromIngress {
  const nowhere = { topic: null, partition: -1, offset: OFFSET_NONE } as const
  return { kind: 'trouble', ingressIndex: data.index, code, message, fatal: false, ...nowhere }
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
      warn: (message) => send(noteOf('TOKEN', message)),
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

// Told to end before it began, a thread has nothing to undo.
assert(signals.phase >= PHASE_RUN)
signals.arrive()
if (data.role === 'ingress') runIngress()
else runFilter()
data.port.close()
