/**
 * The threads of a pipeline: starting them, talking to them, seeing them end.
 *
 * A thread is a Worker with a port of its own. One that dies is reported once, with the reason.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import type { BridgeId } from '../bridge/bridge.ts'
import { bridgeFile } from '../bridge/load.ts'
import { LogpipeError } from '../core/errors.ts'
import { packedText } from '../core/program-files.ts'
import { keyOf } from '../core/topic-partition.ts'
import { formatBytes } from '../core/units.ts'
import type { FromFilter, ToFilter } from '../filter/filter-messages.ts'
import type {
  FromIngress,
  Of,
  StuckPartition,
  ToIngress,
  WaitingPartition,
} from '../kafka/ingress-messages.ts'
import { Counters } from '../pool/counters.ts'
import type { SlotShape } from '../pool/layout.ts'
import { RunReports } from '../pool/run-reports.ts'
import { type CreditLimits, Signals } from '../pool/signals.ts'
import { Slots, type SlotsMemory } from '../pool/slots.ts'
import type { PipelineSettings } from './settings.ts'

export type FromThread = FromIngress | FromFilter
type ToThread = ToIngress | ToFilter

/** What a thread runs: a file, or in the executable what loads the scripts inside it. */
function threadScript(): { readonly script: string | URL; readonly eval: boolean } {
  const loader = packedText('js/loader.cjs')
  if (loader !== null) return { script: loader, eval: true }
  return { script: new URL('./thread-entry.ts', import.meta.url), eval: false }
}

/** How long threads may take to end once they were told; then they are terminated. */
const EXIT_TIMEOUT_MS = 3000

/**
 * An ingress thread is at its JoinGroup 60 ms after its start (bench/startup.ts); with the filters
 * started beside it, it took twice as long.
 */
const FILTERS_AFTER_MS = 80

interface ThreadsEvents {
  readonly onMessage: (message: FromThread) => void
  /** A thread ended that was not told to. Threads count in the order in which they were started. */
  readonly onDeath: (threadIndex: number, error: LogpipeError) => void
}

/** Which threads a pipeline has, by the order in which they are started: ingress, then filter. */
export class ThreadRows {
  readonly ingressCount: number
  readonly count: number
  /** Threads that filter: in direct mode those of the ingress. */
  readonly filters: readonly number[]

  constructor({ mode, kafka, filter }: Pick<PipelineSettings, 'mode' | 'kafka' | 'filter'>) {
    this.ingressCount = kafka.properties.length
    this.count = this.ingressCount + (mode === 'direct' ? 0 : filter.threadCount)
    const rows = Array.from({ length: this.count }, (_, row) => row)
    this.filters = mode === 'direct' ? rows : rows.slice(this.ingressCount)
  }

  roleOf(row: number): Pick<ThreadData, 'role' | 'index'> {
    const { ingressCount } = this
    return row < ingressCount
      ? { role: 'ingress', index: row }
      : { role: 'filter', index: row - ingressCount }
  }
}

interface Thread {
  readonly name: string
  readonly worker: Worker
  readonly port: MessagePort
  readonly exited: Promise<void>
}

export class Threads {
  readonly #events: ThreadsEvents
  readonly #threads: Thread[] = []
  #isClosing = false
  #later: NodeJS.Timeout | undefined

  constructor(events: ThreadsEvents) {
    this.#events = events
  }

  /**
   * Starts all. Those of the ingress come first, and have the cores to themselves until they have
   * asked for their group; filters have nothing to do before.
   */
  startAll(rows: ThreadRows, dataOf: (row: number) => Omit<ThreadData, 'port'>): void {
    const start = (from: number, end: number) => {
      for (let row = from; row < end; row++) this.#start(dataOf(row))
    }
    start(0, rows.ingressCount)
    this.#later = setTimeout(() => start(rows.ingressCount, rows.count), FILTERS_AFTER_MS)
  }

