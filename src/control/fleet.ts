/**
 * The workers as they are now, and what each shall do.
 *
 * Heartbeats come in, assignments go out. What a worker reports lives in memory; what it was
 * assigned is in the database too, so that a restart of the control plane moves nothing. A worker
 * is live while it was heard within SILENT_POLLS_MAX of its own polls; after a restart everybody
 * known has that long to call before anything moves.
 *
 * An id is bound to the secret that its first caller sent, so that no other holder of the worker
 * token speaks in its name; and a worker is heard about pipelines that it was given, no others. An
 * operator who deletes the worker frees the id.
 *
 * Bounds: WORKERS_MAX workers; whoever is lost for FORGET_MS and not pinned is forgotten, because
 * on Kubernetes every restart brings a new name; and sooner when a new one needs the place: first
 * those that were never given a pipeline, for they have nothing to come back for. What is kept of
 * each is bounded where it comes in (worker-routes.ts).
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { LogMetric } from '../core/log-metric.ts'
import type { Trouble } from '../core/trouble.ts'
import type { PipelineStore } from './pipeline-store.ts'
import { Problem } from './problem.ts'
import { schedule, type Schedule, type Shortage } from './scheduler.ts'
import { type Gift, GIFTS_KEPT, type WorkerRecord, type WorkerStore } from './worker-store.ts'

/** What a worker says when it calls, once it was checked. */
export interface Heartbeat {
  readonly state: string
  readonly pid: number | null
  /** Which pipeline and revision the child runs; null: none. */
  readonly pipelineId: number | null
  readonly revision: number | null
  /** Revision that would not run, when an older one runs in its place. */
  readonly failedRevision: number | null
  readonly error: { readonly message: string; readonly lines: readonly string[] } | null
  readonly metrics: Readonly<Record<string, number>>
  /** What keeps its pipeline from its work. */
  readonly troubles: readonly Trouble[]
  /** What its pipeline counts from its records; some 64 KiB at most (core/log-metric.ts). */
  readonly logMetrics: readonly LogMetric[]
  readonly deadLetters: number
  readonly pollMs: number
  /** Made anew at each start of sync: tells two processes of one name apart. */
  readonly instance: string | null
  readonly version: string | null
}

/** A worker that is silent for so many of its polls is lost. */
export const SILENT_POLLS_MAX = 5
export const WORKERS_MAX = 1000
/** Of a worker that has not called yet: WORKER_POLL_MS's default. */
const POLL_MS_EXPECTED = 1000
const FORGET_MS = 86_400_000
/**
 * Whoever was given a pipeline may have a spill that waits for its secrets: a restart, a move to
 * another machine or a broken network takes no longer. No newcomer takes its place meanwhile, for
 * new ids cost whoever has the worker token nothing.
 */
const RETURN_MS = 3_600_000
/**
 * An idle worker that was not heard for so long makes room for a new one, and is new again when it
 * calls. A poll takes a second; many ids by which hardly anybody calls shut nobody out.
 */
const IDLE_SILENT_MS = 5000
/** last_seen_ms is for people; after a crash it may be this much too old. */
const SEEN_FLUSH_MS = 30_000

export interface WorkerNow extends WorkerRecord {
  readonly live: boolean
  /** Null: not heard since the control plane started. */
  readonly heartbeat: Heartbeat | null
}

interface Entry {
  record: WorkerRecord
  heartbeat: Heartbeat | null
  /** Monotonic time of the last heartbeat; of the start, while there was none. */
  heardMs: number
  /** As the last schedule saw it. */
  live: boolean
  /** The pipelines that it was given, with the oldest revision; the last ones last, GIFTS_KEPT. */
  readonly given: Map<number, number>
  /** Whether it was said that it reports a pipeline of others. */
  hasStrayed: boolean
}

interface FleetEvents {
  /** Hears of each worker that is given a pipeline, from now on. */
  readonly onAssigned?: (workerId: string, pipelineId: number) => void
  /** Hears, once for each worker, of a report about a pipeline that it was not given. */
  readonly onStray?: (workerId: string, pipelineId: number) => void
}

