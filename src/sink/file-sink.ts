/**
 * `--output file:PATH`: documents appended to a file, settled when they are on its disk.
 *
 *   queue --append--> unsynced groups --fdatasync--> settled 'written'
 *
 * A sync happens one second after the first unsynced document, at once when SYNC_BYTES or
 * SYNC_DOCUMENTS are unsynced, before a rotation, and for flush and close. The sink does one disk
 * operation at a time, so that a group is appended, synced and settled in order.
 *
 * Rotation. Before a group that would pass `rotateBytes`, PATH is synced and moved to PATH.1 (and
 * so on, `rotateKeep` of them). A document is never split; a file passes the size only when a
 * single batch is larger.
 *
 * Failure. A full or broken disk ends the output: the file is cut back to the last settled
 * document, so that it ends with a whole one, and `fail` is called. The rest stays unsettled; the
 * next start reads it again.
 *
 * After a crash the file may hold documents that were not settled, which are then written a second
 * time, and a torn last one (see output-file.ts).
 */
import assert from 'node:assert/strict'
import { systemClock, type Clock } from '../core/clock.ts'
import { nodeDisk, type Disk, type Locks } from '../core/disk.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { CreditLimits } from '../pool/signals.ts'
import { BatchQueue, type Group } from './batch-queue.ts'
import { OutputFile } from './output-file.ts'
import type { Sink, Delivery, SinkEvents, SinkGauges } from './sink.ts'

export interface FileSinkOptions {
  readonly path: string
  /** Size at which a new file is begun; 0: never. */
  readonly rotateBytes: number
  /** Rotated files to keep, 1 or more. */
  readonly rotateKeep: number
}

/** What may wait for the disk: several syncs' worth, so that one goes on while the next gathers. */
export const FILE_CREDIT: CreditLimits = { documents: 400_000, bytes: 64 * 1024 * 1024 }

/** Small batches are appended together up to this size. */
const WRITE_BYTES = 1024 * 1024

const SYNC_INTERVAL_MS = 1000

/** A quarter of the credit: filter threads then never wait for the interval to pass. */
const SYNC_BYTES = FILE_CREDIT.bytes / 4
const SYNC_DOCUMENTS = FILE_CREDIT.documents / 4

/** The credit counts a batch in KiB, rounded up. */
const BATCH_BYTES_OVERHEAD = 1024

export class FileSink implements Sink {
  readonly #options: FileSinkOptions
  readonly #events: SinkEvents
  readonly #clock: Clock
  readonly #file: OutputFile
  readonly #queue: BatchQueue
  /** Appended, not synced. */
  #unsynced: Group[] = []
  #unsyncedBytes = 0
  #unsyncedDocuments = 0
  #isSyncDue = false
  #cancelSync: () => void = () => undefined
  #isReopenDue = false
  /** The loop that does one disk operation after another; null while there is nothing to do. */
  #running: Promise<void> | null = null
  #isEnded = false
  #trouble: string | null = null

  constructor(
    options: FileSinkOptions,
    events: SinkEvents,
    injected: { readonly clock?: Clock; readonly disk?: Disk; readonly locks?: Locks } = {},
  ) {
    assert(options.rotateBytes >= 0 && options.rotateKeep >= 1)
    this.#options = options
    this.#events = events
    this.#clock = injected.clock ?? systemClock
    this.#file = new OutputFile(options.path, injected.disk ?? nodeDisk, injected.locks ?? null)
    this.#queue = new BatchQueue(this.#clock)
  }

  open(): Promise<void> {
    return this.#file.open()
  }

  write(batch: Delivery): void {
    if (this.#isEnded) return
    this.#queue.push(batch)
    this.#kick()
  }

  flush(timeoutMs: number): Promise<void> {
    const settled = this.#queue.whenSettled(timeoutMs)
    this.#kick()
    return settled
  }

  /** After another program renamed the file (logrotate, then SIGHUP): goes on in a new one. */
  reopen(): void {
    this.#isReopenDue = true
    this.#kick()
  }

  gauges(): SinkGauges {
    return this.#queue.gauges(this.#trouble)
  }

  async close(timeoutMs: number): Promise<void> {
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs
    await this.flush(timeoutMs)
    this.#end()
    // A disk that hangs must not keep the process alive: the kernel closes open files.
    await this.#within(deadlineMs, this.#closeFile())
  }

  async #closeFile(): Promise<void> {
    await this.#running
    try {
      await this.#file.close()
    } catch (error) {
      // All that was to be settled was synced before; the error is shown, and changes nothing.
      this.#trouble = `closing ${this.#options.path}: ${messageOf(error)}`
    }
  }

