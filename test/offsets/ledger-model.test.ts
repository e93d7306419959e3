/**
 * The ledger against a naive model: a set of resolved offsets.
 *
 * Goal: whatever the order in which tiles come and settles happen, and wherever the partition is
 * taken away or the process dies, the committed watermark never passes a record that matched and
 * was not written.
 *
 * Method: a log of offsets, some of which do not exist and some of which match. A reader cuts it
 * into tiles, of which a window is in flight; steps drawn at random deliver a tile, settle an
 * offset or a whole tile, commit, close and open again from the commit, settle what an older
 * assignment left, or crash (a new ledger). After each step ledger and model must agree.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Ledger, type Tile } from '../../src/offsets/ledger.ts'

const WINDOW_TILES = 6
const UNRESOLVED_MAX = 12

interface OutstandingTile {
  readonly tile: Tile
  /** Offsets by index; null once settled. */
  readonly offsets: (number | null)[]
  readonly assignmentId: number
}

interface LogEntry {
  readonly exists: boolean
  readonly matches: boolean
}

class World {
  readonly #log: readonly LogEntry[]
  #ledger = new Ledger({ unresolvedMax: UNRESOLVED_MAX })
  #assignmentId = 0
  #epoch = 0
  #committed = 0
  #nextFetch = 0
  #lastWatermark = 0
  #wasFull = false
  #fenced = 0
  #inFlight: { from: number; to: number }[] = []
  #outstanding: OutstandingTile[] = []
  /** The model: what is resolved in this assignment. */
  #resolved = new Set<number>()
  /** What the output holds, over everything: what a user would find there. */
  readonly written = new Set<number>()

  constructor(log: readonly LogEntry[]) {
    this.#log = log
    this.#open()
  }