export class Fleet {
  readonly #pipelines: PipelineStore
  readonly #store: WorkerStore
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()
  #events: FleetEvents = {}
  #schedule: Schedule = { assignments: new Map(), shortages: new Map() }
  #byPipeline: ReadonlyMap<number, readonly string[]> = new Map()
  /** Who reports to run each pipeline: asked for every pipeline of a list. */
  readonly #runningBy = new Map<number, Set<string>>()
  #flushedMs: number

  constructor(
    pipelines: PipelineStore,
    store: WorkerStore,
    clock: Clock,
    events: FleetEvents = {},
  ) {
    this.#pipelines = pipelines
    this.#store = store
    this.#clock = clock
    this.#flushedMs = clock.monotonicMs()
    for (const record of store.all()) {
      this.#entries.set(record.id, newEntry(record, clock.monotonicMs()))
    }
    for (const { workerId, pipelineId, revision } of store.gifts()) {
      this.#entries.get(workerId)?.given.set(pipelineId, revision)
    }
    this.reconcile()
    this.#events = events
  }

  /**
   * Takes a heartbeat in.
   * @param secret undefined: of the version before, which has none
   * @returns the worker with its heartbeat, as far as that is about pipelines that it was given.
   * @throws Problem 403 for another secret than the first; 409 when another process of the same
   * name is alive; 503 when there are too many.
   */
  heartbeat(id: string, given: Heartbeat, secret?: string): WorkerNow {
    const nowMs = this.#clock.monotonicMs()
    const secretHash = secret === undefined ? null : sha256(secret)
    const known = this.#entries.get(id)
    const bound = known?.record.secretHash ?? null
    if (bound !== null && bound !== secretHash) throw notTheSame(id)
    const entry = known ?? this.#register(id, given.pollMs, nowMs)
    const before = entry.heartbeat
    if (
      before !== null &&
      before.instance !== null &&
      before.instance !== given.instance &&
      // A restarted worker may call at once: its predecessor is dead, and stopped calling. Nobody
      // says goodbye for another.
      (nowMs - entry.heardMs < before.pollMs / 2 ||
        (given.state === 'exiting' && this.#isLive(entry))) &&
      before.state !== 'exiting'
    ) {
      throw new Problem(409, `Another process uses the worker id ${id}: give each worker its own.`)
    }
    if (bound !== secretHash) {
      const record = { ...entry.record, secretHash }
      this.#store.put([record])
      entry.record = record
    }
    if (known === undefined) this.reconcile()
    const heartbeat = this.#ownPart(entry, given)
    this.#runs(id, before?.pipelineId ?? null, heartbeat.pipelineId)
    entry.heartbeat = heartbeat
    entry.heardMs = nowMs
    entry.record = {
      ...entry.record,
      pollMs: heartbeat.pollMs,
      lastSeenMs: this.#clock.wallMs(),
    }
    if (entry.live !== this.#isLive(entry)) this.reconcile()
    return this.#now(entry)
  }

  /**
   * Assigns by hand; null gives the worker back to the scheduler. A worker that has not called yet
   * may be assigned too: it finds its work when it does.
   */
  pin(
    id: string,
    pin: { readonly pipelineId: number; readonly desiredState: 'running' | 'stopped' } | null,
  ): WorkerNow {
    const entry = this.#entries.get(id) ?? this.#register(id, POLL_MS_EXPECTED, -Infinity)
    const record = {
      ...entry.record,
      pinned: pin !== null,
      pipelineId: pin?.pipelineId ?? entry.record.pipelineId,
      desiredState: pin?.desiredState ?? 'running',
    }
    // First the disk: what it did not take is not so.
    this.#store.put([record])
    entry.record = record
    this.reconcile()
    return this.#now(entry)
  }

  /** Forgets a worker that is lost, its secret too; with `force` one that is alive. */
  forget(id: string, force = false): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) throw new Problem(404, `There is no worker ${id}.`)
    if (this.#isLive(entry) && !force) {
      throw new Problem(409, `Worker ${id} is alive: stop it first, or send ?force=true.`)
    }
    this.#drop(id)
    this.reconcile()
  }

  /** To be called about once a second: finds who was lost, and writes what is due. */
  tick(): void {
    let changed = false
    for (const [id, entry] of this.#entries) {
      changed ||= entry.live !== this.#isLive(entry)
      const silentMs = this.#clock.wallMs() - entry.record.lastSeenMs
      if (silentMs > FORGET_MS && !entry.record.pinned && !this.#isLive(entry)) {
        this.#drop(id)
        changed = true
      }
    }
    if (changed) this.reconcile()
    if (this.#clock.monotonicMs() - this.#flushedMs >= SEEN_FLUSH_MS) this.flush()
  }

  /** Computes the schedule anew; to be called after every change of a pipeline. */
  reconcile(): void {
    for (const entry of this.#entries.values()) entry.live = this.#isLive(entry)
    const workers = [...this.#entries.values()].map(({ record, live }) => ({
      id: record.id,
      live,
      pin:
        record.pinned && record.pipelineId !== null
          ? { pipelineId: record.pipelineId, run: record.desiredState === 'running' }
          : null,
      pipelineId: record.pipelineId,
    }))
    const before = this.#schedule.assignments
    this.#schedule = schedule(this.#pipelines.wishes(), workers)
    const changed: WorkerRecord[] = []
    const given: Gift[] = []
    const byPipeline = new Map<number, string[]>()
    for (const [id, pipelineId] of this.#schedule.assignments) {
      if (pipelineId !== null) {
        byPipeline.set(pipelineId, [...(byPipeline.get(pipelineId) ?? []), id])
        if (before.get(id) !== pipelineId) given.push(this.#gift(id, pipelineId))
      }
      const entry = this.#entries.get(id)
      if (entry === undefined || entry.record.pinned || entry.record.pipelineId === pipelineId) {
        continue
      }
      entry.record = { ...entry.record, pipelineId }
      changed.push(entry.record)
    }
    this.#byPipeline = byPipeline
    for (const gift of given) this.#give(gift)
    this.#store.put(changed, given, this.#clock.wallMs())
    for (const { workerId, pipelineId } of given) this.#events.onAssigned?.(workerId, pipelineId)
  }

  /** A pipeline was deleted: the database has taken it from every worker; do the same here. */
  pipelineDeleted(pipelineId: number): void {
    for (const entry of this.#entries.values()) {
      entry.given.delete(pipelineId)
      if (entry.record.pipelineId !== pipelineId) continue
      entry.record = { ...entry.record, pipelineId: null, pinned: false }
    }
    this.reconcile()
  }

  /** Writes when each worker was last heard. */
  flush(): void {
    this.#flushedMs = this.#clock.monotonicMs()
    this.#store.put([...this.#entries.values()].map(({ record }) => record))
  }

  get(id: string): WorkerNow | undefined {
    const entry = this.#entries.get(id)
    return entry === undefined ? undefined : this.#now(entry)
  }

  /** Every worker, in order of id. */
  all(): WorkerNow[] {
    return [...this.#entries.values()]
      .map((entry) => this.#now(entry))
      .sort((left, right) => (left.id < right.id ? -1 : 1))
  }

  /** The workers that shall run a pipeline. */
  assignedTo(pipelineId: number): WorkerNow[] {
    return (this.#byPipeline.get(pipelineId) ?? []).flatMap((id) => this.get(id) ?? [])
  }

  /** Live workers whose child still runs a pipeline, assigned to it or not. */
  running(pipelineId: number): WorkerNow[] {
    return [...(this.#runningBy.get(pipelineId) ?? [])].flatMap((id) => {
      const worker = this.get(id)
      return worker?.live === true ? worker : []
    })
  }

  /** What a worker shall run, by the last schedule. */
  assignment(id: string): number | null {
    return this.#schedule.assignments.get(id) ?? null
  }

  /** Whether a worker was ever given a pipeline: it may hear its secrets, and report about it. */
  wasGiven(id: string, pipelineId: number): boolean {
    return this.#entries.get(id)?.given.has(pipelineId) === true
  }

  /** The oldest revision of a pipeline that a worker was given; undefined: it was given none. */
  givenSince(id: string, pipelineId: number): number | undefined {
    return this.#entries.get(id)?.given.get(pipelineId)
  }

  /** Why an enabled pipeline has fewer workers than it should; undefined: it has them. */
  shortage(pipelineId: number): Shortage | undefined {
    return this.#schedule.shortages.get(pipelineId)
  }

  #register(id: string, pollMs: number, heardMs: number): Entry {
    if (this.#entries.size >= WORKERS_MAX) this.#makeRoom()
    if (this.#entries.size >= WORKERS_MAX) {
      throw new Problem(503, `The limit of ${WORKERS_MAX} workers is reached: delete lost ones.`)
    }
    const nowMs = this.#clock.wallMs()
    const record: WorkerRecord = {
      id,
      pinned: false,
      pipelineId: null,
      desiredState: 'running',
      pollMs,
      firstSeenMs: nowMs,
      lastSeenMs: nowMs,
      secretHash: null,
    }
    this.#store.put([record])
    const entry = newEntry(record, heardMs)
    this.#entries.set(id, entry)
    return entry
  }

  #makeRoom(): void {
    const [least] = [...this.#entries.values()]
      .filter((entry) => this.#mayGo(entry))
      .sort(
        (left, right) =>
          Number(left.given.size > 0) - Number(right.given.size > 0) ||
          left.record.lastSeenMs - right.record.lastSeenMs,
      )
    if (least !== undefined) this.#drop(least.record.id)
  }

  #mayGo(entry: Entry): boolean {
    const { record, given, heardMs } = entry
    if (record.pinned) return false
    const isSilent = this.#clock.monotonicMs() - heardMs >= IDLE_SILENT_MS
    if (given.size === 0) return isSilent || !this.#isLive(entry)
    return !this.#isLive(entry) && this.#clock.wallMs() - record.lastSeenMs > RETURN_MS
  }

  /** With the revision in force goes the one to fall back to. */
  #gift(workerId: string, pipelineId: number): Gift {
    const { revision = 1, goodRevision = null } = this.#pipelines.get(pipelineId) ?? {}
    return { workerId, pipelineId, revision: Math.min(revision, goodRevision ?? revision) }
  }

  #give({ workerId, pipelineId, revision }: Gift): void {
    const given = this.#entries.get(workerId)?.given
    if (given === undefined) return
    const since = given.get(pipelineId) ?? revision
    given.delete(pipelineId)
    given.set(pipelineId, since)
    const [oldest] = given.keys()
    if (given.size > GIFTS_KEPT && oldest !== undefined) given.delete(oldest)
  }

  /** Without what a worker says of a pipeline that it has nothing to do with. */
  #ownPart(entry: Entry, heartbeat: Heartbeat): Heartbeat {
    const { pipelineId } = heartbeat
    if (pipelineId === null || entry.given.has(pipelineId)) return heartbeat
    if (!entry.hasStrayed) this.#events.onStray?.(entry.record.id, pipelineId)
    entry.hasStrayed = true
    const nothing = { pipelineId: null, revision: null, failedRevision: null, deadLetters: 0 }
    return { ...heartbeat, ...nothing, metrics: {}, troubles: [], logMetrics: [] }
  }

  #runs(id: string, before: number | null, after: number | null): void {
    if (before === after) return
    if (before !== null) {
      const others = this.#runningBy.get(before)
      others?.delete(id)
      if (others?.size === 0) this.#runningBy.delete(before)
    }
    if (after !== null) {
      this.#runningBy.set(after, (this.#runningBy.get(after) ?? new Set()).add(id))
    }
  }

  #drop(id: string): void {
    this.#runs(id, this.#entries.get(id)?.heartbeat?.pipelineId ?? null, null)
    this.#entries.delete(id)
    this.#store.delete(id)
  }

  #isLive({ heardMs, record, heartbeat }: Entry): boolean {
    if (heartbeat?.state === 'exiting') return false
    return this.#clock.monotonicMs() - heardMs <= SILENT_POLLS_MAX * record.pollMs
  }

  #now(entry: Entry): WorkerNow {
    return { ...entry.record, live: this.#isLive(entry), heartbeat: entry.heartbeat }
  }
}

function newEntry(record: WorkerRecord, heardMs: number): Entry {
  const live = heardMs >= 0
  return { record, heartbeat: null, heardMs, live, given: new Map(), hasStrayed: false }
}

/** A secret is random and long: no salt, and no time to be measured, tells anything about it. */
function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function notTheSame(id: string): Problem {
  return new Problem(
    403,
    `Worker ${id} used another secret before. If this is another machine, give it its own ` +
      'WORKER_ID; if the directory of the worker was lost, have the operator forget it: ' +
      `DELETE /api/workers/${id}?force=true.`,
  )
}
