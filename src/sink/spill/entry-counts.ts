/**
 * Counts a segment's entries by partition and index, for `dropPartition`, and so that `read` can
 * skip a segment without reading the disk.
 *
 *   0 <= waiting <= live, in entries and in bytes; after `drop` all are 0, and stay so
 */
import assert from 'node:assert/strict'

/** The entries of one partition for one index, in one segment. Its Segment alone changes it. */
export class Group {
  readonly topic: string
  readonly partition: number
  readonly index: string
  #waitingCount = 0
  #waitingBytes = 0
  #liveCount = 0
  #liveBytes = 0
  #isDropped = false

  constructor(topic: string, partition: number, index: string) {
    this.topic = topic
    this.partition = partition
    this.index = index
  }

  get waitingCount(): number {
    return this.#waitingCount
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Waiting or in hand. */
  get liveCount(): number {
    return this.#liveCount
  }

  get liveBytes(): number {
    return this.#liveBytes
  }

  /** Its partition was dropped: nothing counts any more. */
  get isDropped(): boolean {
    return this.#isDropped
  }

  addLive(count: number, bytes: number): void {
    assert(!this.#isDropped, 'a dropped group counts nothing')
    this.#liveCount += count
    this.#liveBytes += bytes
    assert(this.#liveCount >= this.#waitingCount && this.#liveBytes >= this.#waitingBytes)
  }

  /** Of the live ones; of new ones `addLive` comes first, of lost ones last. */
  addWaiting(count: number, bytes: number): void {
    assert(!this.#isDropped, 'a dropped group counts nothing')
    this.#waitingCount += count
    this.#waitingBytes += bytes
    assert(this.#waitingCount >= 0 && this.#waitingCount <= this.#liveCount)
    assert(this.#waitingBytes >= 0 && this.#waitingBytes <= this.#liveBytes)
  }

  drop(): void {
    assert(!this.#isDropped, 'a group is dropped once')
    assert(this.#liveCount === 0 && this.#waitingCount === 0, 'its entries were counted off')
    this.#isDropped = true
  }
}

export class GroupTable {
  readonly #topics = new Map<string, Map<string, Map<number, Group>>>()
  /** Of the last call: most entries come in runs of one group. */
  #last: Group | null = null

  /** The group, made if need be. */
  of(topic: string, partition: number, index: string): Group {
    const last = this.#last
    if (
      last !== null &&
      last.partition === partition &&
      last.topic === topic &&
      last.index === index
    ) {
      return last
    }
    const partitions = childMap(childMap(this.#topics, topic), index)
    let group = partitions.get(partition)
    if (group === undefined) {
      group = new Group(topic, partition, index)
      partitions.set(partition, group)
    }
    this.#last = group
    return group
  }

  *all(): Generator<Group> {
    for (const indices of this.#topics.values()) {
      for (const partitions of indices.values()) yield* partitions.values()
    }
  }

  /** Takes a partition's groups out of the table. */
  remove(topic: string, partition: number): Group[] {
    this.#last = null
    const removed: Group[] = []
    for (const partitions of this.#topics.get(topic)?.values() ?? []) {
      const group = partitions.get(partition)
      if (group !== undefined) removed.push(group)
      partitions.delete(partition)
    }
    return removed
  }
}

/** The map behind a key, made if need be. */
export function childMap<K, L, V>(map: Map<K, Map<L, V>>, key: K): Map<L, V> {
  let found = map.get(key)
  if (found === undefined) {
    found = new Map()
    map.set(key, found)
  }
  return found
}
