/**
 * The ledger knows which offsets may be committed: per assignment, the lowest unresolved offset.
 *
 * Owned by the main thread; pure, no I/O. The filter threads report tiles, the output settles the
 * offsets that are pending in them, and the committing code asks for the watermarks.
 *
 * Tiles of an assignment never overlap and, in the end, leave no hole, but come in any order:
 * tile-list.ts. The ledger keeps nothing per resolved offset.
 *
 * Fencing. An assignment id is used once. After its close, tiles are refused, and a settle only
 * lowers the count of documents still out: the new owner reads those offsets again.
 *
 * A truncated log (the bridge's `rewind`) is a new assignment too, because its offsets come twice.
 * The old one is retired: nobody reads its offsets again, so its tiles and settles count until its
 * close, but the ledger returns no watermark for it.
 *
 * Bound. An assignment is full at `unresolvedMax` pending offsets, or when unfinished tiles hold
 * HELD_FACTOR times as many; the caller then pauses the partition. Records already in slots still
 * come, so the overshoot is at most the matches of one pool.
 */
import assert from 'node:assert/strict'
import { dropOffsets, makeNode, TileList, type Node } from './tile-list.ts'
import { keyOf } from '../core/topic-partition.ts'

/** A partition as given to this process. */
export interface AssignedPartition {
  /** Used once in a process: the fencing token. */
  readonly assignmentId: number
  readonly topic: string
  readonly partition: number
  /** Counts the assigns of this topic-partition in this process; must rise. */
  readonly epoch: number
  /** The first offset that will be read; a real one, not a logical one. */
  readonly startOffset: number
}

/** An offset to commit: every offset below it is resolved. */
export interface Watermark {
  readonly assignmentId: number
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Names a pending offset to settle, by its index in the tile's `pending`. */
export type Tile = Readonly<Pick<Node<Assignment>, 'pendingCount'>>

/**
 * A tile keeps its offsets until the last is settled, so a few stuck ones could hold many others:
 * at 9 bytes each, 8 bounds that to 72 MB for a partition with the default of 1,000,000.
 */
const HELD_FACTOR = 8

/** A full assignment is open again below this part of its limit: pausing costs a fetch queue. */
const REOPEN_PART = 0.75

/**
 * Assignments given away that are remembered, to tell a late tile (fenced) from a wrong one (a
 * bug). While one slot is under way no process gives away so many: 1,000 partitions 262 times.
 */
export const CLOSED_IDS_MAX = 2 ** 18

/** A topic-partition, over all its assignments. */
interface Home {
  epoch: number
  /** Pending offsets of all assignments, closed ones too. */
  pendingCount: number
  open: Assignment | null
}

interface Assignment {
  readonly partition: AssignedPartition
  readonly home: Home
  isOpen: boolean
  isRetired: boolean
  isFull: boolean
  readonly tiles: TileList<Assignment>
  pendingCount: number
  /** Offsets that unfinished tiles hold in memory, pending or not. */
  heldCount: number
  /** The watermark that takeCommits gave out last. */
  taken: number
}

export class Ledger {
  readonly #unresolvedMax: number
  readonly #open = new Map<number, Assignment>()
  readonly #closedIds = new Set<number>()
  /** By topic/partition; as many as this process was ever given. */
  readonly #homes = new Map<string, Home>()
  #fencedCount = 0

  constructor(options: { readonly unresolvedMax: number }) {
    assert(Number.isSafeInteger(options.unresolvedMax) && options.unresolvedMax > 0)
    this.#unresolvedMax = options.unresolvedMax
  }

