/**
 * `logpipe bench`: how fast this machine reads and filters, beside a plain loop over librdkafka.
 *
 * A load is a topic of its own: made, filled, read and deleted here. Every reader is a process of
 * its own, so that its CPU and memory are its own, and all of them take turns, so that whatever
 * slows the machine down for a while slows down each of them.
 *
 * Bound. A load is filled for FILL_SECONDS_MAX at most, readers read no more of it than takes the
 * plain one PLAIN_SECONDS_MAX, and a further round begins only where it will end within the load's
 * share of TOTAL_SECONDS.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { formatBytes } from '../core/units.ts'
import {
  type Load,
  type LoadResult,
  type ReaderName,
  type ReaderRun,
  READERS,
} from './compare-report.ts'

const SHAPES = [
  { name: '100 B', recordBytes: 100, compression: 'none' },
  { name: '1 KB', recordBytes: 1024, compression: 'none' },
  { name: '10 KB', recordBytes: 10_240, compression: 'none' },
  { name: '1 KB lz4', recordBytes: 1024, compression: 'lz4' },
] as const

/** @param run distinguishes the topics of this run from those of any other. */
export function loadsOf(run: string): readonly Load[] {
  return SHAPES.map((shape) => ({
    ...shape,
    topic: `logpipe-bench-${run}-${shape.name.toLowerCase().replaceAll(' ', '-')}`,
  }))
}

export interface CompareDeps {
  /** @returns false when there is such a topic already. */
  readonly createTopic: (topic: string) => Promise<boolean>
  readonly deleteTopic: (topic: string) => Promise<unknown>
  /** Fills the load's topic; ends early by the signal. @returns how many records it has. */
  readonly fill: (load: Load, signal: AbortSignal) => Promise<number>
  /** One reader, from the beginning of the topic to these many records. */
  readonly read: (
    reader: ReaderName,
    load: Load,
    records: number,
    secondsMax: number,
  ) => Promise<ReaderRun>
  readonly say: (line: string) => void
  readonly clock: Clock
  readonly signal: AbortSignal
}

const FILL_SECONDS_MAX = 8
/** From the start of its process: for machines that are slow to start one. */
const READ_SECONDS_MAX = 20
/** What a reader reads takes the plain one so long at most, by its first round. */
const PLAIN_SECONDS_MAX = 3
/** Three rounds of all loads: with the start and the end that is less than three minutes. */
const TOTAL_SECONDS = 160
const USUAL_ROUNDS = 3

/**
 * Measures each load in turn, and deletes every topic that it made, whatever happened.
 * @throws LogpipeError STOPPED when the signal came; KAFKA_TOPIC; what the deps throw.
 */
export async function compare(
  loads: readonly Load[],
  rounds: number,
  deps: CompareDeps,
): Promise<LoadResult[]> {
  const made: string[] = []
  const totalMs = TOTAL_SECONDS * 1000 * Math.max(1, rounds / USUAL_ROUNDS)
  const endMs = deps.clock.monotonicMs() + totalMs
  try {
    const results: LoadResult[] = []
    for (const [index, load] of loads.entries()) {
      refuseStopped(deps)
      if (!(await deps.createTopic(load.topic))) {
        const message = `topic "${load.topic}" already exists, and this benchmark did not create it`
        throw new LogpipeError('KAFKA_TOPIC', `${message}; run the benchmark again`)
      }
      made.push(load.topic)
      const leftMs = endMs - deps.clock.monotonicMs()
      results.push(await measure(load, rounds, leftMs / (loads.length - index), deps))
    }
    return results
  } catch (error) {
    // What was killed in the middle fails in a way of its own.
    refuseStopped(deps)
    throw error
  } finally {
    await deleteAll(made, deps)
  }
}

/** A topic that cannot be deleted is named; the result does not go with it. */
async function deleteAll(topics: readonly string[], deps: CompareDeps): Promise<void> {
  for (const topic of topics) {
    try {
      await deps.deleteTopic(topic)
    } catch (error) {
      deps.say(`cannot delete topic ${topic}: ${messageOf(error)}; delete it yourself`)
    }
  }
}

async function measure(
  load: Load,
  rounds: number,
  shareMs: number,
  deps: CompareDeps,
): Promise<LoadResult> {
  const { clock } = deps
  const startMs = clock.monotonicMs()
  deps.say(`${load.name}: producing`)
  const records = await fillInTime(load, deps)
  refuseStopped(deps)
  if (records === 0) {
    throw new LogpipeError('NO_RECORDS', `could not produce any record to "${load.topic}"`)
  }
  const size = formatBytes(records * load.recordBytes)
  deps.say(`${load.name}: ${records.toLocaleString('en-US')} records, ${size}`)
  let wanted = records
  const runs = new Map<ReaderName, ReaderRun[]>(READERS.map((reader) => [reader, []]))
  for (let round = 1; round <= rounds; round++) {
    const roundMs = clock.monotonicMs()
    // Each begins a round once, so that none always follows the same one.
    for (const reader of rotated(READERS, round - 1)) {
      refuseStopped(deps)
      const run = await deps.read(reader, load, wanted, READ_SECONDS_MAX)
      runs.get(reader)?.push(run)
      const isFirst = round === 1 && reader === READERS[0]
      if (isFirst) wanted = Math.min(records, Math.ceil(run.recordsPerSecond * PLAIN_SECONDS_MAX))
    }
    refuseStopped(deps)
    deps.say(`${load.name}: round ${round} of ${rounds}: ${roundText(load, runs)}`)
    const nowMs = clock.monotonicMs()
    if (round < rounds && nowMs - startMs + (nowMs - roundMs) > shareMs) {
      deps.say(`${load.name}: stopped after ${round} of ${rounds} rounds, which take too long here`)
      break
    }
  }
  return {
    load,
    records,
    runs: READERS.map((reader) => ({ reader, runs: runs.get(reader) ?? [] })),
  }
}

async function fillInTime(load: Load, deps: CompareDeps): Promise<number> {
  const over = new AbortController()
  const cancel = deps.clock.after(FILL_SECONDS_MAX * 1000, () => over.abort())
  try {
    return await deps.fill(load, AbortSignal.any([over.signal, deps.signal]))
  } finally {
    cancel()
  }
}

function rotated<Item>(items: readonly Item[], by: number): readonly Item[] {
  return items.map((_, index) => items[(index + by) % items.length]!)
}

/** "plain 0.92, direct 1.85, worker 1.90, raw 2.41 GB/s": the latest of each. */
function roundText(load: Load, runs: ReadonlyMap<ReaderName, readonly ReaderRun[]>): string {
  const rates = READERS.map((reader) => {
    const last = runs.get(reader)?.at(-1)
    assert.ok(last !== undefined)
    return `${reader} ${((last.recordsPerSecond * load.recordBytes) / 1e9).toFixed(2)}`
  })
  return `${rates.join(', ')} GB/s`
}

function refuseStopped(deps: CompareDeps): void {
  if (!deps.signal.aborted) return
  const message = 'stopped before the measurement was complete; its topics are deleted'
  throw new LogpipeError('STOPPED', message)
}
