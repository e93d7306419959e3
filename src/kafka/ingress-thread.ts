/**
 * An ingress thread: owns one consumer of the group, fills slots with its records, hands them on.
 *
 *   run:    acquire a slot -> consumerFill -> hand it on; then events, then main's messages
 *   stall:  no slot came free: wait, and pause only if that lasts (backpressure.ts)
 *   drain:  no more filling; serve the group until main says finish
 *   finish: commit, leave the group, end
 *   replay, or up to the end: each partition is paused at its stop; with the last one, main hears
 *           that all was read
 *
 * Rebalance. The bridge reports what the group wants; the thread takes the partitions, asks brokers
 * where each begins, and main for assignment ids (main opens the ledgers and informs the filter
 * threads first), and only then reads (membership.ts). On revoke it reports how far it has read,
 * waits at most `revokeDrainMs` for the watermarks, commits them synchronously, and gives the
 * partitions back. A lost assignment commits nothing.
 *
 * Bound. Every wait here has a time-out; the longest is a rebalance (membership.ts).
 */
import assert from 'node:assert/strict'
import type { ConsumerEvent, FillLimits, PartitionOffset } from '../bridge/bridge.ts'
import { PHASE_END, PHASE_RUN } from '../pool/signals.ts'
import { Reachability, Stall } from './backpressure.ts'
import { droppedEvents, errorMessage, type ToIngress } from './ingress-messages.ts'
import type { IngressOptions } from './ingress-options.ts'
import { Membership } from './membership.ts'
import { EndsDue } from './partition-state.ts'
import { UnreadablePartitions } from './unreadable.ts'
import type { MarkedRange } from './offset-ranges.ts'

/** One wait for a slot or for room in the queue; then everything is checked again. */
const WAIT_MS = 20
/** How often positions are reported, and commits sent. */
const HOUSEKEEPING_EVERY_MS = 1000
/** Time to leave the group when the process must end at once. */
const FORCED_CLOSE_MS = 1000

export class IngressThread {
  readonly #options: IngressOptions
  readonly #membership: Membership
  readonly #stall: Stall
  readonly #reachability: Reachability
  readonly #endsDue = new EndsDue()
  readonly #unreadable: UnreadablePartitions
  #finish: Extract<ToIngress, { kind: 'finish' }> | undefined
  /** By a fatal error: no commit is taken any more. */
  #isShutOut = false
  #sawRecord = false
  #hasJoined = false
  /** The last event of the group was an assign, not a revoke. */
  #isGiven = false
  /** Main knows that all there is to read was read. */
  #reportedFinished = false
  #housekeptMs = 0
  readonly #limitsAtOnce: FillLimits
  /** The slot that is kept to fetch into while the pool is empty (dropNewest only). */
  #reserve: number | undefined

  constructor(options: IngressOptions) {
    this.#options = options
    this.#limitsAtOnce = { ...options.limits, timeoutMs: 0 }
    this.#membership = new Membership(options, (id) => this.#readOn([id]))
    this.#stall = new Stall(options, this.#membership)
    this.#reachability = new Reachability(options)
    const { assignments } = this.#membership
    this.#unreadable = new UnreadablePartitions(options, assignments, (id) => this.#readOn([id]))
  }

