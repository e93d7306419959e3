/**
 * What a batch has taken of the output's credit (pool/signals.ts), given back with its memory.
 *
 * The output may copy a few documents out and let go of the rest: their part is split off and given
 * back by itself, so that the credit in use is always what the memory holds.
 */
import assert from 'node:assert/strict'
import { CREDIT_BYTES } from '../pool/signals.ts'
import type { BodyHold } from '../sink/sink.ts'

export type GiveBack = (documents: number, bytes: number) => void

export class CreditShare implements BodyHold {
  #documents: number
  #bytes: number
  readonly #giveBack: GiveBack
  #isReleased = false

  constructor(documents: number, bytes: number, giveBack: GiveBack) {
    this.#documents = documents
    this.#bytes = bytes
    this.#giveBack = giveBack
  }

  splitOff(documents: number, bytes: number): CreditShare {
    // Credit is counted in whole units, rounded up: of whole ones the parts make up the whole.
    const whole = Math.floor(Math.min(bytes, this.#bytes) / CREDIT_BYTES) * CREDIT_BYTES
    assert(!this.#isReleased && documents <= this.#documents)
    this.#documents -= documents
    this.#bytes -= whole
    return new CreditShare(documents, whole, this.#giveBack)
  }

  releaseBody(): void {
    assert(!this.#isReleased, 'credit is given back once')
    this.#isReleased = true
    this.#giveBack(this.#documents, this.#bytes)
  }
}
