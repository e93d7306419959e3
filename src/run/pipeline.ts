/**
 * The pipeline: how its parts are wired, its start and its end.
 *
 *   start     bridge -> output -> pool -> filter threads -> ingress threads
 *   running   messages and run reports feed the coordinator; commits once a second
 *   stop      DRAIN: intake stops -> everything read is settled -> final commits, group left
 *             END: threads end -> output closed -> all that was lent is back -> pool closed
 *
 * The stop has one deadline for all its phases. What is not settled by then stays uncommitted and
 * is read again by the next start; the result says so (exit 1). Nothing here exits the process.
 */
import assert from 'node:assert/strict'
import { isatty } from 'node:tty'
import { isDeepStrictEqual } from 'node:util'
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { systemClock } from '../core/clock.ts'
import { LogpipeError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { firstDocuments, type MatchedBatch, unpackMatches } from '../filter/matches.ts'
import { LagMeter } from '../metrics/lag-meter.ts'
import { LogMetrics } from '../metrics/log-metrics.ts'
import { Books, type Statement } from '../offsets/books.ts'
import { Ledger } from '../offsets/ledger.ts'
import type { RunReport } from '../pool/run-reports.ts'
import { CREDIT_BYTES, PHASE_DRAIN, PHASE_END } from '../pool/signals.ts'
import type { Sink, SinkGauges } from '../sink/sink.ts'
import { type Screen, STDOUT_DESCRIPTOR } from '../sink/stdout-sink.ts'
import { Coordinator } from './coordinator.ts'
import { renumbered } from '../core/rules.ts'
import { Matchers } from '../filter/matchers.ts'
import { dispatch, type Hearers } from './ingress-dispatch.ts'
import type { MetricDocuments } from './metric-documents.ts'
import { Notices } from './notices.ts'
import type { OutputParts } from './elasticsearch-output.ts'
import { openOutput } from './outputs.ts'
import { type PipelineSettings, replayRecords } from './settings.ts'
import { outcomesOf, type PipelineResult, type PipelineStats, RecordTimes } from './status.ts'
import type { ToFilter } from '../filter/filter-messages.ts'
import { type FromThread, IngressStates, SharedMemory, ThreadRows, Threads } from './threads.ts'
import { idPrefixOf, idPrefixSetting, TopicWatch } from './topic-identity.ts'
import { Troubles } from './troubles.ts'

/** Run reports are read often enough that they do not fill, seldom enough to cost nothing. */
const TICK_MS = 20
/** Commits, looks at the lag. */
const EVERY_MS = 1000
/** The last commits and the leaving of the group: two requests to the coordinator. */
const FINISH_TIMEOUT_MS = 10_000
/** Leaves room for the output to close within the shut-down's deadline. */
const CLOSE_RESERVE_MS = 2000

interface PipelineDeps {
  readonly log: Log
  /** Sees every batch of matches before it is written. */
  readonly onMatched?: ((batch: MatchedBatch) => void) | undefined
}

export class Pipeline {
  /** Resolves when all has ended; never rejects. */
  readonly done: Promise<PipelineResult>
  readonly #settings: PipelineSettings
  /** What is kept now, and what becomes of it. */
  readonly #filtering: Filtering
  /** Of rules, by their numbers: those of now, and of reloads before. */
  readonly #ruleNames: string[]
  readonly #log: Log
  readonly #hearers: Hearers
  readonly #bridge: Bridge
  readonly #output: OutputParts
  /** Null: nothing is counted beside the output. */
  readonly #metrics: LogMetrics | null
  /** Null: what is counted is not written. */
  readonly #documents: MetricDocuments | null
  readonly #shared: SharedMemory
  readonly #threads: Threads
  readonly #coordinator: Coordinator
  readonly #books: Books
  readonly #ledger: Ledger
  readonly #rows: ThreadRows
  readonly #pool: BridgeId
  readonly #matchers: Matchers
  readonly #startedMs = performance.now()
  readonly #timers: NodeJS.Timeout[] = []
  readonly #times = new RecordTimes()
  readonly #lags = new LagMeter()
  readonly #ingress: IngressStates
  readonly #troubles: Troubles
  /** What its end waits for. */
  readonly #awaited = new Set<() => void>()
  /** Matches that the output may still be given (-n). */
  #matchesLeft: number
  #isStopping = false
  #error: LogpipeError | null = null
  readonly #finish: (result: PipelineResult) => void

  private constructor(settings: PipelineSettings, deps: PipelineDeps, parts: PipelineParts) {
    const { bridge, output, metrics, documents } = parts
    this.#settings = settings
    this.#filtering = parts.filtering
    this.#ruleNames = settings.rules?.rules.map(({ name }) => name) ?? []
    this.#metrics = metrics
    this.#documents = documents
    this.#matchesLeft = settings.matchesMax === 0 ? Infinity : settings.matchesMax
    const isGroup = settings.kafka.membership === 'group'
    const nowMs = () => performance.now()
    this.#ingress = new IngressStates(settings.kafka.properties.length, nowMs, isGroup)
    this.#log = deps.log
    this.#troubles = new Troubles(systemClock, deps.log.redact)
    this.#bridge = bridge
    this.#output = output
    this.#books = parts.books
    ;({ promise: this.done, resolve: this.#finish } = Promise.withResolvers<PipelineResult>())
    this.#rows = new ThreadRows(settings)
    this.#shared = new SharedMemory(settings, this.#rows.count)
    const { slots, shape, signals } = this.#shared
    this.#pool = bridge.poolOpen(slots.memory.slots, shape)
    this.#matchers = new Matchers(bridge, settings.filter, this.#rows.filters.length)
    this.#ledger = new Ledger({ unresolvedMax: settings.unresolvedMax })
    this.#threads = new Threads({
      onMessage: (message) => this.#onMessage(message),
      onDeath: (row, error) => this.#onDeath(row, error),
    })
    this.#coordinator = new Coordinator({
      ledger: this.#ledger,
      books: this.#books,
      counted: metrics === null ? undefined : { metrics, documents, isAll: countsAll(settings) },
      sink: output.sink,
      signals,
      commits: settings.commits,
      ruleNames: this.#ruleNames,
      idPrefixOf: (topicId) => idPrefixOf(idPrefixSetting(settings.output), topicId),
      revokeDrainMs: settings.kafka.revokeDrainMs,
      nowMs: () => performance.now(),
      toIngress: (index, message) => this.#threads.send(index, message),
      toFilters: (message) => this.#toFilters(message),
      warn: (message) => this.#log.warn(message),
      onMatched: deps.onMatched,
    })
    this.#hearers = {
      coordinator: this.#coordinator,
      notices: new Notices(deps.log, settings.kafka, () => performance.now()),
      ingress: this.#ingress,
      topics: new TopicWatch(settings.output, (notice) => deps.log.info(notice), settings.rules),
      times: this.#times,
      kafka: settings.kafka,
      fail: (error) => this.fail(error),
    }
  }

  /** @throws LogpipeError when the add-on or the output cannot be opened; nothing is open then. */
  static async start(settings: PipelineSettings, deps: PipelineDeps): Promise<Pipeline> {
    let pipeline: Pipeline | null = null
    /** An output may fail while others are still being opened. */
    let failure: Error | null = null
    const fail = (error: Error): void => {
      failure ??= error
      pipeline?.fail(error)
    }
    const warn = (message: string) => deps.log.warn(message)
    const parts = await openParts(settings, { warn, fail, screen: deps.log })
    pipeline = new Pipeline(settings, deps, parts)
    pipeline.#startThreads(parts.output.credit)
    if (failure !== null) pipeline.fail(failure)
    return pipeline
  }

  #startThreads(credit: { documents: number; bytes: number }): void {
    this.#threads.startAll(this.#rows, (row) => ({
      ...this.#rows.roleOf(row),
      row,
      threadCount: this.#rows.count,
      settings: this.#settings,
      pool: this.#pool,
      matcher: this.#matchers.current,
      ...this.#shared.forThread(row),
      credit,
    }))
    this.#timers.push(setInterval(() => this.#tick(), TICK_MS))
    this.#timers.push(setInterval(() => this.#everySecond(), EVERY_MS))
    const { runSeconds } = this.#settings
    if (runSeconds > 0) this.#timers.push(setTimeout(() => this.stop(), runSeconds * 1000))
  }

  stats(): PipelineStats {
    const sink = gaugesOf(this.#output.sink, this.#documents?.sink)
    const kafka = this.#ingress.kafka()
    return {
      ...outcomesOf(this.#statement()),
      counters: this.#shared.counters.read(),
      slots: this.#shared.slots.counts(),
      sink,
      patternCounts: this.#output.counts?.() ?? [],
      logMetrics: this.#metrics?.list() ?? [],
      ruleCounts: this.#coordinator.ruleCounts(),
      lag: this.#lags.report,
      replayRecords: replayRecords(this.#settings),
      ...this.#times.stats(),
      ...kafka,
      troubles: this.#troubles.look({ ...kafka, sink }),
      isStopping: this.#isStopping,
    }
  }

  /**
   * Takes over what may change: what is kept, what becomes of it, and how to sign in. All else is
   * as it was at the start.
   * @throws LogpipeError: nothing has changed then.
   */
  reload(settings: PipelineSettings): void {
    if (this.#isStopping) return
    const { output, kafka, metrics } = settings
    this.#reloadFilter(settings)
    this.#output.sink.reopen?.()
    if (output.kind === 'elasticsearch') this.#output.sink.setAuth?.(output.settings.auth)
    const windows = metrics?.windows ?? null
    if (windows !== null) this.#documents?.sink.setAuth?.(windows.elasticsearch.auth)
    for (let index = 0; index < this.#rows.ingressCount; index++) {
      const properties = kafka.properties[index] ?? []
      this.#threads.send(index, { kind: 'credentials', properties })
    }
  }

  /**
   * Matches of the rules before are still under way, in the spill, too: their names keep their
   * numbers, and what is made of them from now on has both.
   */
  #reloadFilter({ filter, rules: given, edits }: Filtering): void {
    const was = this.#filtering
    const names = [...this.#ruleNames]
    const rules = given && renumbered(given, names)
    if (isDeepStrictEqual([filter, rules, edits], [was.filter, was.rules, was.edits])) return
    this.#hearers.topics.useRules(rules)
    this.#ruleNames.push(...names.slice(this.#ruleNames.length))
    this.#coordinator.nameRules(names)
    Object.assign(was, { filter, rules, edits })
    const matcher = this.#matchers.renew(filter)
    const metricsFrom = filter.metricsFrom ?? null
    this.#toFilters({ kind: 'program', program: { matcher, rules, edits, metricsFrom } })
  }

  /** Ends it in order. Idempotent; `done` tells when and how it has ended. */
  stop(): void {
    if (this.#isStopping) return
    this.#isStopping = true
    // A bug in it is an uncaught exception: nothing more is committed.
    void this.#shutDown()
  }

  /** Ends it for an error: what is settled is committed, the rest not waited for. */
  fail(error: Error): void {
    const isKnown = error instanceof LogpipeError
    this.#error ??= isKnown ? error : new LogpipeError('THREAD', error.message, { cause: error })
    this.stop()
    this.#changed()
  }

  #onDeath(row: number, error: LogpipeError): void {
    if (row < this.#rows.ingressCount) this.#ingress.noteDeath(row)
    this.fail(error)
  }

  #onMessage(message: FromThread): void {
    if (message.kind === 'matched') {
      this.#onMatched(unpackMatches(message.batch))
      const { counted } = message.batch
      if (counted !== undefined) this.#shared.signals.release(0, counted.bytes)
    } else if (message.kind === 'matcherTaken') this.#matchers.take(message.matcher)
    else dispatch(message, this.#hearers)
    this.#changed()
  }

  /**
   * What is above the limit goes nowhere: its runs end before it, so that its offsets stay
   * unresolved, and the next start reads them again.
   */
  #onMatched(batch: MatchedBatch): void {
    const wanted = Math.min(this.#matchesLeft, batch.ends.length)
    this.#matchesLeft -= wanted
    const taken = wanted === batch.ends.length ? batch : firstDocuments(batch, wanted)
    // A batch without documents has counts of rules and of metrics.
    if (wanted > 0 || batch.ends.length === 0) this.#coordinator.handleMatched(taken)
    // Credit was taken for the whole in one piece, and comes back in whole CREDIT_BYTES.
    const kept = Math.ceil(taken.body.length / CREDIT_BYTES) * CREDIT_BYTES
    const leftCount = batch.ends.length - taken.ends.length
    const left = [leftCount, Math.max(0, batch.body.length - kept)] as const
    if (left[0] > 0) this.#shared.signals.release(...left)
    if (this.#matchesLeft === 0) this.stop()
  }

  #tick(): void {
    const take = (report: RunReport) => this.#coordinator.handleRun(report)
    for (const runReports of this.#shared.runReports) runReports.drain(take)
    this.#coordinator.tick()
    const { records, lastNs } = this.#shared.counters.read()
    this.#times.look(lastNs)
    const { recordsMax } = this.#settings
    if (recordsMax > 0 && records >= recordsMax) this.stop()
    // It ends by itself once all there was is written, however long the output takes for that.
    if (this.#ingress.haveFinished && this.#coordinator.isDrained()) this.stop()
    this.#changed()
  }

  #everySecond(): void {
    this.#coordinator.commit()
    const { assignments } = this.#coordinator
    this.#lags.look(assignments.all(), this.#output.sink.gauges().spillBytes, systemClock)
  }

  async #shutDown(): Promise<void> {
    const deadlineMs = performance.now() + this.#settings.shutdownDeadlineMs
    const drainEndMs = deadlineMs - CLOSE_RESERVE_MS
    const left = (untilMs: number) => Math.max(0, untilMs - performance.now())
    this.#shared.signals.setPhase(PHASE_DRAIN)
    this.#shared.slots.wakeAll()
    await this.#until(() => this.#ingress.haveStopped, left(drainEndMs))
    if (this.#error === null) {
      void this.#output.sink.flush(left(drainEndMs))
      // What has closed by now is written; what has not is counted again by the next start.
      this.#coordinator.commit()
      const isWriting = () => this.#output.isBusy?.() === true || this.#documents?.isBusy === true
      const isDone = () => this.#isDrained() && !isWriting()
      await this.#until(isDone, left(drainEndMs))
    }
    this.#tick() // What was filtered out before the last match is resolved, too.
    const timeoutMs = Math.round(Math.min(FINISH_TIMEOUT_MS, left(deadlineMs)))
    for (let index = 0; index < this.#rows.ingressCount; index++) {
      const commits = this.#coordinator.finalCommits(index)
      this.#threads.send(index, { kind: 'finish', commits, timeoutMs })
    }
    this.#threads.expectEnd()
    // An ingress thread that waits for a slot or for the queue reads its messages at phase END.
    if (!this.#ingress.haveStopped) this.#shared.signals.setPhase(PHASE_END)
    await this.#until(() => this.#ingress.haveClosed, FINISH_TIMEOUT_MS, true)
    await this.#close(left(deadlineMs))
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#shared.signals.setPhase(PHASE_END)
    this.#shared.slots.wakeAll()
    const late = await this.#threads.close()
    for (const timer of this.#timers) clearInterval(timer)
    this.#tick()
    await this.#documents?.close(Math.max(timeoutMs / 2, 1))
    await this.#output.sink.close(Math.max(timeoutMs, 1))
    await this.#output.close()
    const result = this.#result()
    if (late.length === 0 && result.error === null) this.#assertAllCameBack(result)
    // A thread that had to be terminated may still be inside the add-on: its memory stays.
    if (late.length === 0) {
      this.#bridge.poolClose(this.#pool)
      this.#matchers.close()
    } else {
      this.#log.warn(`threads did not end in time: ${late.join(', ')}`)
    }
    this.#finish(result)
  }

  /**
   * What the threads and the output had is back: all of it, unless something was left to the next
   * start.
   */
  #assertAllCameBack({ pendingRecords }: PipelineResult): void {
    const { slots, signals, runReports } = this.#shared
    const counts = slots.counts()
    assert.equal(counts.filtering, 0, 'no thread has a slot')
    const unread = runReports.map((reports) => reports.drain(() => undefined))
    assert(Math.max(...unread) === 0, 'run reports are read')
    if (pendingRecords > 0 || this.#matchesLeft === 0) return
    assert.deepEqual([counts.free, slots.freeCount], [slots.slotCount, slots.slotCount], 'slots')
    assert.equal(this.#bridge.poolBytes(this.#pool), 0, 'record batches')
    assert(signals.isAllReleased, 'credit')
  }

  /** Whether all that was read is settled; of what lies above the limit nothing ever is. */
  #isDrained(): boolean {
    return this.#matchesLeft === 0 ? this.#statement().pending === 0 : this.#coordinator.isDrained()
  }

  #toFilters(message: ToFilter): void {
    for (const row of this.#rows.filters) this.#threads.send(row, message)
  }

  #statement(): Statement {
    return this.#books.state((topic, partition) => this.#ledger.pendingOf(topic, partition))
  }

  #result(): PipelineResult {
    const stats = this.stats()
    const statement = this.#statement()
    // What was still in slots when the time was up never reached the books; above the limit it is
    // not meant to.
    const inSlots =
      this.#matchesLeft === 0 ? 0 : stats.counters.records - statement.total.fetchedOnce
    return {
      error: this.#error,
      statement,
      stats,
      pendingRecords: statement.pending + inSlots,
      isOutputBusy: this.#output.isBusy?.() === true,
      seconds: (performance.now() - this.#startedMs) / 1000,
    }
  }

  /**
   * Resolves once it holds, or the time has passed: looked at whenever something may have changed
   * (#changed).
   * @param always waits on after an error, too.
   */
  async #until(holds: () => boolean, timeoutMs: number, always = false): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const look = () => {
      if (holds() || (!always && this.#error !== null)) resolve(undefined)
    }
    const timer = setTimeout(resolve, timeoutMs, undefined)
    this.#awaited.add(look)
    look()
    await promise
    clearTimeout(timer)
    this.#awaited.delete(look)
  }

  #changed(): void {
    for (const look of this.#awaited) look()
  }
}

/*
 * What a pipeline stands on: the add-on, the output, the books. Opened before anything runs.
 */

/** Changed by a reload alone. */
type Filtering = { -readonly [Part in 'filter' | 'rules' | 'edits']: PipelineSettings[Part] }

interface PipelineParts {
  readonly filtering: Filtering
  readonly bridge: Bridge
  readonly output: OutputParts
  readonly books: Books
  readonly metrics: LogMetrics | null
  readonly documents: MetricDocuments | null
}

interface PartsEvents {
  readonly warn: (message: string) => void
  /** The output cannot go on, or nobody reads it any more (OUTPUT_CLOSED). */
  readonly fail: (error: Error) => void
  /** The status lines, which make way for what is written to the same terminal. */
  readonly screen: Screen
}

/** @throws LogpipeError when the add-on or the output cannot be opened; nothing is open then. */
async function openParts(
  settings: PipelineSettings,
  { warn, fail, screen }: PartsEvents,
): Promise<PipelineParts> {
  const bridge = loadBridge(settings.bridgeFile ?? undefined)
  bridge.tuneAllocator()
  const books = new Books()
  const { filter, rules, edits } = settings
  const filtering: Filtering = { filter, rules, edits }
  const output = await openOutput(settings.output, {
    bridge,
    settings,
    filtering: () => filtering,
    events: {
      fail,
      endOfOutput: () => fail(new LogpipeError('OUTPUT_CLOSED', 'the output was closed')),
    },
    books,
    warn,
    screen: isatty(STDOUT_DESCRIPTOR) ? screen : undefined,
  })
  try {
    await output.sink.open()
    return { bridge, output, books, filtering, ...(await openMetrics(settings, { warn, fail })) }
  } catch (error) {
    await output.close()
    throw error
  }
}

/** @throws LogpipeError for an index that can have no name. */
async function openMetrics(
  { metrics: settings, commits }: PipelineSettings,
  { warn, fail }: Pick<PartsEvents, 'warn' | 'fail'>,
): Promise<Pick<PipelineParts, 'metrics' | 'documents'>> {
  if (settings === null) return { metrics: null, documents: null }
  const { specs, seriesMax, windows } = settings
  const metrics = new LogMetrics({ metrics: specs, seriesMax, warn })
  if (windows === null) return { metrics, documents: null }
  if (!commits) {
    const why = 'METRICS_INDEX counts each record once by what the group commits'
    throw new LogpipeError(
      'USAGE',
      `${why}, and nothing is committed when matches go to a terminal`,
    )
  }
  // As with the output, loading the client takes longer than all else.
  const { MetricDocuments } = await import('./metric-documents.ts')
  const wallMs = () => Date.now()
  const documents = new MetricDocuments({ settings, windows, metrics, wallMs, fail, notice: warn })
  await documents.open()
  return { metrics, documents }
}

/** The output's, with what keeps the documents of metrics from being written. */
function gaugesOf(output: Sink, documents: Sink | undefined): SinkGauges {
  const gauges = output.gauges()
  if (documents === undefined) return gauges
  const { trouble, troubles, retries, rejected429 } = documents.gauges()
  return {
    ...gauges,
    trouble: gauges.trouble ?? (trouble === null ? null : `metrics: ${trouble}`),
    troubles: [...gauges.troubles, ...troubles],
    retries: gauges.retries + retries,
    rejected429: gauges.rejected429 + rejected429,
  }
}

/** Whether records that count are all that is wanted of them. */
function countsAll({ output, metrics }: PipelineSettings): boolean {
  return output.kind === 'count' && metrics !== null
}
