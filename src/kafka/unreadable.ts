/**
 * Partitions that stand still although their log goes on: which, why, and the way past.
 *
 *   reading --an error came where a record was due--> aside --AGAIN_MS, then RETRY_MS--> reading
 *      |                                               | the second time, with --skip-unreadable
 *      |                                               v
 *      |       <---- at the first offset behind it -- probing --it cannot be found--> aside
 *      '--nothing came for SILENT_MS--> reported; with an error of the client sooner, and
 *                                       aside --SILENT_RETRY_MS--> reading
 *
 * People hear of it sooner where it costs nothing to be wrong for a moment: of a partition that
 * stands still, SUSPECTED_MS after its log went on where a read had met its end before, or with an
 * error of the client (otherwise a large response over a slow line looks the same); and
 * UNANSWERED_MS after its brokers ceased to say where it ends.
 *
 * The first kind is what librdkafka names: a bad CRC or compression, a broker that cannot read its
 * own log. The second has no event: a response larger than receive.message.max.bytes tears the
 * connection down, so its partition is set aside and the others of that broker go on.
 *
 * A batch is skipped only on proof: it failed three times, the last time after records behind it
 * were read. A broker that refuses everything (no rights, no leader) proves nothing.
 *
 * Used by ingress-thread.ts. Bound. One entry an assigned partition; one probe of PROBE_MS each.
 */
import assert from 'node:assert/strict'
import type { ConsumerEvent } from '../bridge/bridge.ts'
import { messageOf } from '../core/errors.ts'
import type { PartitionState } from './partition-state.ts'
import type { StuckPartition, WaitingPartition } from './ingress-messages.ts'
import type { IngressOptions } from './ingress-options.ts'

/** One error may be over at the next try; if not, it is reported within five seconds. */
const AGAIN_MS = 1000
/** A broker that is asked every five seconds does not notice; a right that returns is used soon. */
const RETRY_MS = 5000
/** Longer than an election, a rolled broker, and a large fetch over a slow line mostly take. */
const SILENT_MS = 30_000
/**
 * With an error of the client: sooner, for each try of a response that is too large costs all
 * partitions of its broker their connection. Both double: a slow line gets its time.
 */
const FAILING_MS = 10_000
const FAILING_MS_MAX = 60_000
const SILENT_RETRY_MS = 60_000
const SILENT_RETRY_MS_MAX = 600_000
/** Once the leader has answered for this long again, a fetch would have come. */
const ANSWERING_MS = 5000
/**
 * Brokers are asked once a second for the ends of what has stood still for so long. A fetch of
 * what has no records costs them two questions a second.
 */
const STILL_MS = 1500
/** Together with what passes it on, trouble is on every screen within five seconds. */
const SUSPECTED_MS = 2500
/** Two questions in a row: a leader that moves answers the second. */
const UNANSWERED_MS = 2500
/** An answer to one fetch. Without it nothing is proved. */
const PROBE_MS = 10_000
/** How often one partition is reported. */
const REPORT_EVERY_MS = 60_000

type Unreadable = Extract<ConsumerEvent, { kind: 'unreadable' }>
type ClientError = Pick<Extract<ConsumerEvent, { kind: 'error' }>, 'code' | 'message' | 'topic'>
type Options = Pick<IngressOptions, 'consumer' | 'send' | 'nowMs' | 'skipUnreadable'>

/** One assignment that is watched. */
interface Track {
  /** Where it stood, and since when. */
  offset: number
  stillSinceMs: number
  /** Since when something should have come: it was read, and there was more. */
  waitsSinceMs: number
  /** Since when its leader answers, as far as is known. */
  answersSinceMs: number
  failure: Failure | null
  /** When to read on; of a search, when its probe is over. */
  dueMs: number
  search: Search | null
  /** A search has found nothing: it is read once more before the next. */
  isSearched: boolean
}

interface Failure {
  readonly reason: string
  readonly isSilent: boolean
  /** The first offset of the batch, as far as librdkafka knows. */
  readonly base: number
  readonly count: number
  reportedMs: number
}

export class UnreadablePartitions {
  readonly #options: Options
  readonly #states: ReadonlyMap<number, PartitionState>
  readonly #readOn: (assignmentId: number) => void
  readonly #tracks = new Map<number, Track>()
  /** Of the client, not of one partition. */
  #clientError = { text: '', atMs: -Infinity }
  #reported = ''