  #start(data: Omit<ThreadData, 'port'>): void {
    const name = `${data.role}-${data.index}`
    const { port1, port2 } = new MessageChannel()
    const { script, eval: isText } = threadScript()
    // A thread is told where the add-on is: finding it means reading it.
    const settings = {
      ...data.settings,
      bridgeFile: bridgeFile(data.settings.bridgeFile ?? undefined),
    }
    const worker = new Worker(script, {
      name,
      eval: isText,
      workerData: { ...data, settings, port: port2 } satisfies ThreadData,
      transferList: [port2],
      stdout: false,
      stderr: false,
    })
    port1.on('message', (message: FromThread) => this.#events.onMessage(message))
    const index = this.#threads.length
    const exited = new Promise<void>((resolve) => {
      worker.once('error', (error) => this.#died(index, name, error))
      worker.once('exit', () => {
        if (!this.#isClosing) this.#died(index, name, null)
        resolve()
      })
    })
    this.#threads.push({ name, worker, port: port1, exited })
  }

  send(threadIndex: number, message: ToThread): void {
    this.#threads[threadIndex]?.port.postMessage(message)
  }

  /** Waits for all to end by themselves; terminates what does not. @returns the names of those. */
  async close(): Promise<string[]> {
    this.#isClosing = true
    clearTimeout(this.#later)
    const late: string[] = []
    await Promise.all(
      this.#threads.map(async ({ name, worker, port, exited }) => {
        const inTime = await within(exited, EXIT_TIMEOUT_MS)
        if (!inTime) {
          late.push(name)
          await worker.terminate()
        }
        port.close()
      }),
    )
    return late
  }

  /** From here on a thread that ends is no surprise. */
  expectEnd(): void {
    this.#isClosing = true
  }

  #died(index: number, name: string, error: unknown): void {
    if (this.#isClosing && error === null) return
    const why = error instanceof Error ? error.message : 'it ended by itself'
    const message = `the thread ${name} died: ${why}`
    this.#events.onDeath(index, new LogpipeError('THREAD', message, { cause: error }))
  }
}

async function within(promise: Promise<void>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs)
  })
  const result = await Promise.race([promise.then(() => true as const), timeout])
  clearTimeout(timer)
  return result
}

/*
 * How far each ingress thread has come on its way to the end, from what it says to main.
 *
 *   reading --all there is was read--> finished --phase DRAIN--> stopped --finish--> closed
 *      '------------------------- phase DRAIN ---------------------^
 *
 * Used by pipeline.ts, which waits until all of them have come so far.
 */

/**
 * A refusal is repeated every second while it lasts, and a member that the group no longer counts
 * loses its partitions after session.timeout.ms: one that is older than this is over.
 */
const REFUSAL_MS = 60_000

/**
 * What one member gives away another one has a moment later: between the two, everybody may have
 * read all there is. All members of a generation hear of it together; this is a hundred times that.
 */
const GROUP_QUIET_MS = 1000
/**
 * On a busy machine the other one may hear of it much later. A partition that was given away before
 * it was read, and that none of these threads has been given since, is then another process's.
 */
const PASSING_MS = 15_000

/** How far the threads are from reading; standby: they are ready, and have nothing to read. */
export type Reading = 'connecting' | 'joining' | 'standby' | 'reading'

/** Why a thread reads nothing of its group, or not for long. */
interface GroupFault {
  readonly text: string
  readonly untilMs: number
}

export class IngressStates {
  readonly #count: number
  readonly #nowMs: () => number
  readonly #quietMs: number
  /** When the group last gave a thread partitions, or took some. */
  #givenMs = -Infinity
  readonly #finished = new Set<number>()
  /** Given away before they were read, and when. */
  readonly #passing = new Map<string, number>()
  readonly #stopped = new Set<number>()
  readonly #closed = new Set<number>()
  readonly #unreachable = new Set<number>()
  readonly #stuck = new Map<number, Of<'stuck'>>()
  readonly #groupFaults = new Map<number, GroupFault>()
  readonly #waiting = new Map<number, readonly WaitingPartition[]>()
  /** Ready, with nothing to read. */
  readonly #standby = new Set<number>()
  readonly #isGroup: boolean
  #hasAnswer = false
  #hasJoined = false

