/**
 * What a filter does to records, before anything is written: `logpipe try`, `test` and `dlq`.
 *
 *   FilterJudge   the verdict on one record, and the term that decided
 *   RuleJudge     the same of rules (rule-judge.ts)
 *   Trial         the sums over many: shares, reasons, rates, examples
 *   tryTopics     the records of topics, read without a group; nothing is committed or written
 *
 * The verdict is the add-on's, by the program that a pipeline is given; the terms are asked one by
 * one only where a record is dropped. Bound. TERMS_MAX matchers; the examples of each kind; one
 * consumer and one slot.
 */
import { isUtf8 } from 'node:buffer'
import assert from 'node:assert/strict'
import { type Bridge, type BridgeId, OFFSET_BEGINNING } from '../bridge/bridge.ts'
import type { Clock } from '../core/clock.ts'
import { LogpipeError } from '../core/errors.ts'
import type { ExpressionNode, Literal } from '../core/expression/ast.ts'
import type { Plan } from '../core/expression/plan.ts'
import { printExpression } from '../core/expression/print.ts'
import { RULES_MAX } from '../core/rules.ts'
import { keyOf, type OffsetRange } from '../core/topic-partition.ts'
import { outsideOfGroup } from '../kafka/consumer-settings.ts'
import { Consumer } from '../kafka/consumer.ts'
import { rangesOf } from '../kafka/offset-ranges.ts'
import type { StartPosition } from '../options/notations.ts'
import type { MatchedRecord, RecordEncoder } from '../pool/record-encoder.ts'
import { JSON_OTHER, scanJson } from '../core/json-scan.ts'
import type { KafkaSettings } from './settings.ts'
import { SlotFeed } from './slot-feed.ts'

/** A record, wherever its bytes lie. */
export type TriedRecord = Pick<
  MatchedRecord,
  'topic' | 'partition' | 'offset' | 'timestampMs' | 'value' | 'key' | 'headers'
>

type MatcherBridge = Pick<Bridge, 'matcherOpen' | 'matcherClose' | 'matcherTest'>

/** Terms that are told apart; what lies behind them counts as one. */
const TERMS_MAX = 64

interface Term {
  readonly matcher: BridgeId
  readonly text: string
}

/** What becomes of one record. */
export interface Verdict {
  /** Null: it is kept. */
  readonly reason: string | null
  /** The rules that make a document of it; none where there are no rules. */
  readonly rules: readonly string[]
}

/** The values that are written of a kept record, one for each of its rules; without any, one. */
export type Documents = (
  record: TriedRecord,
  rules: readonly string[],
) => readonly (Buffer | null)[]

/** Says what a filter, or rules, do to a record. */
export interface Judge {
  /** Whether anything is searched for before a record is looked at. */
  readonly hasSearch: boolean
  verdict(record: TriedRecord): Verdict
  /** Whether the search finds nothing in it, so that it is never looked at. */
  isRejectedUnread(record: TriedRecord): boolean
  close(): void
}

export class FilterJudge implements Judge {
  readonly #bridge: MatcherBridge
  readonly #matchers: BridgeId[] = []
  readonly #whole: BridgeId
  /** All must be met. */
  readonly #keeps: readonly Term[]
  /** None must be. */
  readonly #drops: readonly Term[]
  readonly #prefilter: BridgeId | null

  /** @throws Error of the add-on when it refuses the program. */
  constructor(bridge: MatcherBridge, { program }: Plan) {
    this.#bridge = bridge
    const { keep, drop, prefilter } = program
    this.#whole = this.#open(JSON.stringify(program))
    this.#keeps = this.#terms(keep.kind === 'all' && keep.of.length > 0 ? keep.of : [keep])
    this.#drops = drop === null ? [] : this.#terms(drop.kind === 'any' ? drop.of : [drop])
    this.#prefilter = prefilter === null ? null : this.#openNode(anyLiteral(prefilter.literals))
  }

  keeps(record: TriedRecord): boolean {
    return this.#test(this.#whole, record)
  }

  get hasSearch(): boolean {
    return this.#prefilter !== null
  }

  verdict(record: TriedRecord): Verdict {
    return { reason: this.keeps(record) ? null : this.whyDropped(record), rules: [] }
  }

  isRejectedUnread(record: TriedRecord): boolean {
    return this.#prefilter !== null && !this.#test(this.#prefilter, record)
  }

  /** Why a record is dropped: the first term that says so. */
  whyDropped(record: TriedRecord): string {
    const keep = this.#keeps.find(({ matcher }) => !this.#test(matcher, record))
    if (keep !== undefined) return `${keep.text} is not met`
    const drop = this.#drops.find(({ matcher }) => this.#test(matcher, record))
    return drop === undefined ? 'a further term' : `dropped by ${drop.text}`
  }

