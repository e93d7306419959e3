/**
 * Metrics over time: for each pipeline and for the fleet, one sample a second for ten minutes in
 * memory, one in ten seconds for six hours and one a minute for seven days in the database.
 *
 * A counter (a name that ends in _total) becomes a rate per second, over the last seconds of
 * heartbeats (RateWindow). A gauge is kept as it is. A longer step has the mean of the rates
 * and the highest of the gauges, so that a short jam stays visible.
 *
 * After kill -9 the samples of up to one minute are missing. Only HISTORY_METRICS are kept.
 */
import type Database from 'better-sqlite3'
import type { Statement } from 'better-sqlite3'
import type { Clock } from '../core/clock.ts'

/** What is drawn as a chart; the order is the order of the stored lists. Only append. */
export const HISTORY_METRICS = [
  'polled_total',
  'polled_bytes_total',
  'matched_total',
  'drop_filter_total',
  'written_total',
  'es_429_proxy_rejected_total',
  'dead_letters_total',
  'kafka_lag',
  'es_mem_queue_len',
  'es_spill_queue_bytes',
] as const

/** The names in answers: polled_total becomes polled_per_second. */
export const HISTORY_NAMES: readonly string[] = HISTORY_METRICS.map((name) =>
  name.replace(/_total$/, '_per_second'),
)

export const FLEET_ID = 0
export const HISTORY_SECONDS_MAX = 7 * 86_400

const LIVE_STEP_MS = 1000
const LIVE_POINTS_MAX = 600
/** As many as a chart has pixels; longer ranges are merged into as many. */
const ANSWER_POINTS_MAX = 1500

type Values = number[]

interface HistoryPoint {
  readonly atMs: number
  readonly values: readonly number[]
}

interface WorkerState {
  pipelineId: number
  readonly window: RateWindow
  /** Rates and gauges now. */
  values: Values
  expiresMs: number
}

/** One step under way: sums for the means, maxima for the gauges. */
interface Bucket {
  atMs: number
  count: number
  values: Values
}

export class History {
  readonly #store: HistoryStore
  readonly #clock: Clock
  readonly #workers = new Map<string, WorkerState>()
  readonly #live = new Map<number, HistoryPoint[]>()
  readonly #buckets = new Map<string, Bucket>()
  #pending: HistoryRow[] = []

