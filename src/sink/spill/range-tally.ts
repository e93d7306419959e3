/**
 * Adds up source ranges: for each partition the lowest and highest offset seen, and how many.
 *
 * Used for the ranges blocks and the seal (writer.ts) and to find out what is missing (scan.ts).
 * Bounded by the partitions that one segment holds.
 */
import type { SourceRange } from './contract.ts'

interface MutableRange {
  readonly topic: string
  readonly partition: number
  from: number
  to: number
  count: number
}

export class RangeTally {
  readonly #topics = new Map<string, Map<number, MutableRange>>()
  readonly #ranges: MutableRange[] = []
  /** The range of the last call: most entries come in runs of one partition. */
  #last: MutableRange | null = null

  get ranges(): readonly SourceRange[] {
    return this.#ranges
  }

  add(topic: string, partition: number, from: number, to: number, count: number): void {
    const range = this.#rangeOf(topic, partition)
    if (range.count === 0) {
      range.from = from
      range.to = to
    } else {
      range.from = Math.min(range.from, from)
      range.to = Math.max(range.to, to)
    }
    range.count += count
  }

  addAll(ranges: readonly SourceRange[]): void {
    for (const range of ranges) {
      this.add(range.topic, range.partition, range.from, range.to, range.count)
    }
  }

  countOf(topic: string, partition: number): number {
    return this.#topics.get(topic)?.get(partition)?.count ?? 0
  }

  #rangeOf(topic: string, partition: number): MutableRange {
    const last = this.#last
    if (last !== null && last.partition === partition && last.topic === topic) return last
    let partitions = this.#topics.get(topic)
    if (partitions === undefined) {
      partitions = new Map()
      this.#topics.set(topic, partitions)
    }
    let range = partitions.get(partition)
    if (range === undefined) {
      range = { topic, partition, from: 0, to: 0, count: 0 }
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
    const count = range.count - seen.countOf(range.topic, range.partition)
    return count > 0 ? [{ ...range, count }] : []
  })
}
