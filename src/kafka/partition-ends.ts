/**
 * Where partitions end, while nothing comes of them: a fetch tells the end of its partition, but a
 * stalled thread and a held partition fetch nothing, a response that is too large never arrives,
 * and their lag would seem to stand still.
 *
 * Used by the ingress thread. Bound. One request in ENDS_EVERY_MS, of ENDS_TIMEOUT_MS at most.
 */
import { OFFSET_END, type Bridge, type BridgeId } from '../bridge/bridge.ts'
import { noteAskedEnd, type Held } from './held.ts'

const ENDS_EVERY_MS = 5000
/** Ends are a matter of display: the thread waits for them no longer than a slot may take. */
const ENDS_TIMEOUT_MS = 500

/** When brokers have to be asked. */
export class EndsDue {
  #hasFetched = false
  #askedMs = -Infinity

  noteFetch(): void {
    this.#hasFetched = true
  }

  /** Once a second. @param hasStill whether a partition is paused by itself, or does not move. */
  look(nowMs: number, hasStill: boolean): boolean {
    const isStill = hasStill || !this.#hasFetched
    this.#hasFetched = false
    if (!isStill || nowMs - this.#askedMs < ENDS_EVERY_MS) return false
    this.#askedMs = nowMs
    return true
  }
}

/** Asks the brokers where these end; without an answer in time they stay as they are. */
export function askEnds(
  bridge: Pick<Bridge, 'consumerOffsetsForTimes'>,
  consumer: BridgeId,
  held: readonly Held[],
  nowMs: number,
): void {
  const asked = held.map(({ topic, partition }) => ({ topic, partition, offset: OFFSET_END }))
  let answers
  try {
    answers = bridge.consumerOffsetsForTimes(consumer, asked, ENDS_TIMEOUT_MS)
  } catch {
    // Nobody waits for it; what is wrong with the brokers is told as events of the client.
    return
  }
  for (const { topic, partition, offset, error } of answers) {
    const one = held.find((each) => each.topic === topic && each.partition === partition)
    if (one !== undefined && error === null) noteAskedEnd(one, offset, nowMs)
  }
}
