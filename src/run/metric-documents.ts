/**
 * Documents of metrics: what windows counted (metrics/metric-windows.ts), written to METRICS_INDEX.
 *
 * ```
 *   {"create":{"_index":"logs-metrics",
 *    "_id":"0a1b2c3d-orders-3-errors-60-1764576000-9f86d081884c7d65"}}
 *   {"@timestamp":"2025-12-01T08:00:00.000Z",
 *    "metric":{"name":"errors","type":"counter","window_seconds":60,"count":5},
 *    "labels":{"service":"checkout"},"kafka":{"topic":"orders","partition":3}}
 * ```
 *
 *   sum         also "sum"
 *   histogram   also "sum", "bounds" [10,100], and "counts" [3,1,1]: up to each bound, and above
 *
 * A label that a record has not is left out. The `_id` is the id prefix, topic, partition, metric,
 * window in seconds and its start, and a hash of the labels: whoever counts the window gets the
 * same one, and the op is `create`, so that a second writer changes nothing.
 *
 * Windows that were open when their log went (its topic was made anew) are not written: whoever
 * was killed then could not count them again.
 *
 * They have an output of their own, without a spill and without dead letters: what is not written
 * is counted again by the next start. A document that is refused for good ends the pipeline, and so
 * does a broker that keeps no mark of windows beside an offset (kafka/commits.ts).
 * Bound: ROWS_MAX of metric-windows.ts; reading waits above it.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { MetricSpec } from '../core/expression/metric.ts'
import { LogpipeError } from '../core/errors.ts'
import type { WindowMark } from '../core/window-mark.ts'
import type { LogMetrics } from '../metrics/log-metrics.ts'
import {
  MetricWindows,
  type CountedRun,
  type DueWindows,
  type WindowRow,
} from '../metrics/metric-windows.ts'
import type { DeadLetter, DeadLetters } from '../sink/dead-letters/contract.ts'
import { ElasticsearchSink } from '../sink/elasticsearch/elasticsearch-sink.ts'
import { indexNameOf, parseIndexPattern } from '../sink/elasticsearch/index-name.ts'
import { type Delivery, NO_LEASE, type Sink } from '../sink/sink.ts'
import type { AssignmentState } from './assignments.ts'
import type { MetricSettings, WindowSettings } from './settings.ts'
import { idPrefixOf } from './topic-identity.ts'

export interface MetricDocumentsOptions {
  readonly settings: Pick<MetricSettings, 'specs' | 'seriesMax'>
  readonly windows: WindowSettings
  readonly metrics: Pick<LogMetrics, 'addLate' | 'addUndated'>
  readonly wallMs: () => number
  readonly fail: (error: Error) => void
  readonly notice: (message: string) => void
  /** For tests. */
  readonly sink?: Sink
}

/** What is known of an open assignment. */
interface Source {
  readonly topic: string
  readonly partition: number
  /** Of the documents' ids: it tells logs of one topic apart. */
  readonly idPrefix: string
}

/** In place of dead letters: a count that lies somewhere aside is a wrong count. */
const REFUSED: DeadLetters = {
  put: ([letter]) => Promise.reject(refusedError(letter!)),
}

function refusedError({ index, status, errorType, reason }: DeadLetter): LogpipeError {
  const why = `${status} ${errorType}: ${reason.slice(0, REASON_CHARS)}`
  return new LogpipeError(
    'ES_REFUSED',
    `Elasticsearch permanently rejected a document of metrics for the index ${index} (${why}). ` +
      'Fix the mapping of that index, or set another METRICS_INDEX; the next start counts and ' +
      'writes the window again',
  )
}

/** Of a refusal, which may quote the document. */
const REASON_CHARS = 300

export class MetricDocuments {
  readonly #options: MetricDocumentsOptions
  readonly #windows: MetricWindows
  readonly #sink: Sink
  readonly #sources = new Map<number, Source>()

