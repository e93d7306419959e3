/**
 * Rules in a filtering thread: from the rules that hold of a record to the documents that are made
 * of it, and the counts by rule.
 *
 *   hits of the scan --sample--> routes, one for each document
 *                        +-----> sampled, filtered(sample) in the books
 *
 * Sampling asks nothing but the record: the first four bytes of the SHA-256 of its value of `by`,
 * or of topic-partition-offset, as a number, are below the share of 2^32. So a record that is read
 * again, here or by another process, is sampled as before, and rules with the same `by` agree. The
 * value of a field is the one that labels of metrics have: the add-on reads both.
 */
import { hash } from 'node:crypto'
import type { Bridge, BridgeId, DroppedRecords } from '../bridge/bridge.ts'
import type { RuleList, Sample } from '../core/rules.ts'
import type { MatchedRecord, RuleRoute } from '../pool/record-encoder.ts'
import type { RuleTally } from './matches.ts'

export type RuleFields = Pick<Bridge, 'fieldsOpen' | 'fieldsOf' | 'fieldsClose'>

/** A rule as it routes, and what its sample leaves of it. */
interface Router {
  readonly number: number
  readonly route: RuleRoute
  readonly sample: Sample | null
  /** Where the sample's value stands; null: it is no field. */
  readonly fields: BridgeId | null
}

export class Rules {
  readonly #bridge: RuleFields
  readonly #routers: readonly Router[]
  /** Of the run: by number of a rule. */
  #tallies = new Map<number, RuleTally>()
  #copies = 0

  constructor(bridge: RuleFields, { isEach, rules }: RuleList) {
    this.#bridge = bridge
    this.#routers = rules.map(({ name, number, index, pipeline, sample }) => {
      const by = sample?.by ?? null
      return {
        number,
        // One record may become several documents of one index.
        route: { name, index, pipeline, idSuffix: isEach ? `-${name}` : '' },
        sample,
        fields: by?.of === 'field' ? bridge.fieldsOpen([by.path]) : null,
      }
    })
  }

  route(rule: number): RuleRoute {
    return this.#routers[rule]!.route
  }

  /** What stands for a rule outside of this thread, whatever its place in the list is. */
  numberOf(rule: number): number {
    return this.#routers[rule]!.number
  }

  close(): void {
    for (const { fields } of this.#routers) if (fields !== null) this.#bridge.fieldsClose(fields)
  }

  /**
   * Which rules make a document of the record, by their places; counts them and the others.
   * @param hits alternatives that hold: those above the rules are somebody else's.
   */
  take(record: MatchedRecord, hits: readonly number[]): readonly number[] {
    const ours = hits.filter((hit) => hit < this.#routers.length)
    if (ours.length > 1) this.#copies += ours.length - 1
    return ours.filter((rule) => {
      const { sample, fields } = this.#routers[rule]!
      const isTaken = sample === null || this.#isSampled(record, sample, fields)
      if (isTaken) this.#tally(rule).documents++
      else this.#tally(rule).sampled++
      return isTaken
    })
  }

  noteDropped(rows: readonly DroppedRecords[]): void {
    for (const { alternative, records } of rows) {
      if (alternative < this.#routers.length) this.#tally(alternative).dropped += records
    }
  }

  /** The counts since the last call. */
  takeTallies(): { readonly tallies: readonly RuleTally[]; readonly copies: number } {
    const taken = { tallies: [...this.#tallies.values()], copies: this.#copies }
    this.#tallies = new Map()
    this.#copies = 0
    return taken
  }

  #tally(rule: number): RuleTally {
    const known = this.#tallies.get(rule)
    if (known !== undefined) return known
    const tally = { rule: this.numberOf(rule), documents: 0, dropped: 0, sampled: 0 }
    this.#tallies.set(rule, tally)
    return tally
  }

  #isSampled(record: MatchedRecord, { share, by }: Sample, fields: BridgeId | null): boolean {
    if (share === 1) return true
    const { topic, partition, offset, key, value } = record
    const isField = fields !== null && value !== null
    const [field = null] = isField ? this.#bridge.fieldsOf(fields, value) : []
    const text = by?.of === 'key' ? key : field
    const digest = hash('sha256', text ?? `${topic}-${partition}-${offset}`, 'buffer')
    return digest.readUInt32BE(0) < share * 2 ** 32
  }
}