  /**
   * Works until main says finish, or the phase is END. Blocks.
   * @param events that the consumer had before.
   */
  run(events: readonly ConsumerEvent[] = []): void {
    const { signals, send, ranges, subscription } = this.#options
    for (const event of events) this.#handleEvent(event)
    assert(ranges === null || subscription === null, 'a replay has no subscription')
    if (ranges !== null) this.#assignRanges(ranges)
    else this.#pollTopics()
    if (subscription?.isIdle === true) send({ kind: 'standby' })
    while (signals.phase === PHASE_RUN && this.#finish === undefined) this.#turn()
    this.#flush()
    if (this.#reserve !== undefined) this.#options.slots.giveBack(this.#reserve)
    this.#reserve = undefined
    // Unread records would fill what a poll may put aside, and one that can take none neither waits
    // nor serves the group.
    this.#pauseAll()
    send({ kind: 'stopped', positions: this.#membership.positions() })
    while (signals.phase !== PHASE_END && this.#finish === undefined) this.#serve()
    this.#close()
  }

  #turn(): void {
    const slotIndex = this.#acquire()
    if (slotIndex !== undefined) {
      this.#fill(slotIndex)
      this.#readMessages()
    }
    this.#checkMembership()
    this.#everySecond()
  }

  #acquire(): number | undefined {
    const { slots, dropNewest } = this.#options
    if (this.#reserve !== undefined) {
      assert(dropNewest, 'only drop-newest keeps a slot')
      const slotIndex = this.#reserve
      this.#reserve = undefined
      return slotIndex
    }
    // Paused, the pool is left to recover, so that pausing and resuming do not alternate.
    if (this.#stall.paused && slots.freeCount < slots.slotCount / 4) {
      this.#stalled()
      return undefined
    }
    const slotIndex = slots.acquire(0)
    if (slotIndex !== undefined) return slotIndex
    this.#flush()
    const late = slots.acquire(WAIT_MS)
    if (late === undefined) this.#stalled()
    return late
  }

  #fill(slotIndex: number): void {
    const { consumer, pool, counters, reader, slots, filterHere } = this.#options
    // Gathered matches do not wait for more records: without any they are handed on.
    const limits = filterHere?.hasGathered === true ? this.#limitsAtOnce : this.#options.limits
    this.#endsDue.recordFetch()
    const records = consumer.fill(pool, slotIndex, limits)
    // Slots that wait for the output hold all the memory there is: as if none were free.
    if (consumer.isPoolFull) this.#stalled()
    else this.#stall.end()
    if (records > 0) {
      this.#reportFirst()
      reader.open(slotIndex)
      assert(reader.runCount > 0, 'records belong to an assignment')
      this.#membership.advance(reader)
      counters.add('records', records)
      counters.add('bytes', reader.valueBytes)
      this.#handOn(slotIndex)
    } else {
      slots.giveBack(slotIndex)
      this.#flush()
    }
    this.#handleEvents()
    this.#pauseFinished()
  }

  #handOn(slotIndex: number): void {
    const { slots, filterHere, signals, dropNewest } = this.#options
    if (filterHere !== null) {
      slots.claimOwn(slotIndex)
      filterHere.process(slotIndex, () => this.#stalled())
      return
    }
    if (dropNewest) {
      this.#handOnOrDrop(slotIndex)
      return
    }
    while (!slots.trySeal(slotIndex)) {
      // Forced to end: the slot is left as it is, and with it unresolved.
      if (signals.phase === PHASE_END) return
      this.#options.sleep(1)
      this.#stalled()
    }
    this.#stall.end()
  }

  /** Continues only with a spare slot to fetch into; without one, fetched records are dropped. */
  #handOnOrDrop(slotIndex: number): void {
    const { slots, counters, reader } = this.#options
    assert(this.#reserve === undefined, 'it was taken to fill this slot')
    this.#reserve = slots.acquire(0)
    if (this.#reserve !== undefined && slots.trySeal(slotIndex)) return
    if (this.#reserve !== undefined) slots.giveBack(this.#reserve)
    counters.add('dropped', reader.recordCount)
    this.#options.drop(slotIndex)
    this.#reserve = slotIndex
  }

  /** Before a wait, and before a message that speaks for all records read so far. */
  #flush(): void {
    this.#options.filterHere?.flush(() => this.#stalled())
  }

  /** One attempt on a pool that has no slot to give. */
  #stalled(): void {
    this.#flush()
    this.#options.counters.add('stalledMs', WAIT_MS)
    if (this.#stall.check()) this.#serve()
    else this.#readMessages()
  }

  /** Keeps the membership alive without taking records. */
  #serve(): void {
    this.#options.consumer.poll(WAIT_MS)
    this.#handleEvents()
    this.#readMessages()
    this.#checkMembership()
    this.#everySecond()
  }

  #handleEvents(): void {
    const { consumer } = this.#options
    if (!consumer.hasEvents) return
    this.#flush()
    for (const event of consumer.events()) this.#handleEvent(event)
  }

  #handleEvent(event: ConsumerEvent): void {
    const { send } = this.#options
    switch (event.kind) {
      case 'assign':
        this.#isGiven = true
        this.#reportedFinished = false
        this.#assign(event.partitions)
        if (!this.#hasJoined)
          this.#options.onJoined((question, done) => this.#membership.askReaders(question, done))
        this.#hasJoined = true
        break
      case 'revoke':
        this.#isGiven = false
        this.#membership.revoke(event, (message) => this.#handleMessage(message))
        break
      case 'error':
        this.#reachability.recordError(event.code)
        if (event.fatal) this.#isShutOut = true
        this.#unreadable.recordClientError(event)
        send(errorMessage(event))
        break
      case 'end':
        this.#membership.recordEnd(event.assignmentId, event.offset)
        break
      case 'commit':
        this.#membership.commits.acknowledge(event.partitions)
        if (event.error !== null) send({ kind: 'commitFailed', error: event.error })
        break
      case 'unreadable':
        if (this.#unreadable.recordUnreadable(event)) this.#reportUnreadable(event)
        break
      case 'readable':
        this.#unreadable.recordReadable(event.assignmentId)
        break
      case 'rewind':
        this.#membership.rewind(event)
        break
      case 'dropped':
        send(droppedEvents(event.count))
        break
    }
  }

  #reportUnreadable({
    assignmentId,
    ...error
  }: Extract<ConsumerEvent, { kind: 'unreadable' }>): void {
    const state = this.#membership.assignments.get(assignmentId)
    if (state === undefined) return
    const { topic, partition } = state
    const { send } = this.#options
    send({ ...error, kind: 'trouble', fatal: false, topic, partition })
  }

