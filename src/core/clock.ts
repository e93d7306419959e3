/**
 * Time, injected: whatever waits or measures takes a Clock, so that tests own the time.
 */

export interface Clock {
  /** Milliseconds that only go forward; for waits, rates and deadlines. */
  monotonicMs(): number
  /** Milliseconds since 1970; for timestamps that people and servers read. */
  wallMs(): number
  /** Calls back once after `delayMs`; the result cancels. */
  after(delayMs: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Resolves after a time, or as soon as the signal says stop; nothing of it is left behind then. */
export function sleep(
  clock: Pick<Clock, 'after'>,
  delayMs: number,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const end = (): void => {
      cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.after(delayMs, end)
    signal?.addEventListener('abort', end)
  })
}

/**
 * For log lines that others can cause as often as they like: passes on one call in `everyMs`, the
 * first at once.
 * @param pass gets the number of calls since the last one passed on, this one included.
 */
export function onceIn<Args extends readonly unknown[]>(
  clock: Pick<Clock, 'monotonicMs'>,
  everyMs: number,
  pass: (count: number, ...args: Args) => void,
): (...args: Args) => void {
  let passedMs = -Infinity
  let count = 0
  return (...args) => {
    count++
    const nowMs = clock.monotonicMs()
    if (nowMs - passedMs < everyMs) return
    pass(count, ...args)
    passedMs = nowMs
    count = 0
  }
}

/** A clock that moves only when a test moves it. */
export class ManualClock implements Clock {
  #nowMs: number
  readonly #timers = new Set<{ dueMs: number; callback: () => void }>()

  constructor(startMs = 0) {
    this.#nowMs = startMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Moves the time forward, running what falls due in order. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs
    for (;;) {
      const due = [...this.#timers]
        .filter((timer) => timer.dueMs <= endMs)
        .sort((left, right) => left.dueMs - right.dueMs)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#nowMs = Math.max(this.#nowMs, due.dueMs)
      due.callback()
    }
    this.#nowMs = endMs
  }

  /** Timers not yet due; zero at the end of a well-behaved test. */
  get pendingCount(): number {
    return this.#timers.size
  }
}
