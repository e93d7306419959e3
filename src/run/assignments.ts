/**
 * The partitions of this process, over all its ingress threads: ids, epochs, positions.
 *
 * An assignment id is given once; the epoch counts the assigns of one topic-partition: Kafka's
 * own generation rises while a partition stays.
 * Bound: one entry an assigned partition, as many given away as the ledger remembers, an epoch a
 * partition ever seen.
 */
import assert from 'node:assert/strict'
import { keyOf } from '../core/topic-partition.ts'
import type { Position, ToIngress } from '../kafka/ingress-messages.ts'
import type { Book, Books } from '../offsets/books.ts'
import { CLOSED_IDS_MAX, type Ledger } from '../offsets/ledger.ts'
import type { Sink } from '../sink/sink.ts'

export interface AssignmentState {
  readonly assignmentId: number
  readonly ingressIndex: number
  readonly topic: string
  readonly partition: number
  readonly epoch: number
  readonly startOffset: number
  /** Which log of the topic's name (idPrefixOf); undefined: not known. */
  readonly log: string | undefined
  /** The partition's book, over all its assignments. */
  readonly book: Book
  /** Everything below went into slots. */
  position: number
  /** The partition's end; -1 unknown. */
  endOffset: number
  /** Bytes of the values read of it, and the time of the last one (ms since 1970; -1: none). */
  bytesRead: number
  lastTimestampMs: number
  /** Told to pause: pausePartitions says when. */
  isPaused: boolean
}

export class Assignments {
  readonly #books: Books
  readonly #states = new Map<number, AssignmentState>()
  readonly #closed = new Map<number, AssignmentState>()
  readonly #epochs = new Map<string, number>()
  #nextId = 0

  constructor(books: Books) {
    this.#books = books
  }

  add(
    ingressIndex: number,
    { topic, partition, offset }: { topic: string; partition: number; offset: number },
    log?: string,
  ): AssignmentState {
    assert(offset >= 0)
    const key = keyOf({ topic, partition })
    const epoch = (this.#epochs.get(key) ?? 0) + 1
    this.#epochs.set(key, epoch)
    const state: AssignmentState = {
      assignmentId: this.#nextId++,
      ingressIndex,
      topic,
      partition,
      epoch,
      startOffset: offset,
      log,
      book: this.#books.of(topic, partition),
      position: offset,
      endOffset: -1,
      bytesRead: 0,
      lastTimestampMs: -1,
      isPaused: false,
    }
    this.#states.set(state.assignmentId, state)
    return state
  }

  /** An assignment, also one that was given away. */
  get(assignmentId: number): AssignmentState {
    const state = this.#states.get(assignmentId) ?? this.#closed.get(assignmentId)
    assert(state !== undefined, `assignment ${assignmentId} was given by this process`)
    return state
  }

  close(assignmentId: number): void {
    const state = this.#states.get(assignmentId)
    if (state === undefined) return
    this.#states.delete(assignmentId)
    this.#closed.set(assignmentId, state)
    const [oldest] = this.#closed.size > CLOSED_IDS_MAX ? this.#closed.keys() : []
    if (oldest !== undefined) this.#closed.delete(oldest)
  }

  note(positions: readonly Position[]): void {
    for (const { assignmentId, offset, endOffset } of positions) {
      const state = this.#states.get(assignmentId)
      if (state === undefined) continue
      state.position = Math.max(state.position, offset)
      state.endOffset = endOffset
    }
  }

  /** Those that this process holds. */
  all(): IterableIterator<AssignmentState> {
    return this.#states.values()
  }

  ofIngress(ingressIndex: number): AssignmentState[] {
    return [...this.#states.values()].filter((state) => state.ingressIndex === ingressIndex)
  }
}

/** What the threads need to know of an assignment. */
export function nameOf({ assignmentId, topic, partition }: AssignmentState): {
  assignmentId: number
  topic: string
  partition: number
} {
  return { assignmentId, topic, partition }
}

/*
 * Partitions that are being given back or begun anew: each waits until what was read of it is
 * settled, or its time is up. Used by the coordinator. Bound: one a partition of this process.
 */

interface Drain {
  readonly ingressIndex: number
  readonly assignmentIds: readonly number[]
  /** Monotonic ms. */
  readonly deadlineMs: number
}

interface DrainsOptions {
  readonly nowMs: () => number
  readonly isSettled: (assignmentId: number) => boolean
  /** Once for each begin: all is settled, or the time is up. */
  readonly ended: (ingressIndex: number, assignmentIds: readonly number[]) => void
}

export class Drains {
  readonly #options: DrainsOptions
  readonly #drains = new Set<Drain>()

  constructor(options: DrainsOptions) {
    this.#options = options
  }

  begin(ingressIndex: number, assignmentIds: readonly number[], timeoutMs: number): void {
    const drain = { ingressIndex, assignmentIds, deadlineMs: this.#options.nowMs() + timeoutMs }
    this.#drains.add(drain)
    this.#look(drain)
  }

  tick(): void {
    for (const drain of this.#drains) this.#look(drain)
  }

  #look(drain: Drain): void {
    const { nowMs, isSettled, ended } = this.#options
    if (nowMs() < drain.deadlineMs && !drain.assignmentIds.every(isSettled)) return
    this.#drains.delete(drain)
    ended(drain.ingressIndex, drain.assignmentIds)
  }
}

/*
 * Assignments whose log is gone, made anew or cut off while it was read. What they had unsettled of
 * it nobody can read again, so it is sent and booked like any other; only nothing of it is
 * committed, for its offsets say nothing about the new log.
 *
 *   read --the log is gone--> retired --all settled--> closed
 *
 * That the partition is given away meanwhile changes nothing: its new owner has the new log.
 *
 * Used by the coordinator. Bound: one entry for each time that a log was made anew, until what its
 * slots and the output hold is settled.
 */

interface RetiredLogsOptions {
  readonly ledger: Pick<Ledger, 'retire' | 'close' | 'watermark'>
  /** No slot has anything of these any more. */
  readonly ended: (assignmentIds: readonly number[]) => void
}

export class RetiredLogs {
  readonly #options: RetiredLogsOptions
  #states: readonly AssignmentState[] = []

  constructor(options: RetiredLogsOptions) {
    this.#options = options
  }

  /** @param state an open assignment, its position known. */
  retire(state: AssignmentState): void {
    this.#options.ledger.retire(state.assignmentId)
    this.#states = [...this.#states, state]
    this.tick()
  }

  /** Lets go of those of which everything is settled. */
  tick(): void {
    const over = this.#states.filter((state) => this.#isSettled(state))
    if (over.length === 0) return
    this.#states = this.#states.filter((state) => !over.includes(state))
    const ids = over.map((state) => state.assignmentId)
    for (const id of ids) this.#options.ledger.close(id)
    this.#options.ended(ids)
  }

  /** Whether all of them are settled; with a state, those of its partition. */
  isSettled(of?: Pick<AssignmentState, 'topic' | 'partition'>): boolean {
    return this.#states.every((state) => {
      const isMeant =
        of === undefined || (state.topic === of.topic && state.partition === of.partition)
      return !isMeant || this.#isSettled(state)
    })
  }

  #isSettled({ assignmentId, position }: AssignmentState): boolean {
    return this.#options.ledger.watermark(assignmentId) >= position
  }
}

