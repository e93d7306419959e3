/**
 * A ring in shared memory by which one thread reports runs without a match to main.
 *
 * Most slots have no match, and a message for each would cost more than the scan. So a thread
 * writes one entry per run here, and main reads them in bulk, a few dozen times a second. One
 * writer, one reader:
 *
 *   WRITTEN counts entries published (only the writer stores it)
 *   READ    counts entries consumed  (only main stores it)
 *   full when WRITTEN - READ == capacity: the writer waits for READ to change, with a timeout
 *
 * The store of WRITTEN publishes the entry's plain bytes; the store of READ gives the place back.
 * Order against messages does not matter: runs tile the offsets, so the ledger takes them in any
 * order.
 */
import assert from 'node:assert/strict'

/** Why the records of a run are resolved without the sink. */
export const RUN_FILTERED = 0
/** Dropped because the queue was full (OVERFLOW_DROP_NEWEST). */
export const RUN_DROPPED_OVERFLOW = 1

export interface RunReport {
  readonly assignmentId: number
  readonly coverFrom: number
  readonly coverTo: number
  readonly recordCount: number
  readonly valueBytes: number
  readonly lowWatermark: number
  readonly reason: number
  /** Of its records, those that matched but lie outside the wanted time range. */
  readonly outsideTime: number
  /** The time of its last record, in ms since 1970; -1: none. */
  readonly lastTimestampMs: number
}

/** Writes a report as REPORT_DOUBLES numbers, from index `at` on. */
export function putReport(doubles: Float64Array, at: number, report: RunReport): void {
  assert(report.coverFrom < report.coverTo, 'a run covers offsets')
  assert(report.recordCount >= 0 && report.outsideTime >= 0)
  assert(at >= 0 && at + REPORT_DOUBLES <= doubles.length, 'a report lies within its memory')
  doubles[at] = report.assignmentId
  doubles[at + 1] = report.coverFrom
  doubles[at + 2] = report.coverTo
  doubles[at + 3] = report.recordCount
  doubles[at + 4] = report.valueBytes
  doubles[at + 5] = report.lowWatermark
  doubles[at + 6] = report.reason
  doubles[at + 7] = report.outsideTime
  doubles[at + 8] = report.lastTimestampMs
}

/** The report that `putReport` wrote at `at`. */
export function reportAt(doubles: Float64Array, at: number): RunReport {
  return {
    assignmentId: doubles[at]!,
    coverFrom: doubles[at + 1]!,
    coverTo: doubles[at + 2]!,
    recordCount: doubles[at + 3]!,
    valueBytes: doubles[at + 4]!,
    lowWatermark: doubles[at + 5]!,
    reason: doubles[at + 6]!,
    outsideTime: doubles[at + 7]!,
    lastTimestampMs: doubles[at + 8]!,
  }
}

const WRITTEN = 0
const READ = 1
const HEADER_BYTES = 64
/** Doubles that a report takes. */
export const REPORT_DOUBLES = 9

/**
 * About 50 ms of slots at the highest rate seen (100-byte records in slots of 256: 27,000 a
 * second).
 */
const RUN_REPORTS_MAX = 2048

export class RunReports {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #doubles: Float64Array
  readonly #capacity: number

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.#words = new Int32Array(memory, 0, 2)
    this.#doubles = new Float64Array(memory, HEADER_BYTES)
    this.#capacity = this.#doubles.length / REPORT_DOUBLES
    // A power of two divides 2^32, so that the counters may wrap.
    assert(this.#capacity > 0 && (this.#capacity & (this.#capacity - 1)) === 0)
  }

  static allocate(entries = RUN_REPORTS_MAX): SharedArrayBuffer {
    return new SharedArrayBuffer(HEADER_BYTES + entries * REPORT_DOUBLES * 8)
  }

  /** @returns false when there is no room. */
  tryWrite(report: RunReport): boolean {
    const written = Atomics.load(this.#words, WRITTEN)
    if (((written - Atomics.load(this.#words, READ)) | 0) >= this.#capacity) return false
    const at = ((written >>> 0) % this.#capacity) * REPORT_DOUBLES
    putReport(this.#doubles, at, report)
    Atomics.store(this.#words, WRITTEN, (written + 1) | 0)
    return true
  }

  /** Waits at most `timeoutMs` for main to make room; not on the main thread. */
  waitForRoom(timeoutMs: number): void {
    const read = Atomics.load(this.#words, READ)
    if (((Atomics.load(this.#words, WRITTEN) - read) | 0) < this.#capacity) return
    Atomics.wait(this.#words, READ, read, timeoutMs)
  }

  /** Reads all available entries. @returns how many. */
  drain(take: (report: RunReport) => void): number {
    const read = Atomics.load(this.#words, READ)
    const count = (Atomics.load(this.#words, WRITTEN) - read) | 0
    assert(count >= 0 && count <= this.#capacity, `${count} unread entries`)
    for (let index = 0; index < count; index++) {
      const at = (((read + index) >>> 0) % this.#capacity) * REPORT_DOUBLES
      take(reportAt(this.#doubles, at))
    }
    if (count > 0) {
      assert.equal(Atomics.load(this.#words, READ), read, 'main alone reads')
      Atomics.store(this.#words, READ, (read + count) | 0)
      Atomics.notify(this.#words, READ)
    }
    return count
  }
}
