/**
 * The layout of the pool's shared memory, and the states of a slot.
 *
 * One SharedArrayBuffer holds every slot, one after another. src/bridge/native/layout.h says the
 * same for C++; a test compares the two through `bridge.version().layout`.
 *
 * ```
 * slot     = header | runs | records | payload      slotBytes(shape), a multiple of 64
 * header   = 16 Int32 words                         HEADER_*
 * run      = batches of one assignment              RUN_BYTES each
 * record   = the place of one hit                   RECORD_BYTES each
 * payload  = hits: value, key, headers              one behind the other
 * ```
 *
 * A fill leaves the record batches with the bridge, in librdkafka's own memory, and writes the runs
 * here. A scan copies the records that match into the payload, and notes in each run which records
 * belong to it. If the payload is too small, the runs end where the scan stopped, and the next scan
 * continues there (SLOT_FLAG_MORE): the scanning thread treats each scan as a separate slot.
 *
 * A run states the offsets that the slot accounts for: every offset in [coverFrom, coverTo) was
 * fetched into this slot or does not exist (compaction, transaction markers). Runs of one
 * assignment tile the offsets without overlap, in whatever order slots finish; the ledger relies on
 * that.
 *
 * Headers of a record are encoded as: count u32, then for each: name length u32, name (any bytes),
 * value length i32 (-1: null), value. All numbers little endian, unaligned.
 *
 * Slot states. Each slot has one Int32 state word (HEADER_STATE); all its other bytes are plain
 * memory that belongs to the owner of the state.
 *
 * ```
 * FREE --acquire--> FILLING --seal--> READY --claim--> FILTERING --release--> FREE
 *      ingress      |  ingress         filter           filter
 *                   +--return--> FREE        (nothing came)
 *                   +--claim---> FILTERING   (direct mode: the same thread goes on)
 * ```
 *
 * Rule 1. Bytes may be touched only between taking a state and leaving it. The atomic store that
 * leaves the state publishes them; the compareExchange that takes it sees them.
 *
 * Rule 2. Every transition is a compareExchange that must succeed: a slot's index is handed on
 * through a ring (pool/ring.ts), whose pop gives it to one thread only, so a failure is a bug and
 * asserts.
 *
 * Rule 3. A wait has a timeout and checks again; a notify is a hint, never proof.
 *
 * Bound. FREE + FILLING + READY + FILTERING == slotCount at every moment; at close all are FREE,
 * which run/pipeline.ts asserts where the run ended without an error, a late thread, records left
 * pending, or a limit of matches that was reached.
 *
 * Race. A filter thread dies in FILTERING: (1) its slot is never released; (2) main gets 'exit' and
 * shuts the process down in order; (3) the runs of that slot never reach the ledger, so the low
 * watermark stays below them and none of their offsets is committed.
 */
import assert from 'node:assert/strict'

export const SLOT_FREE = 0
export const SLOT_FILLING = 1
export const SLOT_READY = 2
export const SLOT_FILTERING = 3
export type SlotState =
  typeof SLOT_FREE | typeof SLOT_FILLING | typeof SLOT_READY | typeof SLOT_FILTERING

/** Header words (Int32 index within the slot). */
export const HEADER_STATE = 0
export const HEADER_RECORDS = 1
export const HEADER_RUNS = 2
/** SLOT_FLAG_* */
export const HEADER_FLAGS = 3
/** Bytes of all records as they lie in their batches, low and high 32 bits. */
export const HEADER_BYTES_LOW = 4
export const HEADER_BYTES_HIGH = 5
export const HEADER_WORDS = 16
export const HEADER_BYTES = HEADER_WORDS * 4

/** The scan has not come to the end of the slot. */
export const SLOT_FLAG_MORE = 1
/** The scan's only hit is larger than the payload: read it with slotOversize. */
export const SLOT_FLAG_OVERSIZE = 2
/** Alternatives of a set have dropped records: slotDropped says how many. */
export const SLOT_FLAG_DROPPED = 4

/** Runs a slot can hold: more changes of partition than this close the slot. */
export const RUNS_MAX = 64
/** A run: Int32 words 0 to 5, then Float64 (aligned to 8) from byte 24. */
export const RUN_BYTES = 56
export const RUN_ASSIGNMENT = 0
export const RUN_RECORDS = 1
/** Bytes of the run's records as they lie in their batches. */
export const RUN_VALUE_BYTES = 2
/** After a scan: the run's hits, one behind the other in the index. */
export const RUN_FIRST_HIT = 3
export const RUN_HITS = 4
/** The leader epoch that marks its records; -1: none (core/log-id.ts). */
export const RUN_MARK_EPOCH = 5
/** Float64 index within the run: bytes 24 and 32. */
export const RUN_COVER_FROM = 3
export const RUN_COVER_TO = 4
/** The low watermark known when there was a gap before the run; -1 otherwise. */
export const RUN_LOW_WATERMARK = 5
/** The latest time in the run's last batch, in ms since 1970; -1: none. */
export const RUN_LAST_TIMESTAMP = 6

/** A hit: Int32 words 0 to 5, then Float64 from byte 24. */
export const RECORD_BYTES = 40
/**
 * Where its value begins in the payload; the key follows, then the headers, then the numbers of the
 * alternatives that hold, 16 bits each.
 */
export const RECORD_START = 0
/** -1: a null value (tombstone). */
export const RECORD_VALUE_BYTES = 1
/** -1: no key. */
export const RECORD_KEY_BYTES = 2
/** 0: no headers. */
export const RECORD_HEADERS_BYTES = 3
/** 0 none, 1 create time, 2 log append time. */
export const RECORD_TIMESTAMP_TYPE = 4
/** How many alternatives hold; 0 where the filter is no set. */
export const RECORD_ALTERNATIVES = 5
/** Float64 index within the record: bytes 24 and 32. */
export const RECORD_OFFSET = 3
/** Milliseconds since 1970; -1: none. */
export const RECORD_TIMESTAMP = 4

export interface SlotShape {
  readonly slotCount: number
  readonly bufferBytes: number
  readonly recordsMax: number
}

/** Byte offsets within a slot, and its size. */
export function slotLayout(shape: Pick<SlotShape, 'bufferBytes' | 'recordsMax'>): {
  readonly runsAt: number
  readonly recordsAt: number
  readonly payloadAt: number
  readonly slotBytes: number
} {
  assert(Number.isSafeInteger(shape.bufferBytes) && shape.bufferBytes > 0, 'a slot has a payload')
  assert(Number.isSafeInteger(shape.recordsMax) && shape.recordsMax > 0, 'a slot has records')
  const runsAt = HEADER_BYTES
  const recordsAt = runsAt + RUNS_MAX * RUN_BYTES
  const payloadAt = alignUp(recordsAt + shape.recordsMax * RECORD_BYTES, 64)
  assert(runsAt % 8 === 0 && recordsAt % 8 === 0, 'runs and records hold aligned doubles')
  return { runsAt, recordsAt, payloadAt, slotBytes: alignUp(payloadAt + shape.bufferBytes, 64) }
}

function alignUp(bytes: number, to: number): number {
  return Math.ceil(bytes / to) * to
}
