/**
 * `--output stdout`: documents to the standard output, one group of batches after another.
 *
 * A document is settled when the write that held it returned: it is then in the pipe, the terminal
 * or the kernel's cache, and what the reader does with it is the reader's. A reader that is slow
 * slows the pipeline down. A reader that goes away (`| head -1`) ends it quietly: nothing unsettled
 * is settled, as with any other failure. Unlike a file of `--output file`, a redirected stdout may
 * be left with a partial last line then: it is not ours to cut.
 */
import assert from 'node:assert/strict'
import { systemClock, type Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { CreditLimits } from '../pool/signals.ts'
import { BatchQueue } from './batch-queue.ts'
import { openWriter, type DescriptorWriter } from './descriptor-writer.ts'
import type { Sink, SinkBatch, SinkEvents, SinkGauges } from './sink.ts'

/** A queue in front of a pipe of 64 KiB gains little: this hides a short pause of the reader. */
export const STDOUT_CREDIT: CreditLimits = { documents: 200_000, bytes: 16 * 1024 * 1024 }

/** Small batches are written together up to this size: four times a pipe, some 10 us of copying. */
const WRITE_BYTES = 256 * 1024

export const STDOUT_DESCRIPTOR = 1

/** What stands on the terminal that stdout is, and must make way for each write. */
export interface Screen {
  hide(): void
  show(): void
}

const NO_SCREEN: Screen = { hide: () => undefined, show: () => undefined }

export class StdoutSink implements Sink {
  readonly #events: SinkEvents
  readonly #clock: Clock
  readonly #openWriter: () => DescriptorWriter
  readonly #screen: Screen
  readonly #queue: BatchQueue
  #writer: DescriptorWriter | null = null
  #isWriting = false
  #isEnded = false
  #trouble: string | null = null

  /** @param options.openWriter how to open the output; the default opens descriptor 1. */
  constructor(
    events: SinkEvents,
    options: {
      readonly clock?: Clock
      readonly openWriter?: () => DescriptorWriter
      readonly screen?: Screen
    } = {},
  ) {
    this.#events = events
    this.#clock = options.clock ?? systemClock
    this.#openWriter = options.openWriter ?? (() => openWriter(STDOUT_DESCRIPTOR, this.#clock))
    this.#screen = options.screen ?? NO_SCREEN
    this.#queue = new BatchQueue(this.#clock)
  }

  async open(): Promise<void> {
    assert(this.#writer === null, 'opened once')
    try {
      this.#writer = this.#openWriter()
    } catch (error) {
      throw new LogpipeError('OUTPUT_OPEN', `stdout cannot be written to: ${messageOf(error)}`, {
        cause: error,
      })
    }
  }

  write(batch: SinkBatch): void {
    assert(this.#writer !== null, 'opened before the first write')
    if (this.#isEnded) return
    this.#queue.push(batch)
    this.#pump(this.#writer)
  }

  flush(timeoutMs: number): Promise<void> {
    return this.#queue.whenSettled(timeoutMs)
  }

  gauges(): SinkGauges {
    return this.#queue.gauges(this.#trouble)
  }

  async close(timeoutMs: number): Promise<void> {
    await this.flush(timeoutMs)
    this.#end()
    this.#writer?.close()
  }

  #pump(writer: DescriptorWriter): void {
    if (this.#isWriting) return
    const group = this.#queue.take(WRITE_BYTES)
    if (group === null) return
    this.#isWriting = true
    this.#screen.hide()
    writer.write(group.bytes, (error) => {
      this.#isWriting = false
      this.#screen.show()
      if (this.#isEnded) return
      if (error !== null) {
        this.#fail(error)
        return
      }
      this.#queue.settle(group, 'written')
      this.#events.drained()
      this.#pump(writer)
    })
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#end()
    if (error.code === 'EPIPE' || error.code === 'ECONNRESET') {
      this.#events.endOfOutput()
      return
    }
    this.#trouble = `stdout refused a write: ${messageOf(error)}`
    const message = `${this.#trouble}; what was not written is read again by the next start`
    this.#events.fail(new LogpipeError('OUTPUT_WRITE', message, { cause: error }))
  }

  #end(): void {
    this.#isEnded = true
    this.#queue.abandon()
  }
}