  constructor(store: HistoryStore, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /** Takes in what a worker says; `validMs` later it counts no more. */
  record(
    workerId: string,
    pipelineId: number | null,
    metrics: Readonly<Record<string, number>>,
    validMs: number,
  ): void {
    if (pipelineId === null) {
      this.#workers.delete(workerId)
      return
    }
    const before = this.#workers.get(workerId)
    const window = before?.pipelineId === pipelineId ? before.window : new RateWindow()
    const uptimeSeconds = metrics['uptime_seconds']
    const rates = window.add(
      uptimeSeconds === undefined ? this.#clock.monotonicMs() : uptimeSeconds * 1000,
      HISTORY_METRICS.map((name) => (isCounter(name) ? (metrics[name] ?? 0) : 0)),
    )
    const values = HISTORY_METRICS.map((name, index) =>
      isCounter(name) ? (rates[index] ?? 0) : (metrics[name] ?? 0),
    )
    const expiresMs = this.#clock.wallMs() + validMs
    this.#workers.set(workerId, { pipelineId, window, values, expiresMs })
  }

  /** To be called once a second: makes the second's samples, and writes what is complete. */
  tick(): void {
    const nowMs = this.#clock.wallMs()
    const atMs = nowMs - (nowMs % LIVE_STEP_MS)
    for (const [pipelineId, values] of this.#now(nowMs)) {
      this.#addLive(pipelineId, { atMs, values })
      for (const { stepMs } of STORED_STEPS) this.#addToBucket(stepMs, pipelineId, atMs, values)
    }
    this.#forget(nowMs)
    if (atMs % (STORED_STEPS[0]?.stepMs ?? 1) === 0) this.flush()
  }

  /** Writes what is complete. */
  flush(): void {
    const nowMs = this.#clock.wallMs()
    for (const [key, bucket] of this.#buckets) {
      const [stepMs = 0, pipelineId = 0] = key.split(' ').map(Number)
      if (bucket.atMs + stepMs > nowMs) continue
      this.#buckets.delete(key)
      this.#pending.push(rowOf(stepMs, pipelineId, bucket))
    }
    const rows = this.#pending
    this.#pending = []
    this.#store.write(rows, nowMs)
  }

  /** The rates and gauges of each pipeline that runs, and of the fleet, now. */
  latest(): ReadonlyMap<number, readonly number[]> {
    return this.#now(this.#clock.wallMs())
  }

  /** The last `seconds` of a pipeline, in the finest step that covers them. */
  range(
    pipelineId: number,
    seconds: number,
  ): { readonly stepMs: number; readonly points: HistoryPoint[] } {
    const nowMs = this.#clock.wallMs()
    const fromMs = nowMs - seconds * 1000
    const live = (this.#live.get(pipelineId) ?? []).filter(({ atMs }) => atMs >= fromMs)
    if (seconds <= LIVE_POINTS_MAX) {
      // What lies before our own start comes from the database, in its coarser step.
      const older = this.#store.range(10_000, pipelineId, fromMs, live[0]?.atMs ?? nowMs)
      return { stepMs: LIVE_STEP_MS, points: [...older, ...live] }
    }
    const step =
      STORED_STEPS.find(({ keepMs }) => seconds * 1000 <= keepMs) ??
      STORED_STEPS[STORED_STEPS.length - 1]
    const stepMs = step?.stepMs ?? 60_000
    return merged(this.#store.range(stepMs, pipelineId, fromMs, nowMs + 1), stepMs)
  }

  #now(nowMs: number): Map<number, Values> {
    const sums = new Map<number, Values>([[FLEET_ID, HISTORY_METRICS.map(() => 0)]])
    for (const worker of this.#workers.values()) {
      if (worker.expiresMs < nowMs) continue
      for (const id of [FLEET_ID, worker.pipelineId]) {
        const sum = sums.get(id)
        sums.set(
          id,
          sum?.map((value, index) => value + (worker.values[index] ?? 0)) ?? worker.values,
        )
      }
    }
    return sums
  }

  #addLive(pipelineId: number, point: HistoryPoint): void {
    const points = this.#live.get(pipelineId) ?? []
    points.push(point)
    if (points.length > LIVE_POINTS_MAX) points.shift()
    this.#live.set(pipelineId, points)
  }

  #addToBucket(stepMs: number, pipelineId: number, atMs: number, values: Values): void {
    const key = `${stepMs} ${pipelineId}`
    const startMs = atMs - (atMs % stepMs)
    const bucket = this.#buckets.get(key)
    if (bucket !== undefined && bucket.atMs === startMs) {
      bucket.count++
      bucket.values = combine(bucket.values, values)
      return
    }
    if (bucket !== undefined) this.#pending.push(rowOf(stepMs, pipelineId, bucket))
    this.#buckets.set(key, { atMs: startMs, count: 1, values })
  }

  /** Workers that fell silent, and the seconds of pipelines that stopped over ten minutes ago. */
  #forget(nowMs: number): void {
    for (const [id, worker] of this.#workers) {
      if (worker.expiresMs < nowMs) this.#workers.delete(id)
    }
    for (const [id, points] of this.#live) {
      const last = points[points.length - 1]
      if (last === undefined || nowMs - last.atMs > LIVE_POINTS_MAX * LIVE_STEP_MS) {
        this.#live.delete(id)
      }
    }
  }
}

function isCounter(name: string): boolean {
  return name.endsWith('_total')
}

