/**
 * Counts a segment's entries by partition and index, for `dropPartition`, and so that `read` can
 * skip a segment without reading the disk.
 */

/** The entries of one partition for one index, in one segment. */
export interface Group {
  readonly topic: string
  readonly partition: number
  readonly index: string
  waitingCount: number
  waitingBytes: number
  /** Waiting or in hand. */
  liveCount: number
  liveBytes: number
  /** Its partition was dropped: nothing counts any more. */
  dropped: boolean
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
      const none = { waitingCount: 0, waitingBytes: 0, liveCount: 0, liveBytes: 0 }
      group = { topic, partition, index, ...none, dropped: false }
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
