/** What a group has committed on a real Kafka, waited for. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { KafkaClient } from '../servers/kafka.ts'
import type { Logpipe } from './logpipe.ts'

/** Commits come once a second; a rebalance holds them back. */
const WAIT_MS_MAX = 60_000
const LOOK_EVERY_MS = 100

/** Who commits, and for which partitions. */
interface Committer {
  readonly kafka: KafkaClient
  readonly group: string
  readonly topic: string
  /** One that has ended commits no more. */
  readonly run: Logpipe
}

/**
 * Waits until each partition is committed up to where it ends.
 * @param ends by partition.
 * @returns the committed offsets, by partition.
 * @throws AssertionError with the offsets and what the run said, when they do not come.
 */
export async function untilCommitted(
  { kafka, group, topic, run }: Committer,
  ends: readonly number[],
): Promise<readonly number[]> {
  const endMs = performance.now() + WAIT_MS_MAX
  for (;;) {
    const { hasEnded } = run
    const committed = await kafka.groupOffsets(group, topic)
    if (ends.every((end, partition) => (committed[partition] ?? 0) >= end)) return committed
    const state = `committed ${committed.join(' ')} of ${ends.join(' ')}`
    assert.ok(performance.now() < endMs && !hasEnded, `${state}\n${run.stderr}`)
    await pause(LOOK_EVERY_MS)
  }
}