  /**
   * @param states the thread's partitions, by assignment.
   * @param readOn resumes one, unless nothing is read now.
   */
  constructor(
    options: Options,
    states: ReadonlyMap<number, PartitionState>,
    readOn: (assignmentId: number) => void,
  ) {
    this.#options = options
    this.#states = states
    this.#readOn = readOn
  }

  /** The partitions that have not moved for so long that their ends must be asked for. */
  still(): readonly PartitionState[] {
    const nowMs = this.#options.nowMs()
    return [...this.#tracks].flatMap(([id, { stillSinceMs }]) => {
      const state = this.#states.get(id)
      return state === undefined || nowMs - stillSinceMs < STILL_MS ? [] : [state]
    })
  }

  /** That all connections are gone says nothing of why. */
  recordClientError({ code, message, topic }: ClientError): void {
    if (topic !== null || code === '_ALL_BROKERS_DOWN') return
    this.#clientError = { text: `${message} (${code})`, atMs: this.#options.nowMs() }
  }

  /** @returns whether it is the first of its kind at this offset. */
  recordUnreadable({ assignmentId, code, message, offset }: Unreadable): boolean {
    const state = this.#states.get(assignmentId)
    if (state === undefined) return false
    const track = this.#trackOf(assignmentId, state)
    if (track.search !== null) {
      this.#answered(assignmentId, state, track, track.search.failed(offset))
      return false
    }
    this.#fail(assignmentId, state, track, {
      reason: `${message} (${code})`,
      isSilent: false,
      base: offset,
    })
    return track.failure?.count === 1
  }

  recordReadable(assignmentId: number): void {
    const state = this.#states.get(assignmentId)
    const track = this.#tracks.get(assignmentId)
    if (state === undefined || track === undefined || track.search === null) return
    this.#answered(assignmentId, state, track, track.search.read())
  }

  /** Once a second. @param isReading whether anything is read at all now. */
  check(isReading: boolean): void {
    const nowMs = this.#options.nowMs()
    for (const id of this.#tracks.keys()) if (!this.#states.has(id)) this.#tracks.delete(id)
    for (const [id, state] of this.#states) {
      const track = this.#trackOf(id, state)
      if (!isReading || state.isPausedByMain || state.finished) {
        track.waitsSinceMs = nowMs
        if (track.search !== null) this.#setAside(id, state, track, nowMs)
      } else if (state.aside) {
        if (nowMs >= track.dueMs) this.#due(id, state, track)
      } else {
        this.#checkSilence(id, state, track)
      }
    }
    this.#report(isReading)
  }

  #trackOf(assignmentId: number, state: PartitionState): Track {
    const nowMs = this.#options.nowMs()
    const known = this.#tracks.get(assignmentId)
    if (known?.offset === state.offset) return known
    const since = { stillSinceMs: nowMs, waitsSinceMs: nowMs, answersSinceMs: nowMs }
    const fresh = { failure: null, dueMs: 0, search: null, isSearched: false }
    const track: Track = { offset: state.offset, ...since, ...fresh }
    this.#tracks.set(assignmentId, track)
    state.unanswered = null
    return track
  }

  /** No record comes, although a broker reports an end behind the offsets read. */
  #checkSilence(id: number, state: PartitionState, track: Track): void {
    assert(!state.aside && track.search === null, 'it is being read')
    const nowMs = this.#options.nowMs()
    const { text, atMs } = this.#clientError
    if (state.askedEnd <= Math.max(state.offset, state.metEnd)) track.waitsSinceMs = nowMs
    if (state.askedMs <= atMs) track.answersSinceMs = nowMs
    const hasError = atMs >= track.stillSinceMs
    const patienceMs = hasError ? doubled(FAILING_MS, FAILING_MS_MAX, track.failure) : SILENT_MS
    if (nowMs - track.waitsSinceMs < patienceMs) return
    if (nowMs - track.answersSinceMs < ANSWERING_MS) return
    const why = hasError
      ? `the last client error is: ${text}`
      : 'no error was reported; set check.crcs=true to have damaged batches reported'
    const seconds = Math.round((nowMs - track.stillSinceMs) / 1000)
    const reason = `no record for ${seconds} s, but the end offset is ${state.askedEnd}: ${why}`
    const failure = { reason, isSilent: true, base: state.offset }
    if (hasError) this.#fail(id, state, track, failure)
    else if (track.failure === null || !isStuck(track.failure)) {
      // librdkafka names a refusal once, until reading is resumed: it is the reason still.
      const named = track.failure?.reason ?? failure.reason
      track.failure = { ...failure, reason: named, count: 1, reportedMs: -Infinity }
    }
  }

  #fail(
    id: number,
    state: PartitionState,
    track: Track,
    failure: Pick<Failure, 'reason' | 'isSilent' | 'base'>,
  ): void {
    const { count, reportedMs } = track.failure ?? { count: 0, reportedMs: -Infinity }
    track.failure = { ...failure, count: count + 1, reportedMs }
    const waitMs = failure.isSilent
      ? doubled(SILENT_RETRY_MS, SILENT_RETRY_MS_MAX, track.failure)
      : isStuck(track.failure)
        ? RETRY_MS
        : AGAIN_MS
    this.#setAside(id, state, track, this.#options.nowMs() + waitMs)
  }

  #setAside(id: number, state: PartitionState, track: Track, dueMs: number): void {
    const { consumer } = this.#options
    state.aside = true
    track.search = null
    track.dueMs = dueMs
    consumer.pause([id])
  }

  #due(id: number, state: PartitionState, track: Track): void {
    assert(state.aside, 'it was set aside')
    const { failure } = track
    const { skipUnreadable, nowMs } = this.#options
    // No answer to a probe: the broker is away, and nothing is proved.
    if (track.search !== null) this.#endSearch(id, state, track)
    else if (skipUnreadable && mayBeSkipped(failure) && !track.isSearched) {
      // The end must be known; until it was asked for the partition stays aside.
      if (state.askedEnd <= state.offset) return
      track.search = new Search(state.offset, state.askedEnd, failure?.base ?? state.offset)
      this.#probe(id, state, track, track.search)
    } else {
      track.isSearched = false
      track.waitsSinceMs = nowMs()
      state.aside = false
      this.#attempt(id, state, track, () => this.#readOn(id))
    }
  }

  #probe(id: number, state: PartitionState, track: Track, search: Search): void {
    const { consumer, nowMs } = this.#options
    track.dueMs = nowMs() + PROBE_MS
    this.#attempt(id, state, track, () => consumer.probe(id, search.target))
  }

  #answered(id: number, state: PartitionState, track: Track, progress: SearchState): void {
    const { search } = track
    assert(search !== null && state.aside, 'a partition is aside while its batch is searched')
    if (progress === 'searching') this.#probe(id, state, track, search)
    else if (progress === 'found') this.#skip(id, state, track, search.found)
    // Nothing behind it can be read either, or it can be read now.
    else this.#endSearch(id, state, track)
  }

  #endSearch(id: number, state: PartitionState, track: Track): void {
    track.isSearched = true
    this.#setAside(id, state, track, this.#options.nowMs() + RETRY_MS)
  }

  #skip(id: number, state: PartitionState, track: Track, to: number): void {
    const { consumer, send } = this.#options
    assert(to > state.offset, 'a skip goes forward')
    this.#attempt(id, state, track, () => {
      consumer.pause([id])
      consumer.seek(id, to)
      const { topic, partition, offset: from } = state
      const reason = track.failure?.reason ?? ''
      send({ kind: 'skipped', assignmentId: id, topic, partition, from, to, reason })
      state.offset = to
      state.aside = false
      this.#readOn(id)
    })
  }

  /** If librdkafka refuses now (the partition is changing its broker, say), it is tried later. */
  #attempt(id: number, state: PartitionState, track: Track, call: () => void): void {
    try {
      call()
    } catch (thrown) {
      this.recordClientError({ code: '_STATE', message: messageOf(thrown), topic: null })
      this.#setAside(id, state, track, this.#options.nowMs() + RETRY_MS)
    }
  }

  /** Main hears of it when a list changes, and of each partition that is due to be reported. */
  #report(isReading: boolean): void {
    const { send, nowMs } = this.#options
    const partitions: StuckPartition[] = []
    const unanswered: WaitingPartition[] = []
    for (const [id, track] of this.#tracks) {
      const state = this.#states.get(id)
      if (state === undefined) continue
      const { topic, partition, offset } = state
      const { failure } = track
      const isRead = isReading && !state.isPausedByMain && !state.finished && !state.isGone
      if (failure !== null && isStuck(failure)) {
        const isDue = nowMs() - failure.reportedMs >= REPORT_EVERY_MS
        if (isDue) failure.reportedMs = nowMs()
        const { reason, isSilent } = failure
        partitions.push({ topic, partition, offset, reason, canSkip: !isSilent, isDue })
      } else if (isRead && isUnanswered(state, nowMs())) {
        unanswered.push({ topic, partition, problem: silenceText(state) })
      } else if (isRead && this.#isSuspected(state, track)) {
        const reason = `no record comes, but the end offset is ${state.askedEnd}`
        partitions.push({ topic, partition, offset, reason, canSkip: false, isDue: false })
      }
    }
    const stuck = partitions.map((one) => `${one.topic}/${one.partition}/${one.offset}`)
    const list = [...stuck, '', ...unanswered.map((one) => `${one.topic}/${one.partition}`)].join()
    if (list === this.#reported && !partitions.some(({ isDue }) => isDue)) return
    this.#reported = list
    send({ kind: 'stuck', partitions, unanswered })
  }

  /** It stands still, and most likely not because what comes is large. */
  #isSuspected(state: PartitionState, track: Track): boolean {
    const { atMs } = this.#clientError
    const wasAtEnd = state.metEnd >= state.offset
    const hasError = atMs >= track.stillSinceMs && state.askedMs > atMs
    const waitedMs = this.#options.nowMs() - track.waitsSinceMs
    return (wasAtEnd || hasError) && waitedMs >= SUSPECTED_MS
  }
}