  /** @param isGroup whether partitions are the group's to give and to take. */
  constructor(count: number, nowMs: () => number, isGroup: boolean) {
    this.#count = count
    this.#nowMs = nowMs
    this.#isGroup = isGroup
    this.#quietMs = isGroup ? GROUP_QUIET_MS : 0
  }

  reachable(ingressIndex: number, isReachable: boolean): void {
    this.#hasAnswer ||= isReachable
    if (isReachable) this.#unreachable.delete(ingressIndex)
    else this.#unreachable.add(ingressIndex)
  }

  /** The group gives it partitions or takes some: what it has to read is not known to be read. */
  regrouped(message: FromIngress): void {
    const hadFinished = this.#finished.delete(message.ingressIndex)
    this.#givenMs = this.#nowMs()
    if (message.kind === 'assign') {
      for (const one of message.partitions) this.#passing.delete(keyOf(one))
    }
    if (message.kind === 'revoke' && !hadFinished) {
      for (const one of message.positions) this.#passing.set(keyOf(one), this.#givenMs)
    }
  }

  /** The group has given it partitions, or said that there are none for it. */
  joined(ingressIndex: number): void {
    this.#hasJoined = true
    this.#groupFaults.delete(ingressIndex)
    this.#standby.delete(ingressIndex)
  }

  /** There is nothing for it to read. */
  standby(ingressIndex: number): void {
    this.joined(ingressIndex)
    this.#standby.add(ingressIndex)
  }

  refused({ ingressIndex, code, message }: Of<'refused'>): void {
    const text = `the group refuses this process: ${code}: ${message}`
    this.#groupFaults.set(ingressIndex, { text, untilMs: this.#nowMs() + REFUSAL_MS })
  }

  lost(ingressIndex: number): void {
    const text = 'the group revoked the partitions of this process; it is rejoining'
    this.#groupFaults.set(ingressIndex, { text, untilMs: Infinity })
  }

  waiting({ ingressIndex, partitions }: Of<'waiting'>): void {
    this.joined(ingressIndex)
    this.#waiting.set(ingressIndex, partitions)
  }

  stuck(message: Of<'stuck'>): void {
    this.#stuck.set(message.ingressIndex, message)
  }

  finished(ingressIndex: number): void {
    this.#finished.add(ingressIndex)
  }

  stopped(ingressIndex: number): void {
    this.#stopped.add(ingressIndex)
  }

  closed(ingressIndex: number): void {
    this.#closed.add(ingressIndex)
  }

  /** Nobody waits for an answer of the dead. */
  noteDeath(ingressIndex: number): void {
    this.#stopped.add(ingressIndex)
    this.#closed.add(ingressIndex)
  }

