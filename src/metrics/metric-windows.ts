/**
 * The windows of metrics, partition by partition: what each label set counted in each span of time,
 * and when that is final. Pure: no clock, no I/O. Owned by main.
 *
 * A window's sums become documents once, and the same ones whoever makes them, however often a
 * process is killed or a partition moves. Two things see to that:
 *
 *   the offset   what is committed stays at or below the first record of every window that is not
 *                written (holdOffset): the next reader counts such a window from its beginning
 *   the mark     what is kept beside the commit (core/window-mark.ts) says what is written, and
 *                what is about to be, before it is
 *
 * ```
 *   open --close()--> marking --the group has the mark--> writing --documents settled--> written
 *
 *   killed while     the next reader ...
 *   open             counts it from its first record: nothing was written
 *   marking          the same: nothing was written
 *   writing          counts it again up to `closing.at`, gets the same sums, and writes documents
 *                    of the same _id: those that are there already are refused as duplicates
 *   written          leaves out its records: they lie below `closedTo`
 * ```
 *
 * The race that `closing` is for: a window is written, its process is killed before it commits, and
 * the next one reads the same records with its runs cut at other places, or with late records that
 * came meanwhile. Without the mark it could count them into the window, whose document is there.
 * With it both count exactly the records below `closing.at`.
 *
 * Time is that of the records: a window is closed when a record of the partition is dated
 * `latenessMs` behind its end, once everything before that record was counted. Runs come in any
 * order from the filter threads, and are counted in the order of the log. A record of a window that
 * is closed is late, and counted as that. One dated more than AHEAD_MS beyond the wall clock moves
 * no time, and belongs to no window: the committed offset would wait for that date.
 *
 * Bounds. Windows: as many as lie in latenessMs + AHEAD_MS, and what one tick brings. Rows: of each
 * window and metric `seriesMax` (and "other"), in the order of the log, so that a second reader
 * gets the same; while ROWS_MAX rows wait to be written, `isFull` asks for no more.
 */
import assert from 'node:assert/strict'
import type { MetricSpec } from '../core/expression/metric.ts'
import { NO_MARK, type WindowMark } from '../core/window-mark.ts'
import type { SeriesDelta } from '../pool/record-counter.ts'
import { addTo, boundedRow, emptyBuckets, OTHER } from './log-metrics.ts'

/** Clocks of producers differ by less; a wrong time zone differs by more. */
export const AHEAD_MS = 600_000
/** Some hundred bytes each. */
const ROWS_MAX = 200_000

/** A document to be: one label set of a metric in one window of a partition. */
export interface WindowRow {
  readonly metric: number
  readonly windowMs: number
  readonly labels: readonly string[]
  count: number
  sum: number
  readonly buckets: number[] | null
}

/** Of one assignment: what is to be written now. */
export interface DueWindows {
  readonly assignmentId: number
  readonly rows: readonly WindowRow[]
}

/** A run as it was filtered: everything of [coverFrom, coverTo). */
export interface CountedRun {
  readonly assignmentId: number
  readonly coverFrom: number
  readonly coverTo: number
  /** The latest time of its records that did not count, as far as known; -1: none. */
  readonly lastTimestampMs: number
  readonly deltas: readonly SeriesDelta[]
}

export interface MetricWindowsOptions {
  readonly metrics: readonly Pick<MetricSpec, 'type' | 'bounds'>[]
  readonly windowMs: number
  readonly latenessMs: number
  readonly seriesMax: number
  readonly wallMs: () => number
  readonly late: (metric: number, count: number) => void
  readonly undated: (metric: number, count: number) => void
}

interface Window {
  /** The offset of its first record that counted. */
  firstOffset: number
  /** By metric, then by label set. */
  readonly tables: Map<number, Map<string, WindowRow>>
}

interface Closing {
  readonly to: number
  readonly at: number
  /** counting: marked by an earlier reader, and not read up to `at` yet. */
  state: 'counting' | 'marking' | 'due' | 'writing'
  windows: readonly Window[]
}

interface Partition {
  /** Everything below was counted. */
  position: number
  /** Runs behind a gap, by where they begin. */
  readonly waiting: Map<number, CountedRun>
  /** The latest time below the position; -1: none. */
  latestMs: number
  closedTo: number
  closedAt: number
  closing: Closing | null
  readonly windows: Map<number, Window>
}