  constructor(options: MetricDocumentsOptions) {
    const { settings, windows, metrics, wallMs, fail, notice } = options
    this.#options = options
    this.#windows = new MetricWindows({
      metrics: settings.specs,
      windowMs: windows.windowMs,
      latenessMs: windows.latenessMs,
      seriesMax: settings.seriesMax,
      wallMs,
      late: (metric, count) => metrics.addLate(metric, count),
      undated: (metric, count) => metrics.addUndated(metric, count),
    })
    const events = { fail, endOfOutput: () => undefined }
    this.#sink =
      options.sink ??
      new ElasticsearchSink(
        { ...windows.elasticsearch, dropWhenFull: false },
        { events, deadLetters: REFUSED, overflow: null, notice },
      )
  }

  open(): Promise<void> {
    return this.#sink.open()
  }

  /** The output of the documents, for gauges and for signing in. */
  get sink(): Sink {
    return this.#sink
  }

  /** @param mark as it was kept beside its start; null: there was none. */
  assign(state: AssignmentState, topicId: string | null, mark: WindowMark | null): void {
    const { assignmentId, topic, partition, startOffset } = state
    this.#sources.set(assignmentId, { topic, partition, idPrefix: this.#prefixOf(topicId) })
    this.#windows.open(assignmentId, startOffset, mark)
  }

  /**
   * How an assignment goes on as another one, whose topic may be another, too.
   * @returns the offset from which it must be read, at most; and its mark.
   */
  handOver(
    assignmentId: number,
    topicId: string | null,
  ): { readonly offset: number; readonly mark: WindowMark | null } {
    const source = this.#sources.get(assignmentId)
    if (source?.idPrefix !== this.#prefixOf(topicId)) return { offset: Infinity, mark: null }
    const mark = this.#windows.markOf(assignmentId)
    return { offset: this.#windows.holdOffset(assignmentId), mark }
  }

  /** Its records are somebody else's now. Idempotent. */
  unassign(assignmentId: number): void {
    this.#windows.close(assignmentId)
    this.#sources.delete(assignmentId)
  }

  cutsOf(assignmentId: number): readonly number[] {
    return this.#windows.cutsOf(assignmentId)
  }

  cover(run: CountedRun): void {
    this.#windows.cover(run)
  }

  /** What may be committed of an assignment, and what is to be kept beside it. */
  committable(
    assignmentId: number,
    watermark: number,
  ): { readonly offset: number; readonly windows: WindowMark } {
    const hold = this.#windows.holdOffset(assignmentId)
    const windows = this.#windows.markOf(assignmentId)
    return { offset: Math.min(watermark, hold), windows }
  }

  marked(assignmentId: number, mark: WindowMark): void {
    this.#windows.marked(assignmentId, mark)
  }

  /** Closes windows, and writes those whose mark the group has. Once a second. */
  tick(): void {
    this.#windows.tick()
    for (const due of this.#windows.takeDue()) this.#write(due)
  }

  isFull(assignmentId: number): boolean {
    return this.#windows.isFull(assignmentId)
  }

  /** Whether windows that are closed are not written yet. */
  get isBusy(): boolean {
    return this.#windows.isBusy
  }

  close(timeoutMs: number): Promise<void> {
    return this.#sink.close(timeoutMs)
  }

  #prefixOf(topicId: string | null): string {
    return idPrefixOf(this.#options.windows.idPrefix, topicId)
  }

  #write({ assignmentId, rows }: DueWindows): void {
    const source = this.#sources.get(assignmentId)
    assert(source !== undefined && rows.length > 0)
    const { settings, windows } = this.#options
    const pattern = parseIndexPattern(windows.elasticsearch.index)
    const lines = rows.map((row) => {
      const index = indexNameOf(pattern, source.topic, row.windowMs)
      return documentOf(row, settings.specs[row.metric]!, source, windows.windowMs, index)
    })
    this.#sink.write(
      deliveryOf(assignmentId, source, rows, lines, () => {
        this.#windows.written(assignmentId)
      }),
    )
  }
}

function deliveryOf(
  assignmentId: number,
  { topic, partition }: Source,
  rows: readonly WindowRow[],
  lines: readonly string[],
  done: () => void,
): Delivery {
  const bytes = lines.map((line) => Buffer.byteLength(line))
  let left = rows.length
  let end = 0
  const none = rows.map(() => 0)
  return {
    ...NO_LEASE,
    body: Buffer.from(lines.join('')),
    ends: Uint32Array.from(bytes, (size) => (end += size)),
    runs: [
      {
        topic,
        partition,
        assignmentId,
        offsets: Float64Array.from(none),
        timestampsMs: Float64Array.from(rows, ({ windowMs }) => windowMs),
        timestampTypes: Uint8Array.from(none),
      },
    ],
    settle: (from, to) => {
      left -= to - from
      assert(left >= 0, 'a document is settled once')
      if (left === 0) done()
    },
  }
}

function documentOf(
  { windowMs, labels, count, sum, buckets }: WindowRow,
  { name, type, bounds, labels: specs }: MetricSpec,
  { topic, partition, idPrefix }: Source,
  lengthMs: number,
  index: string,
): string {
  const pairs = specs.flatMap((label, at): [string, string][] => {
    const value = labels[at] ?? ''
    return value === '' ? [] : [[label.name, value]]
  })
  const seconds = lengthMs / 1000
  const hash = createHash('sha256').update(JSON.stringify(pairs)).digest('hex').slice(0, 16)
  const prefix = idPrefix === '' ? '' : `${idPrefix}-`
  const id = `${prefix}${topic}-${partition}-${name}-${seconds}-${windowMs / 1000}-${hash}`
  const document = {
    '@timestamp': new Date(windowMs).toISOString(),
    metric: {
      name,
      type,
      window_seconds: seconds,
      count,
      ...(type !== 'counter' && { sum }),
      ...(buckets !== null && { bounds, counts: buckets }),
    },
    labels: Object.fromEntries(pairs),
    kafka: { topic, partition },
  }
  const action = JSON.stringify({ create: { _index: index, _id: id } })
  return `${action}\n${JSON.stringify(document)}\n`
}
