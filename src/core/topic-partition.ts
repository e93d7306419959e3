/** A partition of a topic, and ranges of its offsets. */

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Offsets [from, to) of one partition; empty where the two are equal. */
export interface OffsetRange extends TopicPartition {
  /** Which log of that name, from Kafka's topic id; absent: not known, or any. */
  readonly log?: string | undefined
  readonly from: number
  readonly to: number
}

/** For maps: a topic's name has no slash in it. */
export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`