/** Sums of rates, maxima of gauges. */
function combine(left: readonly number[], right: readonly number[]): Values {
  return HISTORY_METRICS.map((name, index) => {
    const [a, b] = [left[index] ?? 0, right[index] ?? 0]
    return isCounter(name) ? a + b : Math.max(a, b)
  })
}

function means(values: readonly number[], count: number): Values {
  return HISTORY_METRICS.map((name, index) => {
    const value = values[index] ?? 0
    return isCounter(name) ? Math.round((value / count) * 1000) / 1000 : value
  })
}

function rowOf(stepMs: number, pipelineId: number, bucket: Bucket): HistoryRow {
  return { stepMs, atMs: bucket.atMs, pipelineId, values: means(bucket.values, bucket.count) }
}

/** Neighbouring points taken together until there are few enough. */
function merged(
  points: readonly HistoryPoint[],
  stepMs: number,
): { readonly stepMs: number; readonly points: HistoryPoint[] } {
  const factor = Math.max(1, Math.ceil(points.length / ANSWER_POINTS_MAX))
  if (factor === 1) return { stepMs, points: [...points] }
  const result: HistoryPoint[] = []
  for (let index = 0; index < points.length; index += factor) {
    const group = points.slice(index, index + factor)
    const sum = group.map(({ values }) => values).reduce(combine)
    result.push({ atMs: group[0]?.atMs ?? 0, values: means(sum, group.length) })
  }
  return { stepMs: stepMs * factor, points: result }
}

/*
 * Rates of counters that are told again and again, over the last few seconds.
 *
 * A worker's numbers come from a snapshot that is written once a second, by heartbeats of another
 * pace: two heartbeats may bring the same snapshot, or skip one. So time is taken from the snapshot
 * itself (how long its pipeline runs), what is told twice changes nothing, and the rate is that of
 * a window of some snapshots.
 *
 * Bound: one sample for each snapshot of the window, and one before it; SAMPLES_MAX whatever a
 * worker says of its time.
 */

/** Three snapshots: their time is given to a tenth of a second, so a rate is right to 3 %. */
const WINDOW_MS = 3000
/** The heartbeats of the window at the quickest poll, 100 ms, and some. */
const SAMPLES_MAX = 40

interface Sample {
  readonly atMs: number
  readonly counters: readonly number[]
}

export class RateWindow {
  #samples: Sample[] = []
  #rates: readonly number[] = []

  get sampleCount(): number {
    return this.#samples.length
  }

  /**
   * Takes counters in. A smaller one has begun anew, at zero: that is no negative rate.
   * @param atMs when they were so, on the counting process's own clock where that is known.
   * @returns of each counter, its rate a second.
   */
  add(atMs: number, counters: readonly number[]): readonly number[] {
    const last = this.#samples.at(-1)
    const sample = { atMs, counters }
    if (last === undefined) {
      this.#samples = [sample]
      this.#rates = counters.map(() => 0)
      return this.#rates
    }
    if (atMs === last.atMs) return this.#rates
    const isNew = atMs < last.atMs
    if (isNew || counters.some((value, index) => value < (last.counters[index] ?? 0))) {
      const zero = { atMs: isNew ? 0 : last.atMs, counters: counters.map(() => 0) }
      this.#samples = [zero, sample]
    } else {
      this.#samples.push(sample)
    }
    this.#forget(atMs - WINDOW_MS)
    const first = this.#samples[0] ?? sample
    const elapsedMs = atMs - first.atMs
    this.#rates = counters.map((value, index) =>
      elapsedMs <= 0 ? 0 : ((value - (first.counters[index] ?? 0)) * 1000) / elapsedMs,
    )
    return this.#rates
  }

  /** The newest sample that is as old as the window is where it begins. */
  #forget(beforeMs: number): void {
    while ((this.#samples[1]?.atMs ?? Infinity) <= beforeMs || this.#samples.length > SAMPLES_MAX) {
      this.#samples.shift()
    }
  }
}

