/**
 * Main's part of the data path: the ledger and the books, fed by what the threads report.
 *
 *   ingress: assign   -> ids, ledgers, names to the filter threads, answer
 *            revoke   -> wait until everything read is settled, or the time is up -> answer with
 *            watermarks
 *            restart  -> a new id for the same partition, whose log is gone (assignments.ts)
 *   filter:  run reports and matched batches -> ledger, output
 *   output:  settled documents -> ledger -> commits, once a second
 *
 * Touches no record's bytes and waits for nobody: every step is a message or a timer's tick.
 */
import { isDeepStrictEqual } from 'node:util'
import { formatLogId } from '../core/log-id.ts'
import type { RuleCount } from '../core/rules.ts'
import { keyOf, type OffsetRange } from '../core/topic-partition.ts'
import { type MatchedBatch, type MatchedRun, NO_COUNTS, type RunCounts } from '../filter/matches.ts'
import type { MarkedOffset, Of, ToIngress, TopicIds } from '../kafka/ingress-messages.ts'
import type { LogMetrics } from '../metrics/log-metrics.ts'
import type { Book, Books } from '../offsets/books.ts'
import type { Ledger } from '../offsets/ledger.ts'
import { RUN_DROPPED_OVERFLOW, type RunReport } from '../pool/run-reports.ts'
import type { Signals } from '../pool/signals.ts'
import type { Sink } from '../sink/sink.ts'
import {
  Assignments,
  type AssignmentState,
  Drains,
  RetiredLogs,
  pausePartitions,
  nameOf,
} from './assignments.ts'
import { deliveriesOf, type TrackedRun } from './delivery.ts'
import type { MetricDocuments } from './metric-documents.ts'
import type { ToFilter } from '../filter/filter-messages.ts'

interface CoordinatorOptions {
  readonly ledger: Ledger
  /** Absent: nothing is counted. */
  readonly counted?: CountedOptions | undefined
  readonly books: Books
  readonly sink: Sink
  readonly signals: Signals
  readonly commits: boolean
  /** By their numbers in batches; none or absent: there are no rules. */
  readonly ruleNames?: readonly string[]
  readonly revokeDrainMs: number
  /** What stands in front of the ids of a topic's documents. */
  readonly idPrefixOf: (topicId: string | null) => string
  readonly nowMs: () => number
  readonly toIngress: (ingressIndex: number, message: ToIngress) => void
  /** To every thread that filters. */
  readonly toFilters: (message: ToFilter) => void
  readonly warn: (message: string) => void
  /** Sees every batch before it is written: for the live tail. */
  readonly onMatched?: ((batch: MatchedBatch) => void) | undefined
}

interface CountedOptions {
  readonly metrics: Pick<LogMetrics, 'add'>
  /** Null: windows are not written. */
  readonly documents: MetricDocuments | null
  /** No documents are made of records: those that count for a metric are `counted`. */
  readonly isAll: boolean
}

export class Coordinator {
  readonly assignments: Assignments
  readonly #ruleBooks: RuleBooks
  readonly #options: CoordinatorOptions
  readonly #drains: Drains
  readonly #retired: RetiredLogs
  /**
   * Without commits the group forgets what was read, so this process remembers it: by partition.
   */
  readonly #remembered = new Map<string, number>()
  readonly #documents: MetricDocuments | null
  /** What was sent last of each assignment, where windows hold its commits back. */
  readonly #sent = new Map<number, MarkedOffset>()