  async #within(deadlineMs: number, work: Promise<void>): Promise<void> {
    let cancel: () => void = () => undefined
    const deadline = new Promise<void>((resolve) => {
      const leftMs = Math.max(1, deadlineMs - this.#clock.monotonicMs())
      cancel = this.#clock.after(leftMs, resolve)
    })
    await Promise.race([work, deadline])
    cancel()
  }

  #kick(): void {
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    // Writes that come in one go are gathered before the first is appended.
    await Promise.resolve()
    // Nothing may come between the last check for work and the end of the loop.
    while (!this.#isEnded && this.#hasWork()) await this.#step()
    this.#running = null
  }

  #hasWork(): boolean {
    return this.#isReopenDue || this.#mustSync() || this.#queue.hasWaiting
  }

  async #step(): Promise<void> {
    if (this.#isReopenDue) {
      this.#isReopenDue = false
      if (await this.#sync()) await this.#attempt(() => this.#file.reopen())
    } else if (this.#mustSync()) {
      await this.#sync()
    } else {
      await this.#appendNext()
    }
  }

  async #appendNext(): Promise<void> {
    const { rotateBytes, rotateKeep } = this.#options
    const group = this.#queue.dequeue(
      rotateBytes > 0 ? Math.min(WRITE_BYTES, rotateBytes) : WRITE_BYTES,
    )
    assert(group !== null)
    const isOver = rotateBytes > 0 && this.#file.size + group.bytes.length > rotateBytes
    if (isOver && this.#file.size > 0) {
      if (!(await this.#sync())) return
      if (!(await this.#attempt(() => this.#file.rotate(rotateKeep)))) return
    }
    if (this.#unsynced.length === 0) {
      this.#cancelSync = this.#clock.after(SYNC_INTERVAL_MS, () => {
        this.#isSyncDue = true
        this.#kick()
      })
    }
    if (!(await this.#attempt(() => this.#file.append(group.bytes)))) return
    this.#unsynced.push(group)
    this.#unsyncedBytes += group.bytes.length + group.batches.length * BATCH_BYTES_OVERHEAD
    this.#unsyncedDocuments += group.documentCount
  }

  #mustSync(): boolean {
    if (this.#unsynced.length === 0) return false
    return (
      this.#isSyncDue ||
      this.#unsyncedBytes >= SYNC_BYTES ||
      this.#unsyncedDocuments >= SYNC_DOCUMENTS ||
      this.#queue.isAwaited
    )
  }

  /** Syncs and settles the unsynced groups. @returns false after a failure. */
  async #sync(): Promise<boolean> {
    if (this.#unsynced.length === 0) return true
    if (!(await this.#attempt(() => this.#file.sync()))) return false
    const groups = this.#unsynced
    this.#forgetUnsynced()
    for (const group of groups) this.#queue.settle(group, 'written')
    return true
  }

  #forgetUnsynced(): void {
    this.#cancelSync()
    this.#isSyncDue = false
    this.#unsynced = []
    this.#unsyncedBytes = 0
    this.#unsyncedDocuments = 0
  }

  /** @returns false when the disk refused, or the output ended meanwhile. */
  async #attempt(operation: () => Promise<void>): Promise<boolean> {
    try {
      await operation()
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      if (!this.#isEnded) await this.#fail(error)
    }
    return !this.#isEnded
  }

  async #fail(error: unknown): Promise<void> {
    this.#end()
    this.#trouble = `the output file ${this.#options.path} cannot be written: ${messageOf(error)}`
    const isCut = await this.#file.cutBack()
    const rest = isCut
      ? 'it ends with the last committed document'
      : 'it may end with uncommitted documents, the last one incomplete'
    const again = 'the next start reads the missing records again'
    const message = `${this.#trouble}; ${rest}; ${again}`
    this.#events.fail(new LogpipeError('OUTPUT_WRITE', message, { cause: error }))
  }

  #end(): void {
    this.#isEnded = true
    this.#forgetUnsynced()
    this.#queue.abandon()
  }
}