/*
 * Samples of metrics as rows, down-sampled and bounded.
 *
 * A row is one pipeline (0: the fleet) at one time step; its values are a JSON list in the order of
 * HISTORY_METRICS. Rows are written in batches, and old ones go a few at a time, so that no single
 * transaction takes long.
 */

/** How long each step is kept: ten seconds for six hours, one minute for seven days. */
const STORED_STEPS: readonly { readonly stepMs: number; readonly keepMs: number }[] = [
  { stepMs: 10_000, keepMs: 6 * 3_600_000 },
  { stepMs: 60_000, keepMs: 7 * 86_400_000 },
]
/**
 * 200 running pipelines at full length have 2.5 million rows of about 100 bytes: 250 MB. Beyond
 * that the oldest go before their time.
 */
const ROWS_MAX = 2_500_000
/** Deleting this many takes some milliseconds; a batch adds fewer, so the rest catches up. */
const DELETED_AT_ONCE = 5000

interface HistoryRow {
  readonly stepMs: number
  readonly atMs: number
  readonly pipelineId: number
  readonly values: readonly number[]
}

export class HistoryStore {
  readonly #db: Database
  readonly #put: Statement
  readonly #range: Statement<{ readonly at_ms: number; readonly sample: string }>
  readonly #deleteBefore: Statement
  readonly #deleteOldest: Statement
  readonly #rowsMax: number
  #rowCount: number

  constructor(db: Database, rowsMax: number = ROWS_MAX) {
    this.#db = db
    this.#rowsMax = rowsMax
    this.#put = db.prepare(
      'INSERT OR REPLACE INTO history (step_ms, at_ms, pipeline_id, sample) VALUES (?, ?, ?, ?)',
    )
    this.#range = db.prepare(
      'SELECT at_ms, sample FROM history WHERE step_ms = ? AND pipeline_id = ? AND at_ms >= ?' +
        ' AND at_ms < ? ORDER BY at_ms',
    )
    this.#deleteBefore = db.prepare(
      'DELETE FROM history WHERE (step_ms, pipeline_id, at_ms) IN (SELECT step_ms, pipeline_id,' +
        ' at_ms FROM history WHERE step_ms = ? AND at_ms < ? ORDER BY at_ms LIMIT ?)',
    )
    this.#deleteOldest = db.prepare(
      'DELETE FROM history WHERE (step_ms, pipeline_id, at_ms) IN (SELECT step_ms, pipeline_id,' +
        ' at_ms FROM history ORDER BY step_ms, at_ms LIMIT ?)',
    )
    const count = db.prepare<{ readonly count: number }>('SELECT count(*) AS count FROM history')
    this.#rowCount = count.get()?.count ?? 0
  }

  /** Adds rows, and lets go of what is too old or too much. */
  write(rows: readonly HistoryRow[], nowMs: number): void {
    this.#db
      .transaction(() => {
        for (const row of rows) {
          const sample = JSON.stringify(row.values)
          this.#rowCount += this.#put.run(row.stepMs, row.atMs, row.pipelineId, sample).changes
        }
        for (const { stepMs, keepMs } of STORED_STEPS) {
          const cutMs = nowMs - keepMs
          this.#rowCount -= this.#deleteBefore.run(stepMs, cutMs, DELETED_AT_ONCE).changes
        }
        const surplus = Math.min(this.#rowCount - this.#rowsMax, DELETED_AT_ONCE)
        if (surplus > 0) this.#rowCount -= this.#deleteOldest.run(surplus).changes
      })
      .immediate()
  }

  /** Samples with fromMs <= time < toMs, in order of time. */
  range(
    stepMs: number,
    pipelineId: number,
    fromMs: number,
    toMs: number,
  ): { readonly atMs: number; readonly values: readonly number[] }[] {
    return this.#range.all(stepMs, pipelineId, fromMs, toMs).map(({ at_ms, sample }) => ({
      atMs: at_ms,
      values: JSON.parse(sample) as number[],
    }))
  }

  get rowCount(): number {
    return this.#rowCount
  }
}
