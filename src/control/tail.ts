/**
 * The live tail: matches of a pipeline, sampled by its workers, handed to whoever watches.
 *
 * While somebody watches, the workers of the pipeline are ordered again and again to show some of
 * what they match, for a little longer than until the next order; nobody watching, it ends by
 * itself. A watcher that is too slow loses entries, and is told how many.
 */
import type { Clock } from '../core/clock.ts'
import { Problem } from './problem.ts'

export interface TailBatch {
  readonly workerId: string
  readonly entries: readonly string[]
  /** Entries that this watcher lost since the last batch. */
  readonly droppedCount: number
}

/** Open browsers; each holds a connection and a queue. */
const WATCHERS_MAX = 50
/** Entries that wait for one watcher: a second or two of what can be read. */
const QUEUE_MAX = 500
export const TAIL_RENEW_MS = 5000

export class TailHub {
  readonly #clock: Clock
  readonly #order: (pipelineId: number) => void
  readonly #watchers = new Map<number, Set<Watcher>>()
  readonly #renewals = new Map<number, () => void>()

  /** @param order asks the workers of a pipeline to show matches for over TAIL_RENEW_MS. */
  constructor(clock: Clock, order: (pipelineId: number) => void) {
    this.#clock = clock
    this.#order = order
  }

  /** Begins to watch. @throws Problem 503 when too many do. */
  watch(pipelineId: number): Watcher {
    if (this.watcherCount >= WATCHERS_MAX) {
      throw new Problem(503, `${WATCHERS_MAX} live tails are open already; close one.`)
    }
    const watchers = this.#watchers.get(pipelineId) ?? new Set()
    const watcher = new Watcher(() => {
      watchers.delete(watcher)
      if (watchers.size > 0) return
      this.#watchers.delete(pipelineId)
      this.#renewals.get(pipelineId)?.()
      this.#renewals.delete(pipelineId)
    })
    watchers.add(watcher)
    this.#watchers.set(pipelineId, watchers)
    if (watchers.size === 1) this.#renew(pipelineId)
    return watcher
  }

  publish(pipelineId: number, workerId: string, entries: readonly string[]): void {
    if (entries.length === 0) return
    for (const watcher of this.#watchers.get(pipelineId) ?? []) watcher.put(workerId, entries)
  }

  get watcherCount(): number {
    return [...this.#watchers.values()].reduce((sum, { size }) => sum + size, 0)
  }

  /** Ends every watch. */
  close(): void {
    for (const watchers of this.#watchers.values()) {
      for (const watcher of watchers) watcher.close()
    }
  }

  #renew(pipelineId: number): void {
    this.#order(pipelineId)
    this.#renewals.set(
      pipelineId,
      this.#clock.after(TAIL_RENEW_MS, () => this.#renew(pipelineId)),
    )
  }
}

/** One who watches: a bounded queue with a bell. */
export class Watcher {
  readonly #onClose: () => void
  #queue: { readonly workerId: string; readonly entry: string }[] = []
  #droppedCount = 0
  #ring: (() => void) | undefined
  #closed = false

  constructor(onClose: () => void) {
    this.#onClose = onClose
  }

  get closed(): boolean {
    return this.#closed
  }

  put(workerId: string, entries: readonly string[]): void {
    for (const entry of entries) this.#queue.push({ workerId, entry })
    const surplus = this.#queue.length - QUEUE_MAX
    if (surplus > 0) {
      this.#queue = this.#queue.slice(surplus)
      this.#droppedCount += surplus
    }
    this.#ring?.()
  }

  /** What has come so far, by worker; waits for some, at most `waitMs`. */
  async take(clock: Clock, waitMs: number): Promise<TailBatch[]> {
    if (this.#queue.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        const cancel = clock.after(waitMs, resolve)
        this.#ring = () => {
          cancel()
          resolve()
        }
      })
      this.#ring = undefined
    }
    const byWorker = Map.groupBy(this.#queue, ({ workerId }) => workerId)
    this.#queue = []
    const droppedCount = this.#droppedCount
    this.#droppedCount = 0
    return [...byWorker].map(([workerId, entries], index) => ({
      workerId,
      entries: entries.map(({ entry }) => entry),
      droppedCount: index === 0 ? droppedCount : 0,
    }))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ring?.()
    this.#onClose()
  }
}
