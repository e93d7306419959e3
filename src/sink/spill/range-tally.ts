/**
 * Adds up source ranges: for each partition's log the lowest and highest offset seen, and how many.
 *
 * Used for the ranges blocks and the seal (writer.ts) and to find out what is missing (scan.ts).
 * Bounded by the partitions that one segment holds.
 */
import type { SourceRange, SpillEntry } from './contract.ts'
import { logName } from './format.ts'

type Log = Pick<SpillEntry, 'topic' | 'log' | 'partition'>

interface MutableRange extends Log {
  from: number
  to: number
  count: number
}

export class RangeTally {
  readonly #logs = new Map<string, Map<number, MutableRange>>()
  readonly #ranges: MutableRange[] = []
  /** The range of the last call: most entries come in runs of one partition. */
  #last: MutableRange | null = null

  get ranges(): readonly SourceRange[] {
    return this.#ranges
  }

  addOne(entry: Log & { readonly offset: number }): void {
    this.#add(entry, entry.offset, entry.offset + 1, 1)
  }

  addAll(ranges: readonly SourceRange[]): void {
    for (const range of ranges) this.#add(range, range.from, range.to, range.count)
  }

  countOf(log: Log): number {
    return this.#logs.get(logName(log))?.get(log.partition)?.count ?? 0
  }

  #add(log: Log, from: number, to: number, count: number): void {
    const range = this.#rangeOf(log)
    if (range.count === 0) {
      range.from = from
      range.to = to
    } else {
      range.from = Math.min(range.from, from)
      range.to = Math.max(range.to, to)
    }
    range.count += count
  }

  #rangeOf(of: Log): MutableRange {
    const { topic, log, partition } = of
    const last = this.#last
    if (last?.partition === partition && last.topic === topic && last.log === log) return last
    const name = logName(of)
    let partitions = this.#logs.get(name)
    if (partitions === undefined) {
      partitions = new Map()
      this.#logs.set(name, partitions)
    }
    let range = partitions.get(partition)
    if (range === undefined) {
      range = { topic, ...(log === undefined ? {} : { log }), partition, from: 0, to: 0, count: 0 }
      partitions.set(partition, range)
      this.#ranges.push(range)
    }
    this.#last = range
    return range
  }
}

/** What `all` holds beyond `seen`, with the offsets of `all`. */
export function missingRanges(all: readonly SourceRange[], seen: RangeTally): SourceRange[] {
  return all.flatMap((range) => {
    const count = range.count - seen.countOf(range)
    return count > 0 ? [{ ...range, count }] : []
  })
}
