/**
 * Memory for the bodies of requests, used again and again: fresh memory of that size comes from the
 * kernel page by page and goes back to it, which costs as much as the copying itself.
 *
 * Bound. `countMax` buffers of `bytesMax` each; only what a body has touched is resident. A larger
 * body (one huge document) gets memory of its own.
 */
import assert from 'node:assert/strict'

export class BodyBuffers {
  readonly #bytesMax: number
  readonly #countMax: number
  readonly #free: Buffer[] = []

  constructor(bytesMax: number, countMax: number) {
    this.#bytesMax = bytesMax
    this.#countMax = countMax
  }

  /** At least so many bytes, of any content. */
  take(byteCount: number): Buffer {
    if (byteCount > this.#bytesMax) return Buffer.allocUnsafeSlow(byteCount)
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytesMax)
  }

  /** Nobody reads or writes it any more. */
  giveBack(buffer: Buffer): void {
    if (buffer.length !== this.#bytesMax || this.#free.length >= this.#countMax) return
    assert(!this.#free.includes(buffer), 'given back once')
    this.#free.push(buffer)
  }
}
