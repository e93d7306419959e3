/**
 * PRODUCT_LINE=metrics: how many records held each pattern, by topic and partition, in place of the
 * records themselves.
 *
 *   filter thread   PatternEncoder: a "document" is the list of patterns that the record holds
 *   main thread     PatternCounts: adds them up; from here to the snapshot and to Prometheus
 *
 * Document: for each pattern its index, two bytes, little endian. Bound: one number for each
 * pattern in each partition that this process was ever given.
 */
import assert from 'node:assert/strict'
import type { BodyBuilder, MatchedRecord, RecordEncoder } from '../pool/record-encoder.ts'
import { keyOf } from '../core/topic-partition.ts'

export interface CountedPatterns {
  /** As the filter has them; none: every record counts. */
  readonly patterns: readonly Uint8Array[]
  readonly ignoreCase: boolean
  readonly invertMatch: boolean
  /** What all that matches is counted under; null: each pattern by itself. */
  readonly label: string | null
}

/** Sums since the process started, as counters are. */
export interface PatternCount {
  readonly pattern: string
  readonly topic: string
  readonly partition: number
  readonly count: number
}

/** As metrics are named; the snapshot has it by pattern, topic and partition. */
export const PATTERN_METRIC = 'pattern_matched_total'

const INDEX_BYTES = 2

/** What a record that matched is counted under: it holds at least one of the patterns. */
export class PatternEncoder implements RecordEncoder {
  readonly #patterns: readonly Buffer[]
  readonly #ignoreCase: boolean

  constructor({ patterns, ignoreCase, invertMatch }: CountedPatterns) {
    // What holds none of them, or anything at all, is counted as one.
    const sought = invertMatch ? [] : patterns
    assert(sought.length < 2 ** (8 * INDEX_BYTES))
    this.#ignoreCase = ignoreCase
    this.#patterns = sought.map((pattern) => this.#folded(Buffer.from(pattern)))
  }

  encode({ value }: MatchedRecord, body: BodyBuilder): void {
    // The scan has found one already: with a single pattern there is nothing to look for.
    if (this.#patterns.length <= 1 || value === null) {
      this.#add(0, body)
      return
    }
    const bytes = this.#folded(value)
    for (const [index, pattern] of this.#patterns.entries()) {
      if (bytes.includes(pattern)) this.#add(index, body)
    }
  }

  #add(index: number, body: BodyBuilder): void {
    body.byte(index & 0xff)
    body.byte(index >> 8)
  }

  /** A to Z as a to z, as the filter folds; a copy. */
  #folded(bytes: Buffer): Buffer {
    if (!this.#ignoreCase) return bytes
    return Buffer.from(bytes).map((byte) =>
      byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte,
    ) as Buffer
  }
}

export class PatternCounts {
  /** Of each index in a document. */
  readonly #labels: readonly string[]
  readonly #partitions = new Map<string, { topic: string; partition: number; counts: number[] }>()

  constructor(counted: CountedPatterns) {
    this.#labels = labelsOf(counted)
  }

  /** The documents of one partition, one behind another. */
  add(topic: string, partition: number, documents: Uint8Array): void {
    const key = keyOf({ topic, partition })
    let entry = this.#partitions.get(key)
    if (entry === undefined) {
      entry = { topic, partition, counts: this.#labels.map(() => 0) }
      this.#partitions.set(key, entry)
    }
    for (let at = 0; at < documents.length; at += INDEX_BYTES) {
      const index = documents[at]! | (documents[at + 1]! << 8)
      assert(index < entry.counts.length, 'a pattern of this pipeline')
      entry.counts[index]! += 1
    }
  }

  /** Every pattern in every partition seen, those of 0 too: a series must not begin with its 1. */
  list(): PatternCount[] {
    return [...this.#partitions.values()].flatMap(({ topic, partition, counts }) =>
      this.#labels.map((pattern, index) => ({ pattern, topic, partition, count: counts[index]! })),
    )
  }
}

/** Sums over all partitions, in the order of the patterns. */
export function totalsOf(counts: readonly PatternCount[]): Record<string, number> {
  // A pattern may be called as what every object has: constructor, __proto__.
  const totals = new Map<string, number>()
  for (const { pattern, count } of counts) totals.set(pattern, (totals.get(pattern) ?? 0) + count)
  return Object.fromEntries(totals)
}

/** Patterns as people wrote them; bytes that are no text as hex:00ff. */
function labelsOf({ patterns, invertMatch, label }: CountedPatterns): string[] {
  if (label !== null) return [label]
  const texts = patterns.map((pattern) => {
    const bytes = Buffer.from(pattern)
    const text = bytes.toString('utf8')
    return Buffer.from(text, 'utf8').equals(bytes) ? text : `hex:${bytes.toString('hex')}`
  })
  if (texts.length === 0) return [invertMatch ? 'none of any' : 'any']
  return invertMatch ? [`none of ${texts.join(', ')}`] : texts
}
