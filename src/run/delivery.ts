/**
 * From what a filter thread delivered to what an output takes: the documents of a slot, each tied
 * to its tile in the ledger, and the lease of their memory.
 *
 *   the output's answer --settle(from, to)--> TrackedDelivery --> ledger and books
 *
 * Runs of a partition that was given away meanwhile are left out here: nothing of them is sent, and
 * their new owner reads them again.
 */
import assert from 'node:assert/strict'
import type { MatchedBatch, MatchedRun } from '../filter/matches.ts'
import type { Book } from '../offsets/books.ts'
import type { Ledger, Tile } from '../offsets/ledger.ts'
import { CREDIT_BYTES } from '../pool/signals.ts'
import type { BufferLease, Delivery, Outcome, SinkRun } from '../sink/sink.ts'

/** A run with its place in the ledger and in the books. */
export interface TrackedRun {
  readonly run: MatchedRun
  readonly topic: string
  /** Which log of that name; undefined: not known. */
  readonly log?: string | undefined
  readonly partition: number
  readonly tile: Tile
  readonly book: Book
}

type Settles = Pick<Ledger, 'settle' | 'settleAll'>

/**
 * @param tracked one entry a run of the batch, in its order; null where the run was fenced.
 * @param giveBack returns the credit of what the output let go of: in all what the batch has, in
 * whole CREDIT_BYTES but for the last.
 * @returns what to write: one delivery, or one a live run where some were fenced.
 */
export function deliveriesOf(
  batch: MatchedBatch,
  tracked: readonly (TrackedRun | null)[],
  ledger: Settles,
  giveBack: GiveBack,
): Delivery[] {
  assert.equal(tracked.length, batch.runs.length)
  const offsetCount = batch.runs.reduce((sum, { offsets }) => sum + offsets.length, 0)
  assert.equal(batch.ends.length, offsetCount, 'a document for each offset')
  const live = tracked.filter((one) => one !== null)
  const holders = live.length === tracked.length ? 1 : live.length
  const lease = new CreditLease(batch.ends.length, batch.body.byteLength, giveBack, holders)
  if (live.length === tracked.length) {
    return [new TrackedDelivery(batch.body, batch.ends, live, ledger, lease)]
  }
  return liveParts(batch, tracked, ledger, lease)
}

/** A delivery for each live run: a part of the body, with ends counted from its beginning. */
function liveParts(
  batch: MatchedBatch,
  tracked: readonly (TrackedRun | null)[],
  ledger: Settles,
  lease: CreditLease,
): Delivery[] {
  const parts: Delivery[] = []
  let first = 0
  for (const [runIndex, one] of tracked.entries()) {
    const count = batch.runs[runIndex]!.offsets.length
    if (one !== null) {
      const start = first === 0 ? 0 : batch.ends[first - 1]!
      const ends = batch.ends.slice(first, first + count).map((end) => end - start)
      const body = batch.body.subarray(start, start + (ends.at(-1) ?? 0))
      parts.push(new TrackedDelivery(body, ends, [one], ledger, lease))
    }
    first += count
  }
  return parts
}

const NO_BYTES = new Uint8Array(0)

class TrackedDelivery implements Delivery {
  readonly ends: Uint32Array
  readonly runs: readonly SinkRun[]
  readonly #tracked: readonly TrackedRun[]
  readonly #ledger: Settles
  readonly #lease: CreditLease
  #body: Uint8Array
  #isReleased = false

  constructor(
    body: Uint8Array,
    ends: Uint32Array,
    tracked: readonly TrackedRun[],
    ledger: Settles,
    lease: CreditLease,
  ) {
    this.#body = body
    this.ends = ends
    this.#tracked = tracked
    this.#ledger = ledger
    this.#lease = lease
    this.runs = tracked.map(({ run, topic, log, partition }) => ({
      topic,
      log,
      partition,
      assignmentId: run.assignmentId,
      offsets: run.offsets,
      timestampsMs: run.timestampsMs,
      timestampTypes: run.timestampTypes,
      rules: run.rules.length > 0 ? run.rules : undefined,
    }))
  }

  get body(): Uint8Array {
    return this.#body
  }

  settle(from: number, to: number, outcome: Outcome): void {
    assert(from >= 0 && from < to && to <= this.ends.length, `documents ${from} to ${to}`)
    let first = 0
    for (const tracked of this.#tracked) {
      const count = tracked.run.offsets.length
      const [start, end] = [Math.max(from - first, 0), Math.min(to - first, count)]
      if (start < end) this.#settleRun(tracked, start, end, outcome)
      first += count
    }
  }

  #settleRun({ tile, book, run }: TrackedRun, from: number, to: number, outcome: Outcome): void {
    const count = to - from
    let isOurs = true
    if (count === run.offsets.length) isOurs = this.#ledger.settleAll(tile)
    else for (let index = from; index < to; index++) isOurs = this.#ledger.settle(tile, index)
    // What lies in the spill is sent from there, whoever owns its partition, and leaves it then.
    if (isOurs || outcome === 'spilled') book.settle(outcome, count)
    else book.add('fenced', count)
  }

  release(): void {
    assert(!this.#isReleased, 'the memory of a delivery is given back once')
    this.#isReleased = true
    this.#body = NO_BYTES
    this.#lease.release()
  }

  splitOff(documents: number, bytes: number): BufferLease {
    assert(!this.#isReleased)
    return this.#lease.splitOff(documents, bytes)
  }
}

/*
 * What a batch has taken of the output's credit (pool/signals.ts), given back with its memory.
 *
 * The output may copy a few documents out and let go of the rest: their part is split off and given
 * back by itself, so that the credit in use is always what the memory holds. A body in parts is one
 * piece of memory: it is given back with the last of them.
 */

type GiveBack = (documents: number, bytes: number) => void

export class CreditLease implements BufferLease {
  #documents: number
  #bytes: number
  readonly #giveBack: GiveBack
  /** Who have not released it. */
  #holders: number

  /** @param holders 0: nobody wants it. */
  constructor(documents: number, bytes: number, giveBack: GiveBack, holders = 1) {
    this.#documents = documents
    this.#bytes = bytes
    this.#giveBack = giveBack
    this.#holders = holders
    if (holders === 0) giveBack(documents, bytes)
  }

  splitOff(documents: number, bytes: number): CreditLease {
    // Credit is counted in whole units, rounded up: of whole ones the parts make up the whole.
    const whole = Math.floor(Math.min(bytes, this.#bytes) / CREDIT_BYTES) * CREDIT_BYTES
    assert(this.#holders > 0 && documents <= this.#documents)
    this.#documents -= documents
    this.#bytes -= whole
    return new CreditLease(documents, whole, this.#giveBack)
  }

  release(): void {
    assert(this.#holders > 0, 'credit is given back once')
    this.#holders--
    if (this.#holders === 0) this.#giveBack(this.#documents, this.#bytes)
  }
}