  /** Of a replay, or a run up to the end: everything that was asked for went into slots. */
  get haveFinished(): boolean {
    const nowMs = this.#nowMs()
    const isPassing = [...this.#passing.values()].some((sinceMs) => nowMs - sinceMs < PASSING_MS)
    const isQuiet = nowMs - this.#givenMs >= this.#quietMs
    return isQuiet && !isPassing && this.#finished.size === this.#count
  }

  /**
   * Whether the group lets all of them read, whether a broker answers, as far as they know, the
   * partitions of which brokers have not said enough to read them, and those that stand still
   * although their log goes on; and in a word how far that is.
   */
  kafka(): {
    readonly reading: Reading
    readonly groupFault: string | null
    readonly canReachKafka: boolean
    readonly waiting: readonly WaitingPartition[]
    readonly stuck: readonly StuckPartition[]
  } {
    const waiting = [...this.#waiting.values()].flat().filter(({ problem }) => problem !== null)
    const stuck = [...this.#stuck.values()]
    return {
      reading: this.#reading(),
      groupFault: this.#groupFault(),
      canReachKafka: this.#unreachable.size === 0,
      waiting: [...waiting, ...stuck.flatMap(({ unanswered }) => unanswered)],
      stuck: stuck.flatMap(({ partitions }) => partitions),
    }
  }

  #reading(): Reading {
    if (this.#unreachable.size > 0) return 'connecting'
    if (!this.#hasJoined) return this.#hasAnswer && this.#isGroup ? 'joining' : 'connecting'
    if (this.#groupFault() !== null) return 'joining'
    return this.#standby.size === this.#count ? 'standby' : 'reading'
  }

  #groupFault(): string | null {
    const faults = [...this.#groupFaults.values()]
    const fault = faults.find(({ untilMs }) => this.#nowMs() < untilMs)
    if (fault !== undefined) return fault.text
    return this.#hasJoined ? null : 'the group has not assigned partitions to this process yet'
  }

  /** They fetch no more. */
  get haveStopped(): boolean {
    return this.#stopped.size === this.#count
  }

  /** They have left their group. */
  get haveClosed(): boolean {
    return this.#closed.size === this.#count
  }
}

/*
 * The memory that main and its threads share: made once at start, and handed to each thread.
 */

export class SharedMemory {
  readonly shape: SlotShape
  readonly slots: Slots
  readonly signals = new Signals(Signals.allocate())
  readonly counters: Counters
  /** One a thread. */
  readonly runReports: readonly RunReports[]

  constructor({ pool }: PipelineSettings, threadCount: number) {
    const { slotCount, bufferBytes, readyMax, limits } = pool
    this.shape = { slotCount, bufferBytes, recordsMax: limits.recordsMax }
    this.slots = new Slots(allocateSlots(this.shape, readyMax))
    this.counters = new Counters(Counters.allocate(threadCount))
    this.runReports = Array.from(
      { length: threadCount },
      () => new RunReports(RunReports.allocate()),
    )
  }

  /** What the thread of this row attaches to. */
  forThread(row: number): Pick<ThreadData, 'slots' | 'counters' | 'signals' | 'runReports'> {
    const runReports = this.runReports[row]!
    return {
      slots: this.slots.memory,
      counters: this.counters.memory,
      signals: this.signals.memory,
      runReports: runReports.memory,
    }
  }
}

/** @throws LogpipeError MEMORY: more than can be had, where no limit was known before. */
function allocateSlots(shape: SlotShape, readyMax: number): SlotsMemory {
  try {
    return Slots.allocate(shape, readyMax)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    const { slotCount, bufferBytes } = shape
    const what = `${slotCount} slots of ${formatBytes(bufferBytes)} cannot be allocated`
    throw new LogpipeError('MEMORY', `${what}: lower POOL_SIZE or BUFFER_BYTES`, { cause })
  }
}

/*
 * What main hands to a thread when it starts, and says to it later.
 *
 * Two files see it: pipeline.ts, which starts the threads, and thread-entry.ts, which they run.
 */

export interface ThreadData {
  readonly role: 'ingress' | 'filter'
  /** Counts from 0 within the role. */
  readonly index: number
  /** The thread's row in the counters, and its run reports. */
  readonly row: number
  /** All threads of the pipeline. */
  readonly threadCount: number
  readonly settings: PipelineSettings
  readonly pool: BridgeId
  readonly matcher: BridgeId
  readonly slots: SlotsMemory
  readonly counters: SharedArrayBuffer
  readonly signals: SharedArrayBuffer
  readonly runReports: SharedArrayBuffer
  readonly credit: CreditLimits
  /** The thread's line to main. */
  readonly port: MessagePort
}