  close(): void {
    for (const matcher of this.#matchers) this.#bridge.matcherClose(matcher)
    this.#matchers.length = 0
  }

  #terms(nodes: readonly ExpressionNode[]): Term[] {
    return nodes
      .slice(0, TERMS_MAX)
      .map((node) => ({ matcher: this.#openNode(node), text: printExpression(node) }))
  }

  #openNode(keep: ExpressionNode): BridgeId {
    return this.#open(expressionOf(keep))
  }

  #open(expression: string): BridgeId {
    const matcher = this.#bridge.matcherOpen({ expression })
    this.#matchers.push(matcher)
    return matcher
  }

  #test(matcher: BridgeId, record: TriedRecord): boolean {
    return this.#bridge.matcherTest(matcher, ...partsOf(record))
  }
}

/** Holds where any of the literals stands: what the search before a filter asks. */
export function anyLiteral(literals: readonly Literal[]): ExpressionNode {
  return { kind: 'any', of: literals.map((literal) => ({ kind: 'bytes', ...literal })) }
}

/** A program of one expression, as the add-on takes it. */
export function expressionOf(keep: ExpressionNode): string {
  return JSON.stringify({ keep, drop: null, prefilter: null })
}

/** A record in the order of the add-on's arguments. */
export function partsOf(record: TriedRecord) {
  const { value, key, headers, topic, partition, offset, timestampMs } = record
  return [value, key, headers, topic, partition, offset, timestampMs] as const
}

/** A record that is shown. */
export interface Example {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** ms since 1970; -1: none. */
  readonly timestampMs: number
  /** A copy; null: the record has none. */
  readonly value: Uint8Array | null
  /** Null: it is kept. */
  readonly reason: string | null
  readonly rules: readonly string[]
}

interface Sum {
  records: number
  bytes: number
}

/** The first and the last timestamp of a partition, and what was kept between. */
interface Span {
  fromMs: number
  toMs: number
  readonly kept: Sum
}

export interface TrialResult {
  readonly seen: Readonly<Sum>
  readonly kept: Readonly<Sum>
  readonly dropped: Readonly<Sum>
  /** Dropped records by reason, the most frequent first. */
  readonly reasons: readonly { readonly reason: string; readonly records: number }[]
  /** What the search rejects before a record is looked at; null: the filter has no search. */
  readonly rejectedUnread: number | null
  /** Records whose value is no JSON object, and those of them that are kept. */
  readonly noJson: { readonly seen: number; readonly kept: number }
  /** ms since 1970; null where no record has a timestamp. */
  readonly fromMs: number | null
  readonly toMs: number | null
  /** Expected of kept records, by the timestamps; null where they say nothing. */
  readonly perSecond: Readonly<Sum> | null
  readonly partitions: number
  /** Documents by rule, the most frequent first; empty where there are no rules. */
  readonly rules: readonly { readonly rule: string; readonly documents: number }[]
  readonly keptExamples: readonly Example[]
  readonly droppedExamples: readonly Example[]
}

/** Reasons told apart: those of a filter, which has TERMS_MAX on either side, or of rules. */
const REASONS_MAX = 2 * TERMS_MAX + 2 * RULES_MAX + 2

export class Trial {
  readonly #judge: Judge
  readonly #byRule = new Map<string, number>()
  readonly #examplesMax: number
  readonly #documents: Documents
  readonly #onKept: (topic: string, value: Buffer) => void
  readonly #kept: Sum = { records: 0, bytes: 0 }
  readonly #dropped: Sum = { records: 0, bytes: 0 }
  readonly #reasons = new Map<string, number>()
  readonly #spans = new Map<string, Span>()
  readonly #keptExamples: Example[] = []
  readonly #droppedExamples: Example[] = []
  #rejectedUnread = 0
  readonly #noJson = { seen: 0, kept: 0 }

  /**
   * @param documents what is written of a kept record.
   * @param onKept is given each document of a kept record that is a JSON object.
   */
  constructor(
    judge: Judge,
    documents: Documents,
    examplesMax: number,
    onKept: (topic: string, value: Buffer) => void,
  ) {
    this.#judge = judge
    this.#documents = documents
    this.#examplesMax = examplesMax
    this.#onKept = onKept
  }

  get count(): number {
    return this.#kept.records + this.#dropped.records
  }