  /**
   * Starts an assignment. An older one of the same partition that is still open is closed: its
   * consumer lost the partition and has not noticed yet.
   * @returns the id of the assignment closed thereby, or null.
   */
  open(partition: AssignedPartition): number | null {
    const { assignmentId, epoch, startOffset } = partition
    assert(Number.isSafeInteger(startOffset) && startOffset >= 0, 'a real start offset')
    assert(!this.#open.has(assignmentId) && !this.#closedIds.has(assignmentId), 'a new id')
    const key = keyOf(partition)
    let home = this.#homes.get(key)
    if (home === undefined) {
      home = { epoch: -1, pendingCount: 0, open: null }
      this.#homes.set(key, home)
    }
    assert(epoch > home.epoch, 'the epoch rises at each assign')
    const superseded = home.open?.partition.assignmentId ?? null
    if (superseded !== null) this.close(superseded)
    const assignment: Assignment = {
      partition,
      home,
      isOpen: true,
      isRetired: false,
      isFull: false,
      tiles: new TileList(startOffset),
      pendingCount: 0,
      heldCount: 0,
      taken: startOffset,
    }
    home.epoch = epoch
    home.open = assignment
    this.#open.set(assignmentId, assignment)
    return superseded
  }

  /**
   * Ends an assignment; its pending offsets are fenced from now on. Idempotent.
   * @returns how many offsets were pending.
   */
  close(assignmentId: number): number {
    const assignment = this.#open.get(assignmentId)
    if (assignment === undefined) {
      assert(this.#closedIds.has(assignmentId), 'an assignment that was opened')
      return 0
    }
    this.#open.delete(assignmentId)
    this.#closedIds.add(assignmentId)
    // A set iterates in the order of insertion: the first is the oldest.
    const [oldest] = this.#closedIds.size > CLOSED_IDS_MAX ? this.#closedIds : []
    if (oldest !== undefined) this.#closedIds.delete(oldest)
    assert(assignment.isRetired || assignment.home.open === assignment)
    if (!assignment.isRetired) assignment.home.open = null
    assignment.isOpen = false
    assignment.tiles.clear()
    return assignment.pendingCount
  }

  /** The log of this open assignment is gone; its partition may be opened again. Once. */
  retire(assignmentId: number): void {
    const assignment = this.#get(assignmentId)
    assert(assignment.home.open === assignment)
    assignment.home.open = null
    assignment.isRetired = true
  }

  /**
   * Takes a tile: all of [coverFrom, coverTo) is resolved, but for the offsets in `pending`
   * (never falling, one for each document; kept by reference and not to be changed).
   * @returns the tile to settle; 'resolved' when nothing is pending; 'fenced' when the assignment
   * is closed: nothing was taken, and nobody waits for a settle.
   */
  cover(
    assignmentId: number,
    coverFrom: number,
    coverTo: number,
    pending: Float64Array | null,
  ): Tile | 'resolved' | 'fenced' {
    const owner = this.#open.get(assignmentId)
    if (owner === undefined) {
      assert(this.#closedIds.has(assignmentId), 'an assignment that was opened')
      return 'fenced'
    }
    const node = makeNode(owner, coverFrom, coverTo, pending)
    const count = node.pendingCount
    owner.tiles.insert(node)
    owner.pendingCount += count
    owner.heldCount += count
    owner.home.pendingCount += count
    return count === 0 ? 'resolved' : node
  }

  /**
   * The output is done with one offset of a tile. Once for each.
   * @returns false when the assignment is closed: the result is fenced, and counts for nothing.
   */
  settle(tile: Tile, index: number): boolean {
    const node = tile as Node<Assignment>
    assert(node.flags[index] === 0, 'an offset of the tile, settled once')
    node.flags[index] = 1
    return this.#resolve(node, 1)
  }

  /** The output is done with all offsets of a tile, none of which was settled. As `settle`. */
  settleAll(tile: Tile): boolean {
    const node = tile as Node<Assignment>
    assert(node.pendingCount === node.offsets.length && node.pendingCount > 0, 'settled once')
    return this.#resolve(node, node.pendingCount)
  }

  #resolve(node: Node<Assignment>, count: number): boolean {
    const owner = node.owner
    node.pendingCount -= count
    owner.pendingCount -= count
    owner.home.pendingCount -= count
    assert(node.pendingCount >= 0 && owner.pendingCount >= 0 && owner.home.pendingCount >= 0)
    const isDone = node.pendingCount === 0
    if (isDone) {
      owner.heldCount -= node.offsets.length
      dropOffsets(node)
    }
    if (!owner.isOpen) {
      this.#fencedCount += count
      return false
    }
    if (isDone) owner.tiles.tidy(node)
    return true
  }

  /** The next offset to commit: the lowest that is not resolved. Never decreases. */
  watermark(assignmentId: number): number {
    return this.#get(assignmentId).tiles.watermark
  }

  /** The next offset to fetch: the end of the covered range without a hole. */
  fetchPosition(assignmentId: number): number {
    return this.#get(assignmentId).tiles.position
  }

  /** Offsets that wait for the output. */
  unresolved(assignmentId: number): number {
    return this.#get(assignmentId).pendingCount
  }

  /**
   * Whether the partition is to be paused. Once full, it stays so until three quarters of the limit
   * are left.
   */
  isFull(assignmentId: number): boolean {
    const assignment = this.#get(assignmentId)
    const part = assignment.isFull ? REOPEN_PART : 1
    const max = this.#unresolvedMax * part
    assignment.isFull = assignment.pendingCount >= max || assignment.heldCount >= max * HELD_FACTOR
    return assignment.isFull
  }

  /** Pending offsets of a partition over all its assignments, for the books. */
  pendingOf(topic: string, partition: number): number {
    return this.#homes.get(keyOf({ topic, partition }))?.pendingCount ?? 0
  }

  /** Settles that came after the close of their assignment. */
  get fencedCount(): number {
    return this.#fencedCount
  }

  /** The watermarks that moved since the last call. */
  takeCommits(): Watermark[] {
    const moved: Watermark[] = []
    for (const assignment of this.#open.values()) {
      const offset = assignment.tiles.watermark
      assert(offset >= assignment.taken, 'a watermark never decreases')
      if (offset === assignment.taken || assignment.isRetired) continue
      assignment.taken = offset
      const { assignmentId, topic, partition } = assignment.partition
      moved.push({ assignmentId, topic, partition, offset })
    }
    return moved
  }

  isOpen(assignmentId: number): boolean {
    return this.#open.has(assignmentId)
  }

  /** The open assignments. */
  *assignments(): IterableIterator<AssignedPartition> {
    for (const assignment of this.#open.values()) yield assignment.partition
  }

  #get(assignmentId: number): Assignment {
    const assignment = this.#open.get(assignmentId)
    assert(assignment !== undefined, 'an open assignment')
    return assignment
  }
}