function isUnanswered({ unanswered }: PartitionState, nowMs: number): boolean {
  return unanswered !== null && nowMs - unanswered.sinceMs >= UNANSWERED_MS
}

function silenceText({ unanswered }: PartitionState): string {
  const problem = unanswered?.problem ?? ''
  // That it does not answer in time says all there is to say.
  return `its broker does not answer${/TIMED_OUT/.test(problem) ? '' : ` (${problem})`}`
}

/** From `ms` at the first failure on. */
function doubled(ms: number, msMax: number, failure: Failure | null): number {
  return Math.min(msMax, ms * 2 ** Math.max(0, (failure?.count ?? 0) - 1))
}

/** One error may be over at the next try. */
function isStuck({ isSilent, count }: Failure): boolean {
  return isSilent || count >= 2
}

/** Only an error that librdkafka named: silence proves nothing about a batch. */
function mayBeSkipped(failure: Failure | null): boolean {
  return failure !== null && !failure.isSilent && isStuck(failure)
}

type SearchState = 'searching' | 'found' | 'none'

/** Adjacent batches of one record that are probed one by one, at most. */
const SINGLE_STEPS_MAX = 64

/**
 * The first offset behind a batch of unknown length that cannot be read: steps that double until
 * something else is met, then halves; last, the batch's own offset once more, which must fail.
 *
 * Something else is what can be read, or another batch that cannot: an error that names an offset
 * below the one asked for names a batch's first. One that names the very offset asked for may be
 * of a broker that refuses everything; until the first kind was seen it proves nothing.
 */
