/**
 * Rules in a filtering thread: from the rules that hold of a record to the documents that are made
 * of it, and the counts by rule.
 *
 *   hits of the scan --sample--> routes, one for each document
 *                        +-----> sampled, filtered(sample) in the books
 *
 * Sampling asks nothing but the record: the first four bytes of the SHA-256 of its value of `by`,
 * or of topic-partition-offset, as a number, are below the share of 2^32. So a record that is read
 * again, here or by another process, is sampled as before, and rules with the same `by` agree.
 */
import { hash } from 'node:crypto'
import { isUtf8 } from 'node:buffer'
import { membersAt } from '../core/json-members.ts'
import { JSON_OTHER, scanJson } from '../core/json-scan.ts'
import type { RuleList, Sample } from '../core/rules.ts'
import type { DroppedRecords } from '../bridge/bridge.ts'
import type { MatchedRecord, RuleRoute } from '../pool/record-encoder.ts'
import type { RuleTally } from './matches.ts'

/** A rule as it routes, and what its sample leaves of it. */
interface Router {
  readonly route: RuleRoute
  readonly sample: Sample | null
}

export class Rules {
  readonly #routers: readonly Router[]
  /** Of the run: by number of a rule. */
  #tallies = new Map<number, RuleTally>()
  #copies = 0

  constructor({ isEach, rules }: RuleList) {
    this.#routers = rules.map(({ name, index, pipeline, sample }) => ({
      // One record may become several documents of one index.
      route: { name, index, pipeline, idSuffix: isEach ? `-${name}` : '' },
      sample,
    }))
  }

  route(rule: number): RuleRoute {
    return this.#routers[rule]!.route
  }

  /**
   * Which rules make a document of the record, by their numbers; counts them and the others.
   * @param hits alternatives that hold: those above the rules are somebody else's.
   */
  take(record: MatchedRecord, hits: readonly number[]): readonly number[] {
    const ours = hits.filter((hit) => hit < this.#routers.length)
    if (ours.length > 1) this.#copies += ours.length - 1
    return ours.filter((rule) => {
      const { sample } = this.#routers[rule]!
      const isTaken = sample === null || isSampled(record, sample)
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
    const tally = { rule, documents: 0, dropped: 0, sampled: 0 }
    this.#tallies.set(rule, tally)
    return tally
  }
}

function isSampled(record: MatchedRecord, { share, by }: Sample): boolean {
  if (share === 1) return true
  const { topic, partition, offset } = record
  const value = by === null ? null : by.of === 'key' ? record.key : fieldOf(record, by.path)
  const digest = hash('sha256', value ?? `${topic}-${partition}-${offset}`, 'buffer')
  return digest.readUInt32BE(0) < share * 2 ** 32
}

/** The text of the last value at a path; null: there is none, or it is null, an object or array. */
function fieldOf({ value }: MatchedRecord, path: readonly string[]): string | null {
  if (value === null || !isUtf8(value) || scanJson(value, 0, value.length) === JSON_OTHER) {
    return null
  }
  const last = membersAt(value, [path]).at(-1)
  if (last === undefined) return null
  const json = value.toString('utf8', last.valueFrom, last.valueTo)
  if (json.startsWith('"')) return JSON.parse(json) as string
  return /^[{[n]/.test(json) ? null : json
}