/*
 * Which partitions are not read on for now: those with too many unresolved offsets, and those that
 * the output asks to hold, for they would take the room of others.
 *
 * Looked at with every tick of the coordinator; told to the ingress thread when it changes.
 */

interface PauseParts {
  readonly ledger: Pick<Ledger, 'isOpen' | 'isFull'>
  readonly sink: Pick<Sink, 'partitionsOverQuota'>
  /** Whether something else asks for no more of an assignment. */
  readonly isFull?: (assignmentId: number) => boolean
  readonly toIngress: (ingressIndex: number, message: ToIngress) => void
}

/** Has partitions paused and resumed. @param states of this process; `isPaused` is kept in them. */
export function pausePartitions(
  states: Iterable<AssignmentState>,
  { ledger, sink, isFull, toIngress }: PauseParts,
): void {
  const overQuota = new Set(sink.partitionsOverQuota?.().map(keyOf))
  const changed: { ingressIndex: number; assignmentId: number; kind: 'pause' | 'resume' }[] = []
  for (const state of states) {
    const { assignmentId, ingressIndex, topic, partition } = state
    if (!ledger.isOpen(assignmentId)) continue
    const isOver = overQuota.has(keyOf({ topic, partition })) || isFull?.(assignmentId) === true
    const isPaused = ledger.isFull(assignmentId) || isOver
    if (isPaused === state.isPaused) continue
    state.isPaused = isPaused
    changed.push({ ingressIndex, assignmentId, kind: isPaused ? 'pause' : 'resume' })
  }
  for (const [ingressIndex, ofThread] of Map.groupBy(changed, (each) => each.ingressIndex)) {
    for (const [kind, each] of Map.groupBy(ofThread, (one) => one.kind)) {
      toIngress(ingressIndex, { kind, assignmentIds: each.map((one) => one.assignmentId) })
    }
  }
}
