/**
 * The partitions of this process, over all its ingress threads: ids, epochs, positions.
 *
 * An assignment id is given once; the epoch counts the assigns of one topic-partition (design,
 * 3.4).
 * Bound: one entry an assigned partition, CLOSED_MAX given away, an epoch a partition ever seen.
 */
import assert from 'node:assert/strict'
import type { Position } from '../kafka/ingress-messages.ts'
import type { Book, Books } from '../offsets/books.ts'
import { keyOf } from '../core/topic-partition.ts'

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
  /** Paused (holds.ts). */
  held: boolean
}

/** Given-away assignments that are remembered, to book what comes late: as the ledger does. */
const CLOSED_MAX = 4096 * 64

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
      held: false,
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
    const [oldest] = this.#closed.size > CLOSED_MAX ? this.#closed.keys() : []
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