  #assign(partitions: readonly PartitionOffset[]): void {
    this.#begun(this.#membership.assign(partitions, (message) => this.#handleMessage(message)))
  }

  #assignRanges(ranges: readonly MarkedRange[]): void {
    this.#begun(this.#membership.assignRanges(ranges, (message) => this.#handleMessage(message)))
  }

  #checkMembership(): void {
    if (this.#options.signals.phase !== PHASE_RUN) return
    this.#begun(this.#membership.turn((message) => this.#handleMessage(message)))
  }

  #begun(isAny: boolean): void {
    const isReading = !this.#stall.paused && this.#options.signals.phase === PHASE_RUN
    if (isAny && !isReading) this.#pauseAll()
    this.#pauseFinished()
  }

  #pollTopics(): void {
    const { subscription, nowMs } = this.#options
    const partitions = subscription?.poll(nowMs()) ?? []
    if (partitions.length > 0) this.#assign(partitions)
  }

  #pauseAll(): void {
    this.#options.consumer.pause(this.#membership.assignmentIds())
  }

  /** Of a replay, or a run up to the end: pauses partitions that have reached their stop. */
  #pauseFinished(): void {
    const { consumer, send, ranges, untilEnd, subscription } = this.#options
    if (ranges === null && !untilEnd) return
    const ids = this.#membership.takeFinished()
    if (ids.length > 0) consumer.pause(ids)
    // Without partitions there is nothing to read only once it is known that there are none.
    const isGiven = ranges !== null || this.#isGiven || subscription?.isGiven === true
    if (this.#reportedFinished || !isGiven || !this.#membership.isFinished) return
    this.#reportedFinished = true
    send({ kind: 'finished', positions: this.#membership.positions() })
  }

  #readMessages(): void {
    for (let next = this.#options.receive(); next; next = this.#options.receive()) {
      this.#handleMessage(next)
    }
  }

  #handleMessage(message: ToIngress): void {
    const { consumer } = this.#options
    switch (message.kind) {
      case 'commit':
        this.#membership.commits.want(message.commits)
        break
      case 'pause':
        consumer.pause(this.#membership.hold(message.assignmentIds))
        break
      case 'resume':
        this.#readOn(this.#membership.letGo(message.assignmentIds))
        break
      case 'credentials':
        consumer.renew(message.properties)
        break
      case 'finish':
        this.#membership.commits.want(message.commits)
        this.#finish = message
        break
      case 'assigned':
      case 'revoked':
        // The answer came after its wait had ended: the rebalance is over.
        break
    }
  }

  /** Not while nothing is read at all; the end of a stall resumes what main has not paused. */
  #readOn(assignmentIds: readonly number[]): void {
    const { consumer, signals } = this.#options
    if (this.#stall.paused || signals.phase !== PHASE_RUN) return
    consumer.resume([...assignmentIds])
  }

  #reportFirst(): void {
    if (this.#sawRecord) return
    this.#sawRecord = true
    const { user, system } = process.cpuUsage()
    const first = { atNs: process.hrtime.bigint(), cpuMicros: user + system }
    this.#options.send({ kind: 'first', ...first })
  }

  #everySecond(): void {
    const nowMs = this.#options.nowMs()
    if (nowMs - this.#housekeptMs < HOUSEKEEPING_EVERY_MS) return
    this.#housekeptMs = nowMs
    const { consumer, send } = this.#options
    this.#reachability.check()
    this.#pollTopics()
    const isReading = !this.#stall.paused && this.#options.signals.phase === PHASE_RUN
    if (this.#endsDue.isDue(nowMs, this.#membership.hasHeld)) this.#membership.askEnds()
    else if (isReading) this.#membership.askEnds(this.#unreadable.still())
    this.#membership.commits.send(0)
    send({ kind: 'positions', positions: this.#membership.positions() })
    this.#unreadable.check(isReading)
    for (const line of consumer.logs()) send({ ...line, kind: 'log' })
  }

  #close(): void {
    const { consumer, send, filterHere } = this.#options
    assert(this.#reserve === undefined, 'the slot that was kept is free')
    assert(filterHere?.hasGathered !== true, 'all gathered matches were handed on')
    // When it must end at once, the last watermarks may have come just before.
    this.#readMessages()
    const timeoutMs = this.#finish?.timeoutMs ?? FORCED_CLOSE_MS
    const deadlineMs = this.#options.nowMs() + timeoutMs
    if (this.#finish !== undefined && !this.#isShutOut) {
      this.#membership.commits.sendFinally(timeoutMs, () => this.#serve())
    }
    const left = Math.max(FORCED_CLOSE_MS, deadlineMs - this.#options.nowMs())
    const inTime = consumer.close(Math.round(left))
    send({ kind: 'closed', inTime })
  }
}
