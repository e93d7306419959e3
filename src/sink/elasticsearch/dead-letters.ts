/**
 * What this output needs of the dead letters and of the spill: the parts of their contracts that it
 * calls. sink/dead-letters/ and sink/spill/ implement more than this.
 */

/** A document that Elasticsearch will never take. */
export interface DeadLetter {
  readonly reason: string
  readonly errorType: string
  /** The item's status, or the request's. */
  readonly status: number
  readonly index: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970; -1 when it is not known. */
  readonly timestampMs: number
  /** The document as it was sent: action line and source line. */
  readonly payload: Uint8Array
}

export interface DeadLetters {
  /** Durable when resolved. Calls may overlap. */
  put(letters: readonly DeadLetter[]): Promise<void>
}
