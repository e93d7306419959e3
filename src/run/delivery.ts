/**
 * From what a filter thread delivered to what an output takes: the documents of a slot, each tied
 * to its tile in the ledger.
 *
 * Runs of a partition that was given away meanwhile are left out here: nothing of them is sent, and
 * their new owner reads them again.
 */
import assert from 'node:assert/strict'
import type { MatchedBatch, MatchedRun } from '../filter/matches.ts'
import type { Tile } from '../offsets/ledger.ts'
import { CREDIT_BYTES } from '../pool/signals.ts'
import type { BodyHold, Outcome, SinkBatch, SinkRun } from '../sink/sink.ts'

/** A run with its place in the ledger. */
export interface PlacedRun {
  readonly run: MatchedRun
  readonly topic: string
  /** Which log of that name; undefined: not known. */
  readonly log?: string | undefined
  readonly partition: number
  readonly tile: Tile
}

export interface BatchOwner {
  /** `count` documents of a tile ended: one by one with their index, or (null) all of them. */
  settled(placed: PlacedRun, index: number | null, count: number, outcome: Outcome): void
  /**
   * The output let go of so much. In all what a batch of a filter thread has, in whole CREDIT_BYTES
   * but for the last.
   */
  released(documents: number, bytes: number): void
}

/**
 * @param placed one entry a run of the batch, in its order; null where the run was fenced.
 * @returns batches to write: one, or one a live run where some were fenced.
 */
export function sinkBatches(
  batch: MatchedBatch,
  placed: readonly (PlacedRun | null)[],
  owner: BatchOwner,
): SinkBatch[] {
  assert.equal(placed.length, batch.runs.length)
  const offsetCount = batch.runs.reduce((sum, { offsets }) => sum + offsets.length, 0)
  assert.equal(batch.ends.length, offsetCount, 'a document for each offset')
  const share = new CreditShare(batch.ends.length, batch.body.byteLength, (documents, bytes) =>
    owner.released(documents, bytes),
  )
  const live = placed.filter((one) => one !== null)
  if (live.length === 0) {
    share.releaseBody()
    return []
  }
  if (live.length === placed.length) {
    return [new PlacedBatch(batch.body, batch.ends, live, owner, share)]
  }
  // The body is one piece of memory, and is given back with the last of its parts.
  let parts = live.length
  return liveParts(batch, placed, owner, {
    releaseBody: () => {
      parts--
      if (parts === 0) share.releaseBody()
    },
    splitOff: (documents, bytes) => share.splitOff(documents, bytes),
  })
}

/** A batch for each live run: a part of the body, with ends counted from its beginning. */
function liveParts(
  batch: MatchedBatch,
  placed: readonly (PlacedRun | null)[],
  owner: BatchOwner,
  hold: BodyHold,
): SinkBatch[] {
  const parts: SinkBatch[] = []
  let first = 0
  for (const [runIndex, one] of placed.entries()) {
    const count = batch.runs[runIndex]!.offsets.length
    if (one !== null) {
      const start = first === 0 ? 0 : batch.ends[first - 1]!
      const ends = batch.ends.slice(first, first + count).map((end) => end - start)
      const body = batch.body.subarray(start, start + (ends.at(-1) ?? 0))
      parts.push(new PlacedBatch(body, ends, [one], owner, hold))
    }
    first += count
  }
  return parts
}

const NO_BYTES = new Uint8Array(0)

class PlacedBatch implements SinkBatch {
  readonly ends: Uint32Array
  readonly runs: readonly SinkRun[]
  readonly #placed: readonly PlacedRun[]
  readonly #owner: BatchOwner
  readonly #hold: BodyHold
  #body: Uint8Array
  /** Documents not settled, and whether the body is still held. */
  #left: number
  #holdsBody = true

  constructor(
    body: Uint8Array,
    ends: Uint32Array,
    placed: readonly PlacedRun[],
    owner: BatchOwner,
    hold: BodyHold,
  ) {
    this.#body = body
    this.ends = ends
    this.#left = ends.length
    this.#placed = placed
    this.#owner = owner
    this.#hold = hold
    this.runs = placed.map(({ run, topic, log, partition }) => ({
      topic,
      log,
      partition,
      assignmentId: run.assignmentId,
      offsets: run.offsets,
      timestampsMs: run.timestampsMs,
      timestampTypes: run.timestampTypes,
    }))
  }

  get body(): Uint8Array {
    return this.#body
  }

  settle(documentIndex: number, outcome: Outcome): void {
    let index = documentIndex
    for (const placed of this.#placed) {
      const count = placed.run.offsets.length
      if (index < count) {
        this.#owner.settled(placed, index, 1, outcome)
        this.#settled(1)
        return
      }
      index -= count
    }
    assert.fail(`document ${documentIndex} of ${this.ends.length}`)
  }

  settleAll(outcome: Outcome): void {
    for (const placed of this.#placed) {
      this.#owner.settled(placed, null, placed.run.offsets.length, outcome)
    }
    this.#settled(this.ends.length)
  }

  releaseBody(): void {
    if (!this.#holdsBody) return
    this.#holdsBody = false
    this.#body = NO_BYTES
    this.#hold.releaseBody()
  }

  splitOff(documents: number, bytes: number): BodyHold {
    assert(this.#holdsBody)
    return this.#hold.splitOff(documents, bytes)
  }

  #settled(count: number): void {
    this.#left -= count
    assert(this.#left >= 0, 'every document is settled once')
    if (this.#left === 0) this.releaseBody()
  }
}

/*
 * What a batch has taken of the output's credit (pool/signals.ts), given back with its memory.
 *
 * The output may copy a few documents out and let go of the rest: their part is split off and given
 * back by itself, so that the credit in use is always what the memory holds.
 */

type GiveBack = (documents: number, bytes: number) => void

export class CreditShare implements BodyHold {
  #documents: number
  #bytes: number
  readonly #giveBack: GiveBack
  #isReleased = false

  constructor(documents: number, bytes: number, giveBack: GiveBack) {
    this.#documents = documents
    this.#bytes = bytes
    this.#giveBack = giveBack
  }

  splitOff(documents: number, bytes: number): CreditShare {
    // Credit is counted in whole units, rounded up: of whole ones the parts make up the whole.
    const whole = Math.floor(Math.min(bytes, this.#bytes) / CREDIT_BYTES) * CREDIT_BYTES
    assert(!this.#isReleased && documents <= this.#documents)
    this.#documents -= documents
    this.#bytes -= whole
    return new CreditShare(documents, whole, this.#giveBack)
  }

  releaseBody(): void {
    assert(!this.#isReleased, 'credit is given back once')
    this.#isReleased = true
    this.#giveBack(this.#documents, this.#bytes)
  }
}