export class MetricWindows {
  readonly #options: MetricWindowsOptions
  readonly #partitions = new Map<number, Partition>()
  /** Of all windows that are not written. */
  #rowCount = 0

  constructor(options: MetricWindowsOptions) {
    const { windowMs, latenessMs, seriesMax } = options
    assert(windowMs > 0 && latenessMs >= 0 && seriesMax > 0)
    this.#options = options
  }

  /** @param mark as it was kept beside `startOffset`; null: there was none. */
  open(assignmentId: number, startOffset: number, mark: WindowMark | null): void {
    assert(!this.#partitions.has(assignmentId))
    const { closedTo, closedAt, closing } = mark ?? NO_MARK
    // With windows of another size than before, the one that was begun stays with the old size.
    const wholeFrom = (timeMs: number) => Math.ceil(timeMs / windowMs) * windowMs
    const { windowMs } = this.#options
    const partition: Partition = {
      position: startOffset,
      waiting: new Map(),
      latestMs: -1,
      closedTo: closedTo < 0 ? -1 : wholeFrom(closedTo),
      closedAt,
      closing: closing && { ...closing, to: wholeFrom(closing.to), state: 'counting', windows: [] },
      windows: new Map(),
    }
    this.#partitions.set(assignmentId, partition)
    this.#endCounting(partition)
  }

  /** Its records are somebody else's now. Idempotent. */
  close(assignmentId: number): void {
    const partition = this.#partitions.get(assignmentId)
    if (partition === undefined) return
    this.#partitions.delete(assignmentId)
    const { windows, closing } = partition
    this.#rowCount -= rowCountOf([...windows.values(), ...(closing?.windows ?? [])])
  }

  /** Offsets at which the sums of a run must be cut (RecordCounter.cutAt). */
  cutsOf(assignmentId: number): readonly number[] {
    const { closedAt, closing } = this.#get(assignmentId)
    return closing === null ? [closedAt] : [closedAt, closing.at]
  }

  /** Takes a run of an open assignment; of any other it does nothing. */
  cover(run: CountedRun): void {
    const partition = this.#partitions.get(run.assignmentId)
    if (partition === undefined) return
    assert(run.coverFrom >= partition.position, 'offsets are covered once')
    partition.waiting.set(run.coverFrom, run)
    for (;;) {
      const next = partition.waiting.get(partition.position)
      if (next === undefined) return
      partition.waiting.delete(partition.position)
      this.#apply(partition, next)
    }
  }

  /** Nothing from here on may be committed. */
  holdOffset(assignmentId: number): number {
    const { position, windows, closing } = this.#get(assignmentId)
    let hold = position
    for (const one of windows.values()) hold = Math.min(hold, one.firstOffset)
    for (const one of closing?.windows ?? []) hold = Math.min(hold, one.firstOffset)
    return hold
  }

  /** What is to be kept beside the offset that is committed. */
  markOf(assignmentId: number): WindowMark {
    const { closedTo, closedAt, closing } = this.#get(assignmentId)
    return { closedTo, closedAt, closing: closing && { to: closing.to, at: closing.at } }
  }

  /** Closes what time has passed; where that is to be written, the mark says so now. */
  tick(): void {
    const { windowMs, latenessMs } = this.#options
    for (const partition of this.#partitions.values()) {
      const { closing, latestMs, position } = partition
      const to = Math.floor((latestMs - latenessMs) / windowMs) * windowMs
      if (closing !== null || latestMs < 0 || to <= partition.closedTo) continue
      const windows = takeBelow(partition.windows, to)
      if (windows.length > 0) {
        partition.closing = { to, at: position, state: 'marking', windows }
      } else {
        partition.closedTo = to
        partition.closedAt = position
      }
    }
  }

  /** The group has a commit with this mark. */
  marked(assignmentId: number, mark: WindowMark): void {
    const closing = this.#partitions.get(assignmentId)?.closing
    if (closing?.state !== 'marking') return
    const isThis = mark.closing?.to === closing.to && mark.closing.at === closing.at
    if (isThis) closing.state = 'due'
  }

  /** What may be written now; each once. `written` follows. */
  takeDue(): DueWindows[] {
    const due: DueWindows[] = []
    for (const [assignmentId, { closing }] of this.#partitions) {
      if (closing?.state !== 'due') continue
      closing.state = 'writing'
      due.push({ assignmentId, rows: closing.windows.flatMap(rowsOf) })
    }
    return due
  }

  /** All documents of `takeDue` are settled. */
  written(assignmentId: number): void {
    const partition = this.#partitions.get(assignmentId)
    if (partition?.closing?.state !== 'writing') return
    this.#endClosing(partition, partition.closing)
  }

  /** Whether an assignment is not to be read on for now. */
  isFull(assignmentId: number): boolean {
    // What waits for time alone would wait for ever.
    const closing = this.#partitions.get(assignmentId)?.closing ?? null
    return closing !== null && closing.state !== 'counting' && this.#rowCount >= ROWS_MAX
  }

  /** Whether documents are on their way: not those of windows that are open. */
  get isBusy(): boolean {
    return [...this.#partitions.values()].some(
      ({ closing }) => closing !== null && closing.state !== 'counting',
    )
  }

  #apply(partition: Partition, run: CountedRun): void {
    const nowMs = this.#options.wallMs()
    const usable = (timeMs: number) => (timeMs > nowMs + AHEAD_MS ? -1 : timeMs)
    let latestMs = Math.max(partition.latestMs, usable(run.lastTimestampMs))
    for (const delta of run.deltas) {
      this.#count(partition, delta, nowMs)
      latestMs = Math.max(latestMs, usable(delta.lastMs))
    }
    partition.latestMs = latestMs
    partition.position = run.coverTo
    this.#endCounting(partition)
  }

