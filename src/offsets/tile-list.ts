/**
 * A linked list of the tiles of one assignment, ascending by offset; it knows the watermark.
 *
 *      base           position
 *   ...|[tile ][tile ]|     hole     [tile ] hole [tile ]
 *      ^ watermark: the first pending offset of the tile at base, or base itself
 *
 * Used by the ledger only. A tile is a range of covered offsets, with the offsets in it that are
 * pending. Tiles come almost in order, so insertion searches from the end: one step for each tile
 * that came early, at most the number of slots in the pool.
 *
 * Invariant. A tile with nothing pending is neither next to another such tile nor at base: it is
 * merged with its neighbour, or moves base. So the list grows with pending offsets and with
 * disorder, never with time, however long a single offset is stuck.
 */
import assert from 'node:assert/strict'

const NO_OFFSETS = new Float64Array(0)
const NO_FLAGS = new Uint8Array(0)

/** `Owner`: the key by which the ledger finds a tile's assignment. */
export interface Node<Owner> {
  readonly owner: Owner
  coverFrom: number
  /** Exclusive. */
  coverTo: number
  /**
   * The pending offsets when the tile was covered, in their order, one for each document: a record
   * may have several. Dropped when all are settled.
   */
  offsets: Float64Array
  /** 1 for each of `offsets` that is settled. */
  flags: Uint8Array
  pendingCount: number
  previous: Node<Owner> | null
  next: Node<Owner> | null
}

export class TileList<Owner> {
  /** Every offset below is resolved. */
  #base: number
  /** Every offset below is covered. */
  #position: number
  #first: Node<Owner> | null = null
  #last: Node<Owner> | null = null

  constructor(startOffset: number) {
    this.#base = startOffset
    this.#position = startOffset
  }

  /** The end of the covered range without a hole. */
  get position(): number {
    return this.#position
  }

  /** The lowest offset that is not resolved. Never decreases. */
  get watermark(): number {
    const first = this.#first
    if (first === null || first.coverFrom !== this.#base) return this.#base
    assert(first.pendingCount > 0)
    // A native search; what it runs over is at most one slot's records.
    const offset = first.offsets[first.flags.indexOf(0)]
    assert(offset !== undefined)
    return offset
  }

  /** Puts a tile in its place; it must touch no offset of another. */
  insert(node: Node<Owner>): void {
    assert(node.coverFrom >= this.#position, 'a tile covers nothing twice')
    let previous = this.#last
    while (previous !== null && previous.coverFrom > node.coverFrom) previous = previous.previous
    const next = previous === null ? this.#first : previous.next
    assert(previous === null || previous.coverTo <= node.coverFrom, 'a tile covers nothing twice')
    assert(next === null || node.coverTo <= next.coverFrom, 'a tile covers nothing twice')
    this.#link(previous, node)
    this.#link(node, next)
    if (node.coverFrom === this.#position) {
      let end: Node<Owner> | null = node
      while (end !== null && end.coverFrom === this.#position) {
        this.#position = end.coverTo
        end = end.next
      }
    }
    this.tidy(node)
  }

  /** Restores the invariant around a tile that is new, or has just lost its last pending offset. */
  tidy(node: Node<Owner>): void {
    let joined = node
    if (joined.previous !== null) joined = this.#join(joined.previous, joined) ?? joined
    if (joined.next !== null) joined = this.#join(joined, joined.next) ?? joined
    if (joined.pendingCount === 0 && joined.coverFrom === this.#base) {
      this.#base = joined.coverTo
      this.#unlink(joined)
    }
    assert(this.#base <= this.#position)
  }

  /** Lets go of all tiles: an output may keep one for long, which must not hold the others. */
  clear(): void {
    for (let node = this.#first; node !== null;) {
      const next: Node<Owner> | null = node.next
      node.previous = null
      node.next = null
      node = next
    }
    this.#first = null
    this.#last = null
  }

  /** Joins two neighbours if one has nothing pending. @returns the remaining tile or tiles. */
  #join(left: Node<Owner>, right: Node<Owner>): Node<Owner> | null {
    if (left.coverTo !== right.coverFrom) return null
    if (right.pendingCount === 0) {
      left.coverTo = right.coverTo
      this.#unlink(right)
      return left
    }
    if (left.pendingCount > 0) return null
    right.coverFrom = left.coverFrom
    this.#unlink(left)
    return right
  }

  #unlink(node: Node<Owner>): void {
    this.#link(node.previous, node.next)
    node.previous = null
    node.next = null
  }

  /** Makes two tiles neighbours; null stands for the ends of the list. */
  #link(left: Node<Owner> | null, right: Node<Owner> | null): void {
    if (left === null) this.#first = right
    else left.next = right
    if (right === null) this.#last = left
    else right.previous = left
  }
}

/** A tile that is in no list yet. `pending` is kept by reference. */
export function makeNode<Owner>(
  owner: Owner,
  coverFrom: number,
  coverTo: number,
  pending: Float64Array | null,
): Node<Owner> {
  assert(Number.isSafeInteger(coverFrom) && Number.isSafeInteger(coverTo))
  assert(coverFrom < coverTo, 'a tile covers something')
  const offsets = pending ?? NO_OFFSETS
  assertOrderedWithin(offsets, coverFrom, coverTo)
  return {
    owner,
    coverFrom,
    coverTo,
    offsets,
    flags: offsets.length === 0 ? NO_FLAGS : new Uint8Array(offsets.length),
    pendingCount: offsets.length,
    previous: null,
    next: null,
  }
}

/** Frees the memory of a tile whose offsets are all settled. */
export function dropOffsets<Owner>(node: Node<Owner>): void {
  assert.equal(node.pendingCount, 0)
  node.offsets = NO_OFFSETS
  node.flags = NO_FLAGS
}

function assertOrderedWithin(offsets: Float64Array, coverFrom: number, coverTo: number): void {
  let floor = coverFrom
  for (const offset of offsets) {
    assert(Number.isInteger(offset) && offset >= floor, 'pending offsets never fall in a tile')
    floor = offset
  }
  assert(floor < coverTo, 'pending offsets lie within the tile')
}
