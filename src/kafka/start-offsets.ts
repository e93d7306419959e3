/**
 * Where reading begins: resolved here, in full, before anything is assigned.
 *
 * librdkafka would choose by itself and in silence (auto.offset.reset). Asking first means that the
 * ledger knows its first offset, and that a committed offset which has expired is told and counted.
 */
import {
  OFFSET_BEGINNING,
  OFFSET_END,
  OFFSET_NONE,
  type Bridge,
  type BridgeId,
  type PartitionError,
  type PartitionOffset,
} from '../bridge/bridge.ts'
import { LogpipeError } from '../core/errors.ts'
import type { StartPosition } from '../options/notations.ts'
import type { LostRange } from './ingress-messages.ts'

/** Each request may take this long; a broker that restarts is back within a few of them. */
const REQUEST_TIMEOUT_MS = 10_000

/** When to give up asking, by the monotonic clock. */
export interface Deadline {
  nowMs(): number
  readonly atMs: number
}

export interface StartOffsets {
  readonly partitions: readonly PartitionOffset[]
  readonly lost: readonly LostRange[]
}

/** For a reader whom no group has a say in: as if none had committed anything. */
export function outsideOfGroups(
  bridge: Pick<Bridge, 'consumerOffsetsForTimes'>,
): Pick<Bridge, 'consumerCommitted' | 'consumerOffsetsForTimes'> {
  return {
    consumerCommitted: (_consumer, partitions) =>
      partitions.map((one) => ({ ...one, offset: OFFSET_NONE, error: null })),
    consumerOffsetsForTimes: (...asked) => bridge.consumerOffsetsForTimes(...asked),
  }
}

/** @throws LogpipeError KAFKA_UNREACHABLE when no answer came until the deadline. */
export function resolveStartOffsets(
  bridge: Pick<Bridge, 'consumerCommitted' | 'consumerOffsetsForTimes'>,
  consumer: BridgeId,
  partitions: readonly PartitionOffset[],
  start: StartPosition,
  deadline: Deadline,
): StartOffsets {
  const ask = (what: string, call: () => PartitionError[]) => askUntil(what, call, deadline)
  const committed = ask('committed offsets', () =>
    bridge.consumerCommitted(consumer, partitions, REQUEST_TIMEOUT_MS),
  )
  const offsetsAt = (what: string, list: readonly PartitionOffset[], at: number) =>
    list.length === 0
      ? []
      : ask(what, () =>
          bridge.consumerOffsetsForTimes(
            consumer,
            list.map((one) => ({ ...one, offset: at })),
            REQUEST_TIMEOUT_MS,
          ),
        )
  const earliest = byPartition(offsetsAt('first offsets', partitions, OFFSET_BEGINNING))
  const fresh = committed.filter((one) => one.offset < 0)
  const chosen = byPartition(startOf(start, fresh, earliest, offsetsAt))
  const lost: LostRange[] = []
  const resolved = committed.map(({ topic, partition, offset }) => {
    if (offset < 0) return { topic, partition, offset: offsetOf(chosen, topic, partition) }
    const first = offsetOf(earliest, topic, partition)
    if (offset < first) lost.push({ topic, partition, from: offset, to: first })
    return { topic, partition, offset: Math.max(offset, first) }
  })
  return { partitions: resolved, lost }
}

/**
 * The offset of each partition at a time (ms since 1970) or at OFFSET_END, in the partitions'
 * order; below 0 where there is none.
 * @throws LogpipeError KAFKA_UNREACHABLE when no answer came until the deadline.
 */
export function askOffsets(
  bridge: Pick<Bridge, 'consumerOffsetsForTimes'>,
  consumer: BridgeId,
  what: string,
  partitions: readonly PartitionOffset[],
  at: number,
  deadline: Deadline,
): number[] {
  const asked = partitions.map((one) => ({ ...one, offset: at }))
  const answer = askUntil(
    what,
    () => bridge.consumerOffsetsForTimes(consumer, asked, REQUEST_TIMEOUT_MS),
    deadline,
  )
  const offsets = byPartition(answer)
  return partitions.map(({ topic, partition }) => offsets.get(nameOf(topic, partition)) ?? -1)
}

type OffsetsAt = (what: string, list: readonly PartitionOffset[], at: number) => PartitionError[]

function startOf(
  start: StartPosition,
  fresh: readonly PartitionOffset[],
  earliest: ReadonlyMap<string, number>,
  offsetsAt: OffsetsAt,
): PartitionOffset[] {
  switch (start.kind) {
    case 'earliest':
      return fresh.map((one) => ({
        ...one,
        offset: offsetOf(earliest, one.topic, one.partition),
      }))
    case 'latest':
      return offsetsAt('end offsets', fresh, OFFSET_END)
    case 'time': {
      const found = offsetsAt('offsets for a time', fresh, start.timeMs)
      // Nothing is as late as that: such a partition begins at its end.
      const none = found.filter((one) => one.offset < 0)
      return [
        ...found.filter((one) => one.offset >= 0),
        ...offsetsAt('end offsets', none, OFFSET_END),
      ]
    }
  }
}

/**
 * Calls until no partition has an error, or the deadline has passed. Each call is bounded in time.
 */
function askUntil(
  what: string,
  call: () => PartitionError[],
  deadline: Deadline,
): PartitionError[] {
  for (;;) {
    let problem: string
    try {
      const answer = call()
      const failed = answer.find((one) => one.error !== null)
      if (failed === undefined) return answer
      problem = `${failed.topic} [${failed.partition}]: ${failed.error}`
    } catch (thrown) {
      problem = thrown instanceof Error ? thrown.message : String(thrown)
    }
    if (deadline.nowMs() >= deadline.atMs) {
      throw new LogpipeError('KAFKA_UNREACHABLE', `no broker told the ${what}: ${problem}`)
    }
    // An error may come back at once; without this the loop would spin. The thread has nothing
    // else to do.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_PAUSE_MS)
  }
}

/** Short against an election (about a second), long against a busy loop. */
const RETRY_PAUSE_MS = 100

const nameOf = (topic: string, partition: number) => `${topic}\u0000${partition}`

function byPartition(list: readonly PartitionOffset[]): ReadonlyMap<string, number> {
  return new Map(list.map((one) => [nameOf(one.topic, one.partition), one.offset]))
}

function offsetOf(offsets: ReadonlyMap<string, number>, topic: string, partition: number): number {
  const offset = offsets.get(nameOf(topic, partition))
  if (offset === undefined || offset < 0) {
    throw new LogpipeError('KAFKA_UNREACHABLE', `no offset came for ${topic} [${partition}]`)
  }
  return offset
}
