/**
 * The contract between the pipeline (run/), which feeds an output, and the outputs beside this
 * file, which implement it.
 *
 * A delivery has the documents of a few slots as bytes, built by the output's own RecordEncoder in
 * a filter thread. The output settles every document exactly once, in any order, with its true
 * outcome; only then may its offset be committed. The next start reads unsettled records again. The
 * output releases the bytes once, when it no longer needs them.
 *
 * Bound. The pipeline stops filtering while `queuedBytes` or `queuedDocuments` is above the
 * output's limits, so an output accepts every delivery; a delivery is at most what a filter thread
 * gathers plus one slot's worth (filter/slot-filter.ts).
 */

import type { Sighting } from '../core/trouble.ts'

/** How an output signs in, where it does. */
export type Auth =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  /** The key as Elasticsearch prints it: base64 of id:secret. */
  | { readonly kind: 'apiKey'; readonly apiKey: string }

/**
 * How a document ended. All of them resolve its offset, but `fenced`: its partition was given away
 * (`dropPartition`), and the output forgets its documents on disk. `superseded`: a later
 * version of its key is in the index (--document-id key).
 */
export type Outcome =
  | 'written'
  | 'indexed'
  | 'duplicate'
  | 'superseded'
  | 'failure_store'
  /** An ingest pipeline of Elasticsearch has dropped it. */
  | 'pipeline_dropped'
  | 'dead_lettered'
  | 'dropped'
  | 'spilled'
  | 'counted'
  | 'fenced'

/** The documents of one run of a slot: one partition, ascending offsets. */
export interface SinkRun {
  readonly topic: string
  /** Which log of that name, from Kafka's topic id; absent: not known. */
  readonly log?: string | undefined
  readonly partition: number
  readonly assignmentId: number
  /** Kafka's offset of each document of this run. */
  readonly offsets: Float64Array
  /** Of each, the record's own time: milliseconds since 1970; -1: it has none. */
  readonly timestampsMs: Float64Array
  /** Of each, who set that time: a place in TIMESTAMP_TYPES. */
  readonly timestampTypes: Uint8Array
  /** The number of the rule that made each; absent: there are no rules. */
  readonly rules?: Uint16Array | undefined
}

/** Memory leased to the output until it releases it: once, settled or not. */
export interface BufferLease {
  /** The output no longer needs the bytes: they are in the spill, or were written. */
  release(): void
  /**
   * The output has copied these documents and bytes out, and holds them beyond the rest: the new
   * lease is released by itself. Not after release.
   */
  splitOff(documents: number, bytes: number): BufferLease
}

/** Of memory that nobody counts. */
export const NO_LEASE: BufferLease = { release: () => undefined, splitOff: () => NO_LEASE }

/** What one slot gave, to be written; the lease is that of `body`. */
export interface Delivery extends BufferLease {
  /** All documents, one after another, as the output's encoder wrote them; empty once released. */
  readonly body: Uint8Array
  /** Where each document ends in `body` (exclusive); document i starts where i - 1 ends. */
  readonly ends: Uint32Array
  /** The documents' origins, run after run, in the order of `ends`. */
  readonly runs: readonly SinkRun[]
  /** Settles documents [from, to), one or more, none of which was settled before. */
  settle(from: number, to: number, outcome: Outcome): void
}

/**
 * Figures of an output for the status lines, the snapshot and the metrics. All are sums since
 * start, or now.
 */
export interface SinkGauges {
  readonly queuedDocuments: number
  readonly queuedBytes: number
  readonly spillBytes: number
  readonly writtenDocuments: number
  readonly writtenBytes: number
  readonly retries: number
  /** Documents refused with 429, and whole requests. */
  readonly rejected429: number
  /** True while documents are sent from the spill. */
  readonly replaying: boolean
  /** The current problem, in one line; null if there is none. */
  readonly trouble: string | null
  /** The same one by one. */
  readonly troubles: readonly Sighting[]
}

/** Of an output that holds nothing, and has written nothing yet. */
export const NOTHING_HELD: SinkGauges = {
  queuedDocuments: 0,
  queuedBytes: 0,
  spillBytes: 0,
  writtenDocuments: 0,
  writtenBytes: 0,
  retries: 0,
  rejected429: 0,
  replaying: false,
  trouble: null,
  troubles: [],
}

export interface Sink {
  /** Opens files or connections; throws LogpipeError when that cannot work. */
  open(): Promise<void>
  write(batch: Delivery): void
  /** Resolves when everything taken so far is settled, or when the time has passed. */
  flush(timeoutMs: number): Promise<void>
  /**
   * A partition was given away: its documents on disk are forgotten, its new owner reads them.
   */
  dropPartition?(topic: string, partition: number): void
  /** Another program has renamed the file (logrotate): goes on in a new one of the same name. */
  reopen?(): void
  /** Signs in with this from the next request on. */
  setAuth?(auth: Auth): void
  /**
   * Partitions to pause for now: their records wait for an index that others do not use, and that
   * is over its quota of the room. Asked often; one may come twice.
   */
  partitionsOverQuota?(): readonly { readonly topic: string; readonly partition: number }[]
  gauges(): SinkGauges
  /** Settles as many documents as it can within the time, then drops the rest. Idempotent. */
  close(timeoutMs: number): Promise<void>
}

/** The events of an output. */
export interface SinkEvents {
  /** The output cannot go on: the pipeline stops, with nothing unsettled committed. Once. */
  fail(error: Error): void
  /** The reader of the output went away (a closed pipe): stop quietly, as grep does. */
  endOfOutput(): void
}
