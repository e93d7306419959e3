/**
 * What metrics from logs count a second, for each pipeline and as long as the control plane runs:
 * the curves below those of history.ts, which are of fixed names and in the database.
 *
 * Rates are sums over the pipeline's workers, of the totals without labels that heartbeats carry.
 * Bounds: NAMES_MAX names and POINTS_MAX steps of STEP_MS for each of PIPELINES_MAX pipelines; the
 * pipeline that was heard of last longest ago goes first.
 */
import type { Clock } from '../core/clock.ts'
import { isLogTotal } from '../core/log-metric.ts'
import { RateWindow } from './history.ts'

const NAMES_MAX = 12
const STEP_MS = 10_000
/** Six hours. */
const POINTS_MAX = 2160
const PIPELINES_MAX = 200

type Rates = Readonly<Record<string, number>>

interface WorkerState {
  readonly pipelineId: number
  readonly names: readonly string[]
  readonly window: RateWindow
  rates: readonly number[]
  expiresMs: number
}

/** A step: sums of the seconds in it. */
interface Step {
  count: number
  readonly sums: Record<string, number>
}

export class LogRates {
  readonly #clock: Clock
  readonly #workers = new Map<string, WorkerState>()
  /** By pipeline, then by the time at which a step begins. */
  readonly #steps = new Map<number, Map<number, Step>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes in what a worker says; `validMs` later it counts no more. */
  record(workerId: string, pipelineId: number | null, metrics: Rates, validMs: number): void {
    const names = Object.keys(metrics).filter(isLogTotal).sort().slice(0, NAMES_MAX)
    if (pipelineId === null || names.length === 0) {
      this.#workers.delete(workerId)
      return
    }
    const before = this.#workers.get(workerId)
    const isSame = before?.pipelineId === pipelineId && before.names.join() === names.join()
    const window = isSame ? before.window : new RateWindow()
    const uptimeSeconds = metrics['uptime_seconds']
    const rates = window.add(
      uptimeSeconds === undefined ? this.#clock.monotonicMs() : uptimeSeconds * 1000,
      names.map((name) => metrics[name] ?? 0),
    )
    const expiresMs = this.#clock.wallMs() + validMs
    this.#workers.set(workerId, { pipelineId, names, window, rates, expiresMs })
  }

  /** To be called once a second. */
  tick(): void {
    const nowMs = this.#clock.wallMs()
    for (const [pipelineId, rates] of this.#now(nowMs)) {
      const steps = this.#steps.get(pipelineId) ?? new Map<number, Step>()
      this.#steps.delete(pipelineId)
      this.#steps.set(pipelineId, steps)
      const atMs = nowMs - (nowMs % STEP_MS)
      const step = steps.get(atMs) ?? { count: 0, sums: {} }
      step.count++
      for (const [name, rate] of Object.entries(rates)) {
        step.sums[name] = (step.sums[name] ?? 0) + rate
      }
      steps.set(atMs, step)
      dropOldest(steps, POINTS_MAX)
    }
    dropOldest(this.#steps, PIPELINES_MAX)
  }

  /** Means over [fromMs, toMs), by the names of rates: log_errors_per_second. */
  between(pipelineId: number, fromMs: number, toMs: number): Rates {
    const sums: Record<string, number> = {}
    const steps = this.#steps.get(pipelineId)
    if (steps === undefined) return sums
    let count = 0
    for (let atMs = fromMs - (fromMs % STEP_MS); atMs < toMs; atMs += STEP_MS) {
      const step = steps.get(atMs)
      if (step === undefined) continue
      count += step.count
      for (const [name, sum] of Object.entries(step.sums)) sums[name] = (sums[name] ?? 0) + sum
    }
    const means = Object.entries(sums).map(([name, sum]) => [
      `${name.replace(/_total$/, '')}_per_second`,
      Math.round((sum / count) * 1000) / 1000,
    ])
    return Object.fromEntries(means) as Rates
  }

  #now(nowMs: number): Map<number, Record<string, number>> {
    const sums = new Map<number, Record<string, number>>()
    for (const [id, { pipelineId, names, rates, expiresMs }] of this.#workers) {
      if (expiresMs < nowMs) {
        this.#workers.delete(id)
        continue
      }
      const sum = sums.get(pipelineId) ?? {}
      sums.set(pipelineId, sum)
      for (const [index, name] of names.entries()) sum[name] = (sum[name] ?? 0) + rates[index]!
    }
    return sums
  }
}

function dropOldest(map: Map<number, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return
    map.delete(key)
  }
}
