/**
 * The live tail: matches of a pipeline, sampled by its workers, handed to whoever watches.
 *
 * While somebody watches, the workers of the pipeline are ordered again and again to show some of
 * what they match, for a little longer than until the next order; nobody watching, it ends by
 * itself. A watcher that is too slow loses entries, and is told how many; one that reads nothing at
 * all is closed, for it holds one of the places.
 */
import type { Clock } from '../core/clock.ts'
import { Problem } from './problem.ts'

export interface TailBatch {
  readonly workerId: string
  readonly entries: readonly string[]
  /** Entries that this watcher lost since the last batch. */
  readonly droppedCount: number
}

/** Open browsers; each holds a connection and a queue: 50 MiB in all at the very most. */
const WATCHERS_MAX = 50
/** Entries that wait for one watcher: a second or two of what can be read. */
const QUEUE_MAX = 500
const QUEUE_CHARS_MAX = 1024 * 1024
/** Whoever takes nothing for so long does not read: what was sent before fills its connection. */
const SLOW_MS = 30_000
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

  /**
   * Begins to watch.
   * @param onSlow called when it is closed because it takes nothing
   * @throws Problem 503 when too many watch.
   */
  watch(pipelineId: number, onSlow: () => void = () => undefined): Watcher {
    if (this.watcherCount >= WATCHERS_MAX) {
      throw new Problem(503, `${WATCHERS_MAX} live tails are open already; close one.`)
    }
    const watchers = this.#watchers.get(pipelineId) ?? new Set()
    const watcher = new Watcher(this.#clock, () => {
      watchers.delete(watcher)
      if (watchers.size > 0) return
      this.#watchers.delete(pipelineId)
      this.#renewals.get(pipelineId)?.()
      this.#renewals.delete(pipelineId)
    })
    watcher.onSlow = onSlow
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
    for (const watcher of this.#watchers.get(pipelineId) ?? []) watcher.closeIfSlow()
    // The last one has ended all of it.
    if (!this.#watchers.has(pipelineId)) return
    this.#order(pipelineId)
    this.#renewals.set(
      pipelineId,
      this.#clock.after(TAIL_RENEW_MS, () => this.#renew(pipelineId)),
    )
  }
}

/** One who watches: a bounded queue with a bell. */
class Watcher {
  onSlow: () => void = () => undefined
  readonly #clock: Clock
  readonly #onClose: () => void
  #queue: { readonly workerId: string; readonly entry: string }[] = []
  #queuedChars = 0
  /** When it last came to take, and since when it was not back. */
  #takenMs: number
  #droppedCount = 0
  #ring: (() => void) | undefined
  #closed = false

  constructor(clock: Clock, onClose: () => void) {
    this.#clock = clock
    this.#onClose = onClose
    this.#takenMs = clock.monotonicMs()
  }

  get closed(): boolean {
    return this.#closed
  }

  put(workerId: string, entries: readonly string[]): void {
    for (const entry of entries) {
      this.#queue.push({ workerId, entry })
      this.#queuedChars += entry.length
    }
    let surplus = 0
    for (const { entry } of this.#queue) {
      const count = this.#queue.length - surplus
      if (count <= QUEUE_MAX && this.#queuedChars <= QUEUE_CHARS_MAX) break
      this.#queuedChars -= entry.length
      surplus++
    }
    if (surplus > 0) this.#queue = this.#queue.slice(surplus)
    this.#droppedCount += surplus
    this.#ring?.()
  }

  /** Closes it when it has not come back for too long; one that waits for entries has. */
  closeIfSlow(): void {
    const isBack = this.#ring !== undefined
    if (isBack || this.#clock.monotonicMs() - this.#takenMs <= SLOW_MS) return
    this.close()
    this.onSlow()
  }

  /** What has come so far, by worker; waits for some, at most `waitMs`. */
  async take(waitMs: number): Promise<TailBatch[]> {
    if (this.#queue.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.after(waitMs, resolve)
        this.#ring = () => {
          cancel()
          resolve()
        }
      })
      this.#ring = undefined
    }
    this.#takenMs = this.#clock.monotonicMs()
    const byWorker = Map.groupBy(this.#queue, ({ workerId }) => workerId)
    this.#queue = []
    this.#queuedChars = 0
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