  constructor(options: CoordinatorOptions) {
    this.#options = options
    this.#documents = options.counted?.documents ?? null
    this.#ruleBooks = new RuleBooks(options.ruleNames ?? [])
    this.assignments = new Assignments(options.books)
    this.#drains = new Drains({
      nowMs: options.nowMs,
      isSettled: (id) => this.#isSettled(this.assignments.get(id)),
      ended: (ingressIndex, ids) => {
        const commits = this.#watermarks(ids)
        options.toIngress(ingressIndex, { kind: 'revoked', commits })
      },
    })
    this.#retired = new RetiredLogs({
      ledger: options.ledger,
      ended: (assignmentIds) => options.toFilters({ kind: 'forget', assignmentIds }),
    })
  }

  assign(message: Of<'assign'>): void {
    const partitions = message.partitions.map((one) => {
      const remembered = this.#remembered.get(keyOf(one)) ?? 0
      return { ...one, offset: Math.max(one.offset, remembered) }
    })
    for (const range of message.lost) bookLoss(this.#options, range)
    this.#give(message.ingressIndex, partitions, message.topicIds)
  }

  /** Answers 'revoked' when what was read of these is settled, or its time is up. */
  revoke({ ingressIndex, positions, lost }: Of<'revoke'>): void {
    const drainMs = lost ? 0 : this.#options.revokeDrainMs
    this.assignments.note(positions)
    // What is held back for a fuller request goes out now; how that ends is seen by the ticks.
    if (drainMs > 0) void this.#options.sink.flush(drainMs)
    const assignmentIds = positions.map((one) => one.assignmentId)
    this.#drains.begin(ingressIndex, assignmentIds, drainMs)
  }

  /**
   * What the group has committed, and what is remembered, are offsets of the old log. Of the same
   * log everything unsettled comes again, and what of it is still on its way is fenced.
   */
  restart(message: Of<'restart'>): void {
    const { ledger, commits, toIngress } = this.#options
    const { ingressIndex, position, topicIds, damage } = message
    const { assignmentId, topic, partition } = position
    // A log that was cut off has what lies below the cut: what of it is unsettled comes again.
    const unsettled = ledger.isOpen(assignmentId) ? ledger.watermark(assignmentId) : Infinity
    // So do the windows that are open.
    const before = this.#documents?.handOver(assignmentId, topicIds[topic] ?? null)
    const [{ offset: first }] = message.partitions
    const offset = Math.min(first, unsettled, before?.offset ?? Infinity)
    const mark = before === undefined ? {} : { windows: before.mark }
    const partitions = [{ topic, partition, offset, ...mark }]
    this.#forgetWindows(assignmentId)
    this.assignments.note([position])
    if (damage === null) {
      if (ledger.isOpen(assignmentId)) this.#retired.retire(this.assignments.get(assignmentId))
      this.assignments.close(assignmentId)
    }
    this.#remembered.delete(keyOf({ topic, partition }))
    this.#give(ingressIndex, partitions, topicIds)
    if (commits) toIngress(ingressIndex, { kind: 'commit', commits: partitions })
  }

  /** Nothing more comes of these offsets: they are resolved, as what expired is. */
  skipped(message: Of<'skipped'>): void {
    const { assignmentId, from, to } = message
    if (this.#options.ledger.cover(assignmentId, from, to, null) === 'fenced') return
    const nothing = { lastTimestampMs: -1, deltas: [] }
    this.#documents?.cover({ assignmentId, coverFrom: from, coverTo: to, ...nothing })
    bookUnreadable(this.#options, message)
  }

  unassigned({ assignmentIds }: Of<'unassigned'>): void {
    const { ledger, toFilters } = this.#options
    for (const id of assignmentIds) {
      this.#remember(id)
      // One that was superseded, by another thread that has its partition now, has ended before:
      // what is queued is its successor's, and would stay unsettled for ever.
      const isLast = ledger.isOpen(id)
      // Closed first: what the output then forgets is fenced.
      ledger.close(id)
      this.assignments.close(id)
      this.#forgetWindows(id)
      if (isLast) this.#dropQueued(id)
    }
    toFilters({ kind: 'forget', assignmentIds })
  }

  /** The group has this mark beside the committed offset. */
  marked({ assignmentId, windows }: Of<'marked'>): void {
    this.#documents?.marked(assignmentId, windows)
  }

  /** A run of which nothing matched. */
  handleRun(report: RunReport): void {
    const { assignmentId, coverFrom, coverTo, recordCount, reason, outsideTime } = report
    const state = this.assignments.get(assignmentId)
    this.#noteRun(state, report)
    const answer = this.#options.ledger.cover(assignmentId, coverFrom, coverTo, null)
    if (answer === 'fenced') state.book.add('fenced', recordCount)
    else if (reason === RUN_DROPPED_OVERFLOW) state.book.dropped('overflow_newest', recordCount)
    else {
      state.book.filtered('pattern', recordCount - outsideTime)
      state.book.filtered('time', outsideTime)
    }
    if (answer !== 'fenced') this.#count(report, NO_COUNTS)
  }

  handleMatched(batch: MatchedBatch): void {
    const { onMatched, ledger, signals, sink } = this.#options
    onMatched?.(batch)
    const tracked = batch.runs.map((run) => this.#track(run))
    if (batch.ends.length === 0) return
    // Of some runs there are only counts, of rules or of metrics.
    const runs = batch.runs.filter(({ offsets }) => offsets.length > 0)
    const withDocuments = tracked.filter((_, index) => batch.runs[index]!.offsets.length > 0)
    const giveBack = (documents: number, bytes: number) => signals.release(documents, bytes)
    const made = { ...batch, runs }
    for (const one of deliveriesOf(made, withDocuments, ledger, giveBack)) sink.write(one)
  }

  /** Rules with names that no rule had before are about to be used: their numbers follow. */
  nameRules(names: readonly string[]): void {
    this.#ruleBooks.name(names)
  }

  /** What the rules have made so far; empty where there are none. */
  ruleCounts(): readonly RuleCount[] {
    return this.#ruleBooks.counts()
  }

  /** Everything that does not come by message: commits, full partitions, drains that end. */
  tick(): void {
    this.#drains.tick()
    this.#retired.tick()
    const isFull = (id: number) => this.#documents?.isFull(id) === true
    pausePartitions(this.assignments.all(), { ...this.#options, isFull })
  }

  /** Sends the watermarks that moved to the threads that own the partitions. */
  commit(): void {
    const { ledger, commits, toIngress } = this.#options
    if (!commits) return
    const byIngress = new Map<number, MarkedOffset[]>()
    const moved = this.#documents === null ? ledger.takeCommits() : this.#heldBack(this.#documents)
    for (const { assignmentId, ...commit } of moved) {
      const state = this.assignments.get(assignmentId)
      const list = byIngress.get(state.ingressIndex) ?? []
      list.push(commit)
      byIngress.set(state.ingressIndex, list)
    }
    for (const [index, list] of byIngress) toIngress(index, { kind: 'commit', commits: list })
  }

  /** What an ingress thread is to commit last. */
  finalCommits(ingressIndex: number): MarkedOffset[] {
    return this.#watermarks(
      this.assignments.ofIngress(ingressIndex).map((state) => state.assignmentId),
    )
  }

  /** Whether everything that went into slots has reached the ledger and is settled. */
  isDrained(): boolean {
    const states = [...this.assignments.all()]
    return states.every((state) => this.#isSettled(state)) && this.#retired.isSettled()
  }

  /** New ids, from these offsets on. First the names: no slot can hold an id that was not told. */
  #give(ingressIndex: number, partitions: readonly MarkedOffset[], topicIds: TopicIds): void {
    const { ledger, toFilters, toIngress, idPrefixOf } = this.#options
    const superseded: number[] = []
    const prefixOf = (topic: string) => idPrefixOf(topicIds[topic] ?? null)
    const states = partitions.map((one) => {
      const prefix = prefixOf(one.topic)
      const log = prefix === '' ? undefined : prefix
      const state = this.assignments.add(ingressIndex, one, log)
      const older = ledger.open(state)
      if (older !== null) superseded.push(older)
      this.#documents?.assign(state, topicIds[one.topic] ?? null, one.windows ?? null)
      return state
    })
    for (const id of superseded) {
      this.assignments.close(id)
      this.#forgetWindows(id)
      this.#dropQueued(id)
    }
    const names = states.map((one) => {
      const cuts = this.#documents?.cutsOf(one.assignmentId) ?? []
      return { ...nameOf(one), idPrefix: prefixOf(one.topic), cuts }
    })
    toFilters({ kind: 'names', names })
    if (superseded.length > 0) toFilters({ kind: 'forget', assignmentIds: superseded })
    toIngress(ingressIndex, {
      kind: 'assigned',
      assignments: states.map((state) => ({ ...nameOf(state), offset: state.startOffset })),
    })
  }

  #dropQueued(assignmentId: number): void {
    const { topic, partition } = this.assignments.get(assignmentId)
    // The output knows partitions and no logs: rather than forget what nobody can read again, it
    // sends what the new owner sends, too.
    if (!this.#retired.isSettled({ topic, partition })) return
    this.#options.sink.dropPartition?.(topic, partition)
  }

  #remember(assignmentId: number): void {
    const { ledger, commits } = this.#options
    if (commits || !ledger.isOpen(assignmentId)) return
    const { topic, partition } = this.assignments.get(assignmentId)
    this.#remembered.set(keyOf({ topic, partition }), ledger.watermark(assignmentId))
  }

  #track(run: MatchedBatch['runs'][number]): TrackedRun | null {
    const { assignmentId, coverFrom, coverTo, recordCount, offsets } = run
    const state = this.assignments.get(assignmentId)
    this.#noteRun(state, run)
    const tile = this.#options.ledger.cover(assignmentId, coverFrom, coverTo, offsets)
    if (tile === 'fenced') {
      state.book.add('fenced', recordCount)
      return null
    }
    const counts = run.counts ?? NO_COUNTS
    this.#count(run, counts)
    const counted = this.#options.counted?.isAll === true ? counts.records : 0
    state.book.add('counted', counted)
    this.#ruleBooks.add(state.book, { ...run, recordCount: recordCount - counted })
    if (tile === 'resolved') return null
    const { topic, partition, book } = state
    const log = formatLogId({ prefix: state.log ?? '', markEpoch: run.markEpoch })
    return { run, topic, log: log === '' ? undefined : log, partition, tile, book }
  }

  #isSettled(state: AssignmentState): boolean {
    const { ledger } = this.#options
    const { assignmentId, position } = state
    if (!ledger.isOpen(assignmentId)) return true
    return ledger.watermark(assignmentId) >= position && this.#retired.isSettled(state)
  }

  #watermarks(assignmentIds: readonly number[]): MarkedOffset[] {
    const { ledger, commits } = this.#options
    if (!commits) return []
    return assignmentIds.flatMap((id) => {
      const state = this.assignments.get(id)
      if (!ledger.isOpen(id)) return []
      const watermark = ledger.watermark(id)
      // Nothing was read: there may be nothing committed, and there is nothing new to say.
      if (watermark === state.startOffset) return []
      const { topic, partition } = state
      const held = this.#documents?.committable(id, watermark)
      return [{ topic, partition, offset: watermark, ...held }]
    })
  }

  /** What may be committed where windows hold it back, as far as it has changed. */
  #heldBack(documents: MetricDocuments): (MarkedOffset & { assignmentId: number })[] {
    const { ledger } = this.#options
    documents.tick()
    return [...this.assignments.all()].flatMap(({ assignmentId, topic, partition }) => {
      if (!ledger.isOpen(assignmentId)) return []
      const watermark = ledger.watermark(assignmentId)
      const commit = { topic, partition, ...documents.committable(assignmentId, watermark) }
      if (isDeepStrictEqual(commit, this.#sent.get(assignmentId))) return []
      this.#sent.set(assignmentId, commit)
      return [{ assignmentId, ...commit }]
    })
  }

  #forgetWindows(assignmentId: number): void {
    this.#documents?.unassign(assignmentId)
    this.#sent.delete(assignmentId)
  }

  /** Adds what a run counts; it is not fenced. */
  #count(
    { assignmentId, coverFrom, coverTo, lastTimestampMs }: RunReport,
    counts: RunCounts,
  ): void {
    const { deltas } = counts
    this.#options.counted?.metrics.add(deltas)
    this.#documents?.cover({ assignmentId, coverFrom, coverTo, lastTimestampMs, deltas })
  }

  #noteRun(state: AssignmentState, run: RunReport): void {
    bookGap(this.#options, state, run)
    state.book.add('fetched', run.recordCount)
    state.bytesRead += run.valueBytes
    state.lastTimestampMs = run.lastTimestampMs
  }
}

