/** Windows of metrics: each record in one document, wherever a process is killed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NO_MARK, type WindowMark } from '../../src/core/window-mark.ts'
import { AHEAD_MS, MetricWindows, type WindowRow } from '../../src/metrics/metric-windows.ts'
import type { SeriesDelta } from '../../src/pool/record-counter.ts'

const WINDOW_MS = 10
const LATENESS_MS = 15
const NOW_MS = 1_000_000
const METRICS = [{ type: 'sum', bounds: [] }] as const

interface LogRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly label: string
}

/** One number a record: the sum of a document says which records are in it. */
const numberOf = ({ offset }: LogRecord) => 2 ** offset
const windowOf = (timestampMs: number) => Math.floor(timestampMs / WINDOW_MS) * WINDOW_MS

function deltasOf(records: readonly LogRecord[], cuts: readonly number[]): SeriesDelta[] {
  const deltas = new Map<string, SeriesDelta & { lastMs: number }>()
  for (const record of records) {
    const { offset, timestampMs, label } = record
    const windowMs = windowOf(timestampMs)
    const key = `${windowMs} ${label} ${cuts.filter((at) => offset >= at).length}`
    let delta = deltas.get(key)
    if (delta === undefined) {
      const sums = { count: 0, missing: 0, sum: 0, buckets: null }
      const head = { metric: 0, labels: [label], windowMs, firstOffset: offset }
      deltas.set(key, (delta = { ...head, lastMs: timestampMs, ...sums }))
    }
    delta.count++
    delta.sum += numberOf(record)
    delta.lastMs = Math.max(delta.lastMs, timestampMs)
  }
  return [...deltas.values()]
}

/** The group and the index: what is left when a process is killed. */
class World {
  readonly documents = new Map<string, WindowRow>()
  committed: { offset: number; mark: WindowMark | null } = { offset: 0, mark: null }
  late = 0

  /** As op index: what is written twice must be the same, for op create keeps the first. */
  write(row: WindowRow): void {
    const id = `${row.windowMs} ${row.labels.join()}`
    const { documents } = this
    if (documents.has(id)) assert.deepEqual(row, documents.get(id), 'a document changes')
    documents.set(id, { ...row })
  }
}

/** A process that reads from where the group stands. */
class Reader {
  readonly windows: MetricWindows
  readonly #world: World
  readonly #log: readonly LogRecord[]
  readonly #cuts: readonly number[]
  #read: number
  /** Runs that filter threads have, in no order. */
  #filtered: { from: number; to: number }[] = []
  #sent: { offset: number; mark: WindowMark }[] = []

  constructor(world: World, log: readonly LogRecord[], seriesMax: number) {
    this.#world = world
    this.#log = log
    this.windows = new MetricWindows({
      metrics: METRICS,
      windowMs: WINDOW_MS,
      latenessMs: LATENESS_MS,
      seriesMax,
      wallMs: () => NOW_MS,
      late: (_, count) => (world.late += count),
      undated: () => assert.fail('all are dated'),
    })
    const { offset, mark } = world.committed
    this.windows.open(1, offset, mark)
    this.#cuts = this.windows.cutsOf(1)
    this.#read = offset
  }