  add(record: TriedRecord): void {
    const { value } = record
    const bytes = value?.length ?? 0
    const verdict = this.#judge.verdict(record)
    const { reason, rules } = verdict
    for (const rule of rules) this.#byRule.set(rule, (this.#byRule.get(rule) ?? 0) + 1)
    const sum = reason === null ? this.#kept : this.#dropped
    sum.records++
    sum.bytes += bytes
    const span = this.#spanOf(record)
    if (this.#judge.isRejectedUnread(record)) this.#rejectedUnread++
    const isJson = value !== null && isJsonObject(value)
    if (!isJson) this.#noJson.seen++
    if (reason === null) {
      span.kept.records++
      span.kept.bytes += bytes
      const documents = this.#documents(record, rules)
      if (!isJson) this.#noJson.kept++
      else for (const one of documents) if (one !== null) this.#onKept(record.topic, one)
      this.#show(record, documents[0] ?? null, verdict)
    } else {
      this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1)
      assert(this.#reasons.size <= REASONS_MAX)
      this.#show(record, value, verdict)
    }
  }

  result(): TrialResult {
    const spans = [...this.#spans.values()].filter(({ fromMs }) => fromMs !== Infinity)
    const timed = spans.filter(({ fromMs, toMs }) => toMs > fromMs)
    const perSecond = (of: (span: Span) => number) =>
      timed.reduce((sum, span) => sum + (of(span) * 1000) / (span.toMs - span.fromMs), 0)
    return {
      seen: {
        records: this.count,
        bytes: this.#kept.bytes + this.#dropped.bytes,
      },
      kept: this.#kept,
      dropped: this.#dropped,
      reasons: [...this.#reasons]
        .map(([reason, records]) => ({ reason, records }))
        .toSorted((left, right) => right.records - left.records),
      rejectedUnread: this.#judge.hasSearch ? this.#rejectedUnread : null,
      noJson: this.#noJson,
      fromMs: spans.length === 0 ? null : Math.min(...spans.map(({ fromMs }) => fromMs)),
      toMs: spans.length === 0 ? null : Math.max(...spans.map(({ toMs }) => toMs)),
      perSecond:
        timed.length === 0
          ? null
          : {
              records: perSecond(({ kept }) => kept.records),
              bytes: perSecond(({ kept }) => kept.bytes),
            },
      partitions: this.#spans.size,
      rules: [...this.#byRule]
        .map(([rule, documents]) => ({ rule, documents }))
        .toSorted((left, right) => right.documents - left.documents),
      keptExamples: this.#keptExamples,
      droppedExamples: this.#droppedExamples,
    }
  }

  #spanOf({ topic, partition, timestampMs }: TriedRecord): Span {
    const key = keyOf({ topic, partition })
    let span = this.#spans.get(key)
    if (span === undefined) {
      span = { fromMs: Infinity, toMs: -Infinity, kept: { records: 0, bytes: 0 } }
      this.#spans.set(key, span)
    }
    if (timestampMs >= 0) {
      span.fromMs = Math.min(span.fromMs, timestampMs)
      span.toMs = Math.max(span.toMs, timestampMs)
    }
    return span
  }

  /** The latest of each kind. */
  #show(record: TriedRecord, value: Buffer | null, { reason, rules }: Verdict): void {
    if (this.#examplesMax === 0) return
    const examples = reason === null ? this.#keptExamples : this.#droppedExamples
    if (examples.length === this.#examplesMax) examples.shift()
    const { topic, partition, offset, timestampMs } = record
    const copy = value === null ? null : Buffer.from(value)
    examples.push({ topic, partition, offset, timestampMs, value: copy, reason, rules })
  }
}

/** One JSON object, as the sink has it: what is none is wrapped, and has no fields. */
function isJsonObject(value: Buffer): boolean {
  return isUtf8(value) && scanJson(value, 0, value.length) !== JSON_OTHER
}

/** Which records of the topics. */
export type TrySpan =
  /** So many, divided among the partitions by what each holds. */
  { readonly last: number } | { readonly from: StartPosition }

interface TopicDeps {
  readonly bridge: Bridge
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly warn: (message: string) => void
  readonly take: (record: TriedRecord) => void
}

const ASK_MS_MAX = 30_000
const FILL_MS = 50
/** Nothing comes: a broker is away, or a batch cannot be read. */
const STALL_MS = 20_000
const CLOSE_MS = 5000
const SLOT_BYTES = 1024 * 1024

/**
 * Reads records of topics up to the ends that they have now. Blocks the thread, but for a turn of
 * the event loop after each slot.
 * @throws LogpipeError KAFKA_UNREACHABLE, KAFKA_TOPIC, KAFKA_AUTH or KAFKA_CONFIG.
 */
export async function tryTopics(
  kafka: Pick<KafkaSettings, 'properties' | 'topics' | 'tokenFile'>,
  span: TrySpan,
  deps: TopicDeps,
): Promise<void> {
  const { bridge, clock, warn } = deps
  const properties = outsideOfGroup(kafka.properties[0] ?? [])
  const consumer = new Consumer(bridge, { properties, tokenFile: kafka.tokenFile, warn })
  try {
    const deadline = { nowMs: () => clock.monotonicMs(), atMs: clock.monotonicMs() + ASK_MS_MAX }
    const query = { topics: kafka.topics, partitions: null, fromMs: fromOf(span) }
    const ranges = rangesOf(consumer, query, deadline)
    const wanted = ('last' in span ? lastOf(ranges, span.last) : ranges).filter(
      ({ from, to }) => from < to,
    )
    if (wanted.length > 0) await new RangeReader(consumer, wanted, deps).read()
  } finally {
    consumer.close(CLOSE_MS)
  }
}

function fromOf(span: TrySpan): number {
  if ('last' in span || span.from.kind === 'earliest') return OFFSET_BEGINNING
  // What comes from now on is never there yet.
  return span.from.kind === 'time' ? span.from.timeMs : Number.MAX_SAFE_INTEGER
}

/** The last `count` offsets, from each partition its share; no partition gives more than it has. */
export function lastOf<Range extends OffsetRange>(
  ranges: readonly Range[],
  count: number,
): Range[] {
  const total = ranges.reduce((sum, { from, to }) => sum + to - from, 0)
  if (total <= count) return [...ranges]
  let [sizeBefore, takenBefore] = [0, 0]
  return ranges.map((range) => {
    // Sums are rounded, not shares, so that all of them together are the count.
    sizeBefore += range.to - range.from
    const takenNow = Math.round((count * sizeBefore) / total)
    const taken = takenNow - takenBefore
    takenBefore = takenNow
    return { ...range, from: range.to - taken }
  })
}

class RangeReader {
  readonly #deps: TopicDeps
  readonly #consumer: Consumer
  readonly #ranges: readonly OffsetRange[]
  readonly #left = new Set<number>()
  readonly #feed: SlotFeed

  constructor(consumer: Consumer, ranges: readonly OffsetRange[], deps: TopicDeps) {
    const { bridge } = deps
    this.#deps = deps
    this.#consumer = consumer
    this.#ranges = ranges
    this.#feed = new SlotFeed({
      bridge,
      consumer,
      filter: { patterns: [], ignoreCase: false, invertMatch: false },
      bufferBytes: SLOT_BYTES,
      fillMs: FILL_MS,
      encoder: this.#encoder(),
      // An assignment's id is the place of its range.
      nameOf: (id) => ({ ...ranges[id]!, idPrefix: '' }),
      report: () => undefined,
      deliver: () => undefined,
    })
  }

  async read(): Promise<void> {
    const { clock, signal } = this.#deps
    const past = { epoch: -1, readTo: 0, markFrom: -1 }
    this.#consumer.assign(
      this.#ranges.map(({ topic, partition, from }, assignmentId) => {
        this.#left.add(assignmentId)
        return { topic, partition, offset: from, assignmentId, past }
      }),
    )
    try {
      let movedMs = clock.monotonicMs()
      while (this.#left.size > 0 && !signal.aborted) {
        if (this.#fill()) movedMs = clock.monotonicMs()
        if (clock.monotonicMs() - movedMs > STALL_MS) throw this.#stalled()
        await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      this.#consumer.unassign([])
      this.#feed.close()
    }
  }

  #encoder(): RecordEncoder {
    return {
      encode: (record) => {
        const { topic, partition, offset } = record
        const range = this.#ranges.find((one) => one.topic === topic && one.partition === partition)
        // A batch may begin before the range, or end behind it.
        if (range !== undefined && offset >= range.from && offset < range.to) {
          this.#deps.take(record)
        }
      },
    }
  }

  /** @returns whether anything came. */
  #fill(): boolean {
    const { runs, ends } = this.#feed.fill()
    for (const { assignmentId, coverTo } of runs) this.#noteRead(assignmentId, coverTo)
    for (const { assignmentId, offset } of ends) this.#noteRead(assignmentId, offset)
    return runs.length > 0
  }

  #noteRead(assignmentId: number, position: number): void {
    if (position < (this.#ranges[assignmentId]?.to ?? 0)) return
    if (!this.#left.delete(assignmentId)) return
    this.#consumer.pause([assignmentId])
  }

  #stalled(): LogpipeError {
    const names = [...this.#left].slice(0, 3).map((id) => {
      const { topic, partition } = this.#ranges[id]!
      return `${topic} [${partition}]`
    })
    const { lastFault } = this.#feed
    const why = lastFault === null ? '' : `: ${lastFault}`
    const message = `nothing came of ${names.join(', ')} in ${STALL_MS / 1000} s${why}`
    return new LogpipeError('KAFKA_UNREACHABLE', message)
  }
}