/* Records that nobody can read any more, told and counted once. */

interface LossReport {
  readonly books: Books
  readonly warn: (message: string) => void
}

/** Offsets that expired before they were read. */
function bookLoss({ books, warn }: LossReport, { topic, partition, from, to }: OffsetRange): void {
  books.of(topic, partition).lose('retention', from, to)
  const what = `${topic} [${partition}]: offsets ${from} to ${to - 1} expired unread`
  warn(`${what} and are lost; set a retention of at least 3 days`)
}

/** Offsets that Kafka has and cannot give. */
function bookUnreadable(
  { books, warn }: LossReport,
  { topic, partition, from, to, reason }: OffsetRange & { readonly reason: string },
): void {
  books.of(topic, partition).lose('unreadable', from, to)
  const what = `${topic} [${partition}]: skipped offsets ${from} to ${to - 1}, which cannot be read`
  warn(`${what} (counted as lost): ${reason}`)
}

/** A gap that ends at the low watermark was not compaction: those records expired unread. */
function bookGap(
  report: LossReport,
  { topic, partition }: Pick<OffsetRange, 'topic' | 'partition'>,
  run: RunReport,
): void {
  if (run.lowWatermark <= run.coverFrom) return
  const to = Math.min(run.lowWatermark, run.coverTo)
  bookLoss(report, { topic, partition, from: run.coverFrom, to })
}