  #count(partition: Partition, delta: SeriesDelta, nowMs: number): void {
    const { metrics, seriesMax, late, undated } = this.#options
    const { metric, windowMs, labels, firstOffset, count } = delta
    if (count === 0) return
    if (windowMs < 0 || windowMs > nowMs + AHEAD_MS) return undated(metric, count)
    const { closedTo, closedAt, closing } = partition
    if (windowMs < closedTo) {
      // Below closedAt it was counted before, or late before.
      if (firstOffset >= closedAt) late(metric, count)
      return
    }
    if (closing !== null && windowMs < closing.to) {
      if (firstOffset >= closing.at) return late(metric, count)
      assert(closing.state === 'counting', 'what lies below the mark was counted')
    }
    let window = partition.windows.get(windowMs)
    if (window === undefined) {
      window = { firstOffset, tables: new Map() }
      partition.windows.set(windowMs, window)
    }
    window.firstOffset = Math.min(window.firstOffset, firstOffset)
    let table = window.tables.get(metric)
    if (table === undefined) window.tables.set(metric, (table = new Map()))
    const make = (values: readonly string[]) => (): WindowRow => {
      const buckets = emptyBuckets(metrics[metric]!)
      this.#rowCount++
      return { metric, windowMs, labels: values, count: 0, sum: 0, buckets }
    }
    const other = labels.map(() => OTHER)
    const row =
      boundedRow(table, labels, seriesMax, make(labels)) ??
      boundedRow(table, other, Infinity, make(other))
    assert(row !== null)
    addTo(row, delta)
  }

  /** A reader after a kill has come to where the windows that are closing were counted up to. */
  #endCounting(partition: Partition): void {
    const { closing, position } = partition
    if (closing?.state !== 'counting' || position < closing.at) return
    closing.windows = takeBelow(partition.windows, closing.to)
    closing.state = 'due'
    if (closing.windows.length === 0) this.#endClosing(partition, closing)
  }

  #endClosing(partition: Partition, { to, at, windows }: Closing): void {
    this.#rowCount -= rowCountOf(windows)
    partition.closedTo = Math.max(partition.closedTo, to)
    partition.closedAt = at
    partition.closing = null
  }

  #get(assignmentId: number): Partition {
    const partition = this.#partitions.get(assignmentId)
    assert(partition !== undefined, 'an open assignment')
    return partition
  }
}

function takeBelow(windows: Map<number, Window>, to: number): Window[] {
  const below = [...windows].filter(([windowMs]) => windowMs < to)
  for (const [windowMs] of below) windows.delete(windowMs)
  return below.map(([, window]) => window)
}

function rowsOf({ tables }: Window): WindowRow[] {
  return [...tables.values()].flatMap((table) => [...table.values()])
}

function rowCountOf(windows: readonly Window[]): number {
  return windows.reduce((sum, one) => sum + rowsOf(one).length, 0)
}