export class Search {
  readonly #from: number
  readonly #end: number
  readonly #base: number
  /** In the batch, and the first known to lie behind it. */
  #within: number
  #behind: number | null = null
  #step = 1
  #namesBatches = false
  #unclearCount = 0
  #isConfirming = false

  /**
   * @param end where the log ends: nothing lies there, but a broker can say so.
   * @param base the offset that the batch's error names.
   */
  constructor(from: number, end: number, base: number) {
    assert(from >= 0 && from < end, 'something lies behind it')
    this.#from = from
    this.#end = end
    this.#base = base
    this.#within = from
  }

  /** The offset to probe. */
  get target(): number {
    if (this.#isConfirming) return this.#from
    if (this.#behind === null) return Math.min(this.#from + this.#step, this.#end)
    return this.#within + Math.floor((this.#behind - this.#within) / 2)
  }

  get found(): number {
    assert(this.#behind !== null && this.#isConfirming, 'the offset behind it was found')
    return this.#behind
  }

  /** The target can be read. */
  read(): SearchState {
    return this.#isConfirming ? 'none' : this.#answer(true)
  }

  /** The target cannot be read. @param offset that the error names. */
  failed(offset: number): SearchState {
    if (this.#isConfirming) return 'found'
    const isUnclear = offset >= this.target
    if (!isUnclear) this.#namesBatches = true
    else if (!this.#namesBatches) this.#unclearCount++
    return this.#answer(isUnclear ? this.#namesBatches : offset > this.#base)
  }

  #answer(isBehind: boolean): SearchState {
    const { target } = this
    assert(target > this.#within && target <= this.#end, `probed ${target} in vain`)
    if (isBehind) this.#behind = target
    else if (target === this.#end) return 'none'
    else this.#within = target
    const isSingle = !this.#namesBatches && this.#unclearCount < SINGLE_STEPS_MAX
    if (this.#behind !== null) this.#isConfirming = this.#behind - this.#within === 1
    else this.#step = isSingle ? this.#step + 1 : this.#step * 2
    return 'searching'
  }
}