/*
 * What the filter and the rules left of the runs that reached main, in the books; and the sums by
 * rule since the start, for metrics. Bound: one sum for each name (RULE_NUMBERS_MAX).
 */

export class RuleBooks {
  readonly #sums: { rule: string; documents: number; dropped: number; sampled: number }[] = []

  /** @param names by the numbers that tallies have. */
  constructor(names: readonly string[]) {
    this.name(names)
  }

  /** @param names those that it has, and maybe more. */
  name(names: readonly string[]): void {
    for (const rule of names.slice(this.#sums.length)) {
      this.#sums.push({ rule, documents: 0, dropped: 0, sampled: 0 })
    }
  }

  /** Books all records of a run but its documents, which the output settles. */
  add(
    book: Book,
    {
      recordCount,
      offsets,
      outsideTime,
      copies,
      tallies,
    }: Pick<MatchedRun, 'recordCount' | 'offsets' | 'outsideTime' | 'copies' | 'tallies'>,
  ): void {
    let [droppedCount, sampledCount] = [0, 0]
    for (const { rule, documents, dropped, sampled } of tallies) {
      const sum = this.#sums[rule]!
      sum.documents += documents
      sum.dropped += dropped
      sum.sampled += sampled
      if (dropped > 0) book.filteredBy(sum.rule, dropped)
      droppedCount += dropped
      sampledCount += sampled
    }
    const takenCount = offsets.length + sampledCount - copies
    book.add('copied', copies)
    book.filtered('pattern', recordCount - takenCount - droppedCount - outsideTime)
    book.filtered('sample', sampledCount)
    book.filtered('time', outsideTime)
  }

  counts(): readonly RuleCount[] {
    return this.#sums
  }
}
