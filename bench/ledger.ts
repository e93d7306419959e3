/**
 * What the ledger costs the main thread.
 *
 * Question: how much of a core do 300,000 settles and 30,000 tiles a second take?
 * Load: 8 partitions, tiles of 100 records in a random order within a window of 64 slots, 10
 * pending offsets in each; settled one by one in a random order within 1,024 tiles; the watermarks
 * taken every 30,000 tiles. A second load leaves one offset in each partition unsettled throughout.
 * Run: build/node bench/ledger.ts
 */
import { Ledger, type Tile } from '../src/offsets/ledger.ts'

const PARTITIONS = 8
const TILES = 300_000
const TILE_OFFSETS = 100
const PENDING = 10
const WINDOW = 64
const OUTSTANDING = 1024
const RUNS = 5

/** xorshift32: the same order in every run. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

interface Step {
  readonly assignmentId: number
  readonly from: number
  readonly pending: Float64Array
}

function makeSteps(): Step[] {
  const random = randomOf(7)
  const window: Step[] = []
  const steps: Step[] = []
  const ends = new Float64Array(PARTITIONS)
  for (let made = 0; made < TILES || window.length > 0;) {
    while (window.length < WINDOW && made < TILES) {
      const assignmentId = made++ % PARTITIONS
      const from = ends[assignmentId] ?? 0
      ends[assignmentId] = from + TILE_OFFSETS
      const pending = Float64Array.from({ length: PENDING }, (_, index) => from + index * 9)
      window.push({ assignmentId, from, pending })
    }
    steps.push(...window.splice(random(window.length), 1))
  }
  return steps
}

/** @returns CPU milliseconds for all of it. */
function run(steps: readonly Step[], isStuck: boolean): number {
  const random = randomOf(11)
  const ledger = new Ledger({ unresolvedMax: 1_000_000 })
  for (let id = 0; id < PARTITIONS; id++) {
    ledger.open({ assignmentId: id, topic: 'logs', partition: id, epoch: 1, startOffset: 0 })
  }
  const outstanding: Tile[] = []
  const settleOne = () => {
    const at = random(outstanding.length)
    const tile = outstanding[at]
    const last = outstanding.pop()
    if (tile === undefined || last === undefined) return
    if (at < outstanding.length) outstanding[at] = last
    for (let index = 0; index < PENDING; index++) ledger.settle(tile, index)
  }
  const before = process.cpuUsage()
  let covered = 0
  for (const { assignmentId, from, pending } of steps) {
    const tile = ledger.cover(assignmentId, from, from + TILE_OFFSETS, pending)
    if (typeof tile === 'string') throw new TypeError(tile)
    if (!isStuck || from > 0) outstanding.push(tile)
    if (outstanding.length > OUTSTANDING) settleOne()
    ledger.isFull(assignmentId)
    if (++covered % 30_000 === 0) ledger.takeCommits()
  }
  while (outstanding.length > 0) settleOne()
  const used = process.cpuUsage(before)
  return (used.user + used.system) / 1000
}

const steps = makeSteps()
for (const isStuck of [false, true]) {
  const runs = Array.from({ length: RUNS }, () => run(steps, isStuck)).sort((a, b) => a - b)
  const [least = 0, , median = 0, , most = 0] = runs
  const seconds = TILES / 30_000
  const line = [
    isStuck ? 'one stuck offset a partition:' : 'all settled:',
    `${((median * 1e6) / TILES / PENDING).toFixed(0)} ns a settle with its share of the tile,`,
    `${(median / seconds / 10).toFixed(2)} % of a core at 30,000 tiles and 300,000 settles a second`,
    `(median of ${RUNS}; ${(least / seconds / 10).toFixed(2)} to ${(most / seconds / 10).toFixed(2)})`,
  ]
  process.stdout.write(`${line.join(' ')}\n`)
}