  fill(count: number): void {
    const to = Math.min(this.#read + count, this.#log.length)
    if (to > this.#read) this.#filtered.push({ from: this.#read, to })
    this.#read = to
  }

  report(place: number): void {
    const [run] = this.#filtered.splice(place % Math.max(1, this.#filtered.length), 1)
    if (run === undefined) return
    const deltas = deltasOf(this.#log.slice(run.from, run.to), this.#cuts)
    const { from: coverFrom, to: coverTo } = run
    this.windows.cover({ assignmentId: 1, coverFrom, coverTo, lastTimestampMs: -1, deltas })
  }

  commit(): void {
    this.windows.tick()
    this.#sent.push({ offset: this.windows.holdOffset(1), mark: this.windows.markOf(1) })
  }

  answer(): void {
    const sent = this.#sent.shift()
    if (sent === undefined) return
    this.#world.committed = sent
    this.windows.marked(1, sent.mark)
  }

  /** @param rowsMax killed behind as many. */
  write(rowsMax = Infinity): void {
    for (const { rows } of this.windows.takeDue()) {
      for (const row of rows.slice(0, rowsMax)) this.#world.write(row)
      if (rows.length <= rowsMax) this.windows.written(1)
    }
  }

  get isDone(): boolean {
    return this.#read === this.#log.length && this.#filtered.length === 0
  }
}

/** More of what makes a window final, so that kills fall behind that, too. */
const CYCLE = ['commit', 'answer', 'write', 'commit', 'answer']
const STEPS = ['fill', 'fill', 'report', 'report', 'commit', 'answer', 'write', 'cycle', 'kill']

const record = fc.record({
  timestampMs: fc.integer({ min: 0, max: 200 }),
  label: fc.constantFrom('a', 'b', 'c', 'd'),
})
const step = fc.record({
  what: fc.constantFrom(...STEPS),
  count: fc.integer({ min: 0, max: 6 }),
})

function play(reader: Reader, what: string, count: number): void {
  if (what === 'fill') reader.fill(count)
  else if (what === 'report') reader.report(count)
  else if (what === 'commit') reader.commit()
  else if (what === 'answer') reader.answer()
  else if (what === 'write') reader.write()
  else for (const each of CYCLE) play(reader, each, count)
}

test('each record is in one document of its window, or late, wherever a reader is killed', () => {
  const logs = fc.array(record, { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(logs, fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 4 }), check),
    { numRuns: 3000 },
  )
})

interface Step {
  readonly what: string
  readonly count: number
}

function check(
  drawn: readonly Omit<LogRecord, 'offset'>[],
  steps: readonly Step[],
  seriesMax: number,
): void {
  // The last one closes all windows but its own.
  const all = [...drawn, { timestampMs: 500, label: 'end' }]
  const log = all.map((one, offset) => ({ ...one, offset }))
  const world = new World()
  let reader = new Reader(world, log, seriesMax)
  for (const { what, count } of steps) {
    if (what !== 'kill') play(reader, what, count)
    else {
      reader.write(count)
      reader = new Reader(world, log, seriesMax)
    }
  }
  for (let turn = 0; !reader.isDone; turn++) play(reader, turn % 3 === 0 ? 'report' : 'fill', 3)
  for (let round = 0; round < 3; round++) {
    for (const what of ['commit', 'answer', 'answer', 'answer', 'write']) play(reader, what, 0)
  }
  for (let left = 0; left < 100; left++) reader.answer()
  reader.write()
  assertEachOnce(world, log, seriesMax)
}

function assertEachOnce(world: World, log: readonly LogRecord[], seriesMax: number): void {
  const counted = new Map<number, WindowRow>()
  for (const row of world.documents.values()) {
    const own = log.filter((one) => Math.floor(row.sum / numberOf(one)) % 2 === 1)
    assert.equal(own.length, row.count, 'its sum is that of as many records')
    for (const one of own) {
      assert(!counted.has(one.offset), `record ${one.offset} is counted twice`)
      assert.equal(row.windowMs, windowOf(one.timestampMs))
      assert([one.label, 'other'].includes(row.labels[0] ?? ''))
      counted.set(one.offset, row)
    }
  }
  let latestMs = -1
  for (const one of log.slice(0, -1)) {
    const isLate = windowOf(one.timestampMs) + WINDOW_MS + LATENESS_MS <= latestMs
    assert(isLate || counted.has(one.offset), `record ${one.offset} is in time, and not counted`)
    latestMs = Math.max(latestMs, one.timestampMs)
  }
  const windows = Map.groupBy(world.documents.values(), ({ windowMs }) => windowMs)
  for (const rows of windows.values()) assert(rows.length <= seriesMax + 1)
}

function windowsOf(more: { readonly late?: (metric: number, count: number) => void } = {}) {
  const undated: number[] = []
  const windows = new MetricWindows({
    metrics: METRICS,
    windowMs: WINDOW_MS,
    latenessMs: LATENESS_MS,
    seriesMax: 10,
    wallMs: () => NOW_MS,
    late: more.late ?? (() => undefined),
    undated: (_, count) => undated.push(count),
  })
  return { windows, undated }
}

test('without a kill, all that is not counted is counted as late', () => {
  const times = fc.array(record, { maxLength: 40 })
  fc.assert(
    fc.property(times, (drawn) => {
      let late = 0
      const { windows } = windowsOf({ late: (_, count) => (late += count) })
      windows.open(1, 0, null)
      let written = 0
      for (const [offset, one] of drawn.entries()) {
        const deltas = deltasOf([{ ...one, offset }], [])
        const cover = { coverFrom: offset, coverTo: offset + 1, lastTimestampMs: -1 }
        windows.cover({ assignmentId: 1, ...cover, deltas })
        written += closeAll(windows)
      }
      const end = drawn.length
      const cover = { coverFrom: end, coverTo: end + 1, lastTimestampMs: 500 }
      windows.cover({ assignmentId: 1, ...cover, deltas: [] })
      written += closeAll(windows)
      assert.equal(written + late, drawn.length)
    }),
  )
})

function closeAll(windows: MetricWindows): number {
  windows.tick()
  windows.marked(1, windows.markOf(1))
  const due = windows.takeDue()
  windows.written(1)
  return due.flatMap(({ rows }) => rows).reduce((sum, { count }) => sum + count, 0)
}

test('a record of a time to come belongs to no window, and closes none', () => {
  const { windows, undated } = windowsOf()
  windows.open(1, 0, null)
  const far = { offset: 0, timestampMs: NOW_MS + AHEAD_MS + WINDOW_MS, label: 'a' }
  const near = { offset: 1, timestampMs: 100, label: 'a' }
  const cover = { assignmentId: 1, coverFrom: 0, coverTo: 2, lastTimestampMs: far.timestampMs }
  windows.cover({ ...cover, deltas: deltasOf([far, near], []) })
  windows.tick()
  assert.deepEqual(undated, [1])
  assert(windows.markOf(1).closedTo <= near.timestampMs)
  assert.equal(windows.holdOffset(1), 1)
})

test('nothing is written before the group has the mark that says so', () => {
  const { windows } = windowsOf()
  windows.open(1, 0, null)
  const log = [100, 500].map((timestampMs, offset) => ({ offset, timestampMs, label: 'a' }))
  const cover = { assignmentId: 1, coverFrom: 0, coverTo: 2, lastTimestampMs: -1 }
  windows.cover({ ...cover, deltas: deltasOf(log, []) })
  windows.tick()
  const mark = windows.markOf(1)
  assert.deepEqual(mark, { closedTo: -1, closedAt: 0, closing: { to: 480, at: 2 } })
  assert.deepEqual(windows.takeDue(), [])
  windows.marked(1, NO_MARK)
  assert.deepEqual(windows.takeDue(), [])
  windows.marked(1, mark)
  assert.equal(windows.takeDue()[0]?.rows.length, 1)
  assert.equal(windows.holdOffset(1), 0)
  windows.written(1)
  assert.equal(windows.holdOffset(1), 1)
  assert.deepEqual(windows.markOf(1), { closedTo: 480, closedAt: 2, closing: null })
})