  fetch(length: number): void {
    const from = this.#nextFetch
    if (this.#inFlight.length === WINDOW_TILES || from === this.#log.length) return
    const to = Math.min(from + 1 + (length % 12), this.#log.length)
    this.#inFlight.push({ from, to })
    this.#nextFetch = to
  }

  deliver(pick: number): void {
    if (this.#inFlight.length === 0) return
    const [run] = this.#inFlight.splice(pick % this.#inFlight.length, 1)
    assert(run !== undefined)
    const pending: number[] = []
    for (let offset = run.from; offset < run.to; offset++) {
      if (this.#log[offset]?.exists && this.#log[offset]?.matches) pending.push(offset)
      else this.#resolved.add(offset)
    }
    const array = pending.length > 0 || pick % 2 === 0 ? Float64Array.from(pending) : null
    const tile = this.#ledger.cover(this.#assignmentId, run.from, run.to, array)
    assert(tile !== 'fenced')
    assert.equal(tile === 'resolved', pending.length === 0)
    if (tile === 'resolved') return
    this.#outstanding.push({ tile, offsets: pending, assignmentId: this.#assignmentId })
  }

  settle(pick: number, isWhole: boolean): void {
    if (this.#outstanding.length === 0) return
    const at = pick % this.#outstanding.length
    const chosen = this.#outstanding[at]
    assert(chosen !== undefined)
    const indexes = [...chosen.offsets.keys()].filter((index) => chosen.offsets[index] !== null)
    const isUntouched = indexes.length === chosen.offsets.length
    const isLive = chosen.assignmentId === this.#assignmentId
    const picked = isWhole ? indexes : [indexes[pick % indexes.length] ?? 0]
    if (isWhole && isUntouched) assert.equal(this.#ledger.settleAll(chosen.tile), isLive)
    for (const index of picked) {
      const offset = chosen.offsets[index]
      assert(typeof offset === 'number')
      if (!isWhole || !isUntouched) assert.equal(this.#ledger.settle(chosen.tile, index), isLive)
      chosen.offsets[index] = null
      this.written.add(offset)
      if (isLive) this.#resolved.add(offset)
      else this.#fenced++
    }
    if (chosen.offsets.every((offset) => offset === null)) this.#outstanding.splice(at, 1)
  }

  commit(): void {
    const before = this.#committed
    const [moved, ...others] = this.#ledger.takeCommits()
    assert.deepEqual(others, [])
    const offset = this.#modelWatermark()
    if (moved === undefined) assert.equal(offset, before)
    else assert.deepEqual([moved.assignmentId, moved.offset], [this.#assignmentId, offset])
    this.#committed = offset
  }

  /** The group takes the partition away and gives it back; `isLost`: nothing is committed. */
  rebalance(isLost: boolean): void {
    if (!isLost) this.commit()
    const stale = this.#assignmentId
    const pending = this.#ledger.unresolved(stale)
    assert.equal(this.#ledger.close(stale), pending)
    // Slots of the closed assignment are still on their way.
    for (const run of this.#inFlight) {
      assert.equal(this.#ledger.cover(stale, run.from, run.to, null), 'fenced')
    }
    this.#open()
  }

  crash(): void {
    this.#ledger = new Ledger({ unresolvedMax: UNRESOLVED_MAX })
    this.#outstanding = []
    this.#fenced = 0
    this.#epoch = 0
    this.#open()
  }

  check(): void {
    const id = this.#assignmentId
    const watermark = this.#ledger.watermark(id)
    assert.equal(watermark, this.#modelWatermark())
    assert(watermark >= this.#lastWatermark)
    this.#lastWatermark = watermark
    const covered = new Set(this.#resolved)
    let pendingNow = 0
    let pendingEver = 0
    let heldNow = 0
    for (const { offsets, assignmentId } of this.#outstanding) {
      const left = offsets.filter((offset) => offset !== null)
      pendingEver += left.length
      if (assignmentId !== id) continue
      pendingNow += left.length
      heldNow += offsets.length
      for (const offset of left) covered.add(offset)
    }
    assert.equal(this.#ledger.unresolved(id), pendingNow)
    assert.equal(this.#ledger.pendingOf('logs', 0), pendingEver)
    assert.equal(this.#ledger.fencedCount, this.#fenced)
    let position = this.#committedAtOpen
    while (covered.has(position)) position++
    assert.equal(this.#ledger.fetchPosition(id), position)
    const limit = this.#wasFull ? UNRESOLVED_MAX * 0.75 : UNRESOLVED_MAX
    this.#wasFull = pendingNow >= limit || heldNow >= limit * 8
    assert.equal(this.#ledger.isFull(id), this.#wasFull)
    this.#checkNothingLost()
  }

  /** What a reader that starts at the commit will not see again must have been written. */
  #checkNothingLost(): void {
    for (let offset = 0; offset < this.#committed; offset++) {
      if (this.#log[offset]?.exists && this.#log[offset]?.matches) {
        assert(this.written.has(offset), `offset ${offset} is committed and was never written`)
      }
    }
  }

  /** Reads, delivers and settles all that is left, and commits it. */
  finish(): void {
    while (this.#nextFetch < this.#log.length || this.#inFlight.length > 0) {
      this.fetch(7)
      this.deliver(0)
    }
    while (this.#outstanding.length > 0) this.settle(0, false)
    this.commit()
    assert.equal(this.#committed, this.#log.length)
    this.check()
  }

  #committedAtOpen = 0

  #open(): void {
    this.#assignmentId++
    this.#epoch++
    this.#inFlight = []
    this.#resolved = new Set()
    this.#nextFetch = this.#committed
    this.#lastWatermark = this.#committed
    this.#committedAtOpen = this.#committed
    this.#wasFull = false
    this.#ledger.open({
      assignmentId: this.#assignmentId,
      topic: 'logs',
      partition: 0,
      epoch: this.#epoch,
      startOffset: this.#committed,
    })
  }

  #modelWatermark(): number {
    let offset = this.#committedAtOpen
    while (this.#resolved.has(offset)) offset++
    return offset
  }
}

const logEntries = fc.array(
  fc.record({
    exists: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
    matches: fc.oneof(fc.constant(true), { weight: 2, arbitrary: fc.constant(false) }),
  }),
  { maxLength: 150, size: 'max' },
)

const step = fc.record({
  kind: fc.oneof(
    { weight: 20, arbitrary: fc.constant('fetch' as const) },
    { weight: 20, arbitrary: fc.constant('deliver' as const) },
    { weight: 20, arbitrary: fc.constant('settle' as const) },
    { weight: 6, arbitrary: fc.constant('settleAll' as const) },
    { weight: 5, arbitrary: fc.constant('commit' as const) },
    { weight: 1, arbitrary: fc.constant('rebalance' as const) },
    { weight: 1, arbitrary: fc.constant('lost' as const) },
    { weight: 1, arbitrary: fc.constant('crash' as const) },
  ),
  pick: fc.nat(1000),
})

test('the ledger agrees with a set of offsets, and a crash at any step loses nothing', () => {
  fc.assert(
    fc.property(logEntries, fc.array(step, { maxLength: 250, size: 'max' }), (log, steps) => {
      const world = new World(log)
      for (const { kind, pick } of steps) {
        if (kind === 'fetch') world.fetch(pick)
        else if (kind === 'deliver') world.deliver(pick)
        else if (kind === 'settle' || kind === 'settleAll') world.settle(pick, kind === 'settleAll')
        else if (kind === 'commit') world.commit()
        else if (kind === 'crash') world.crash()
        else world.rebalance(kind === 'lost')
        world.check()
      }
      world.finish()
      const matching = log.flatMap((entry, offset) =>
        entry.exists && entry.matches ? [offset] : [],
      )
      assert.deepEqual(
        [...world.written].sort((left, right) => left - right),
        matching,
      )
    }),
    { numRuns: 300 },
  )
})
