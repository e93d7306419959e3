/**
 * The threads of a pipeline: starting them, talking to them, seeing them end.
 *
 * A thread is a Worker with a port of its own. One that dies is reported once, with the reason.
 */
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads'
import { bridgeFile } from '../bridge/load.ts'
import { LogpipeError } from '../core/errors.ts'
import { packedText } from '../core/program-files.ts'
import type { FromIngress, ToIngress } from '../kafka/ingress-messages.ts'
import type { PipelineSettings } from './settings.ts'
import type { FromFilter, ThreadData, ToFilter } from './thread-data.ts'

export type FromThread = FromIngress | FromFilter
export type ToThread = ToIngress | ToFilter

/** What a thread runs: a file, or in the executable what loads the scripts inside it. */
function threadScript(): { readonly script: string | URL; readonly eval: boolean } {
  const loader = packedText('js/loader.cjs')
  if (loader !== null) return { script: loader, eval: true }
  return { script: new URL('./thread-entry.ts', import.meta.url), eval: false }
}

/** How long threads may take to end once they were told; then they are terminated. */
const EXIT_TIMEOUT_MS = 3000

/**
 * An ingress thread is at its JoinGroup 60 ms after its start (bench/startup.ts); with the filters
 * started beside it, it took twice as long.
 */
const FILTERS_AFTER_MS = 80

export interface ThreadsEvents {
  readonly onMessage: (message: FromThread) => void
  /** A thread ended that was not told to. Threads count in the order in which they were started. */
  readonly onDeath: (threadIndex: number, error: LogpipeError) => void
}

/** Which threads a pipeline has, by the order in which they are started: ingress, then filter. */
export class ThreadRows {
  readonly ingressCount: number
  readonly count: number
  /** Threads that filter: in direct mode those of the ingress. */
  readonly filters: readonly number[]

  constructor({ mode, kafka, filter }: Pick<PipelineSettings, 'mode' | 'kafka' | 'filter'>) {
    this.ingressCount = kafka.properties.length
    this.count = this.ingressCount + (mode === 'direct' ? 0 : filter.threadCount)
    const rows = Array.from({ length: this.count }, (_, row) => row)
    this.filters = mode === 'direct' ? rows : rows.slice(this.ingressCount)
  }

  roleOf(row: number): Pick<ThreadData, 'role' | 'index'> {
    const { ingressCount } = this
    return row < ingressCount
      ? { role: 'ingress', index: row }
      : { role: 'filter', index: row - ingressCount }
  }
}

interface Thread {
  readonly name: string
  readonly worker: Worker
  readonly port: MessagePort
  readonly exited: Promise<void>
}

export class Threads {
  readonly #events: ThreadsEvents
  readonly #threads: Thread[] = []
  #isClosing = false
  #later: NodeJS.Timeout | undefined

  constructor(events: ThreadsEvents) {
    this.#events = events
  }

  /**
   * Starts all. Those of the ingress come first, and have the cores to themselves until they have
   * asked for their group; filters have nothing to do before.
   */
  startAll(rows: ThreadRows, dataOf: (row: number) => Omit<ThreadData, 'port'>): void {
    const start = (from: number, end: number) => {
      for (let row = from; row < end; row++) this.#start(dataOf(row))
    }
    start(0, rows.ingressCount)
    this.#later = setTimeout(() => start(rows.ingressCount, rows.count), FILTERS_AFTER_MS)
  }

  #start(data: Omit<ThreadData, 'port'>): void {
    const name = `${data.role}-${data.index}`
    const { port1, port2 } = new MessageChannel()
    const { script, eval: isText } = threadScript()
    // A thread is told where the add-on is: finding it means reading it.
    const settings = {
      ...data.settings,
      bridgeFile: bridgeFile(data.settings.bridgeFile ?? undefined),
    }
    const worker = new Worker(script, {
      name,
      eval: isText,
      workerData: { ...data, settings, port: port2 } satisfies ThreadData,
      transferList: [port2],
      stdout: false,
      stderr: false,
    })
    port1.on('message', (message: FromThread) => this.#events.onMessage(message))
    const index = this.#threads.length
    const exited = new Promise<void>((resolve) => {
      worker.once('error', (error) => this.#died(index, name, error))
      worker.once('exit', () => {
        if (!this.#isClosing) this.#died(index, name, null)
        resolve()
      })
    })
    this.#threads.push({ name, worker, port: port1, exited })
  }

  send(threadIndex: number, message: ToThread): void {
    this.#threads[threadIndex]?.port.postMessage(message)
  }

  /** Waits for all to end by themselves; terminates what does not. @returns the names of those. */
  async close(): Promise<string[]> {
    this.#isClosing = true
    clearTimeout(this.#later)
    const late: string[] = []
    await Promise.all(
      this.#threads.map(async ({ name, worker, port, exited }) => {
        const inTime = await within(exited, EXIT_TIMEOUT_MS)
        if (!inTime) {
          late.push(name)
          await worker.terminate()
        }
        port.close()
      }),
    )
    return late
  }

  /** From here on a thread that ends is no surprise. */
  expectEnd(): void {
    this.#isClosing = true
  }

  #died(index: number, name: string, error: unknown): void {
    if (this.#isClosing && error === null) return
    const why = error instanceof Error ? error.message : 'it ended by itself'
    const message = `the thread ${name} died: ${why}`
    this.#events.onDeath(index, new LogpipeError('THREAD', message, { cause: error }))
  }
}

async function within(promise: Promise<void>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs)
  })
  const result = await Promise.race([promise.then(() => true as const), timeout])
  clearTimeout(timer)
  return result
}
