/** Entries and spills as the tests want them. */
import type { Locks } from '../../src/core/disk.ts'
import { openSpill, type SpillOptions } from '../../src/sink/spill/open.ts'
import type { Spill, SpillDamage, SpillEntry } from '../../src/sink/spill/contract.ts'
import { MemoryDisk } from './memory-disk.ts'

/** Locks among the spills of one test, in place of flock. */
export class TestLocks implements Locks {
  readonly #held = new Map<number, string>()
  #next = 1

  lock(file: string): number | null {
    if ([...this.#held.values()].includes(file)) return null
    this.#held.set(this.#next, file)
    return this.#next++
  }

  unlock(id: number): void {
    this.#held.delete(id)
  }
}

export function entryOf(
  partition: number,
  offset: number,
  bytes = 40,
  index = 'logs',
  topic = 'app',
): SpillEntry {
  const head = `{"create":{"_id":"${topic}-${partition}-${offset}"}}\n{"m":"`
  const fill = 'x'.repeat(Math.max(0, bytes - head.length - 3))
  const document = Buffer.from(`${head}${fill}"}\n`)
  const timestampMs = 1_700_000_000_000 + offset
  return { topic, partition, offset, timestampMs, timestampType: 'create', index, document }
}

export interface TestSpill {
  readonly spill: Spill
  readonly disk: MemoryDisk
  readonly damage: SpillDamage[]
  readonly troubles: string[]
}

export async function openTestSpill(
  options: Partial<SpillOptions> & { readonly disk?: MemoryDisk } = {},
): Promise<TestSpill> {
  const disk = options.disk ?? new MemoryDisk()
  const damage: SpillDamage[] = []
  const troubles: string[] = []
  const spill = await openSpill({
    path: '/spill',
    maxBytes: 1024 * 1024,
    commitOn: 'spill',
    pipeline: 'app',
    target: 'http://localhost:9200/logs',
    locks: new TestLocks(),
    events: { damaged: (one) => damage.push(one), trouble: (one) => troubles.push(one) },
    ...options,
    disk,
  })
  return { spill, disk, damage, troubles }
}

/** topic-partition-offset of each entry. */
export function keysOf(entries: readonly SpillEntry[]): string[] {
  return entries.map(({ topic, partition, offset }) => `${topic}-${partition}-${offset}`)
}

/** A small generator of numbers, so that a seed repeats a test (mulberry32). */
export function randomOf(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}
