/**
 * The books account for every record, per partition and in total.
 *
 *   carried_in + fetched + copied
 *                        = filtered(reason) + indexed + duplicate + superseded + failure_store
 *                        + pipeline_dropped + dead_lettered + dropped(reason) + fenced
 *                        + written + spilled + counted + pending
 *
 * Owned by the main thread. Each number is counted where it happens: `fetched` by the reader of a
 * slot, `filtered` by its filter, the outcomes by the output. `pending` is not counted here but
 * asked of the ledger, so that the equation checks one against the other.
 *
 * `spilled` counts documents in the spill whose offsets are committed (`--commit-on spill`). A
 * document that leaves the spill moves to its outcome. Documents that an earlier process left count
 * as carried_in, so the spilled of one process are the carried_in of the next.
 *
 * A record is counted once. Where several rules take it (`all: true`) it becomes a document for
 * each: it is fetched once, and each document above the first is `copied`. From there on documents
 * are counted, those pending too. What a rule keeps and drops again is filtered(RULE), by its name.
 *
 * A record that is fetched twice counts twice: the refetch is `fetched`, and the record it replaces
 * is `fenced`. A record that neither Kafka nor the spill has any more was never fetched, so `lost`
 * is outside the equation, as ranges of offsets.
 *
 * Bound. One book for each topic-partition ever assigned; LOST_RANGES_MAX ranges in each.
 */
import assert from 'node:assert/strict'
import { FILTER_REASONS } from '../core/live-books.ts'
import { keyOf } from '../core/topic-partition.ts'

export type FilterReason = (typeof FILTER_REASONS)[number]

/** Why a record was dropped; only where the user allowed it. */
export const DROP_REASONS = ['es_full', 'overflow_newest'] as const
export type DropReason = (typeof DROP_REASONS)[number]

export const LOST_REASONS = ['retention', 'unreadable', 'spill'] as const
export type LostReason = (typeof LOST_REASONS)[number]

/** Entries that have no reason; the outputs' outcomes are among them. */
export const PLAIN_ENTRIES = [
  'carried_in',
  'fetched',
  'copied',
  'indexed',
  'duplicate',
  'superseded',
  'failure_store',
  'pipeline_dropped',
  'dead_lettered',
  'fenced',
  'written',
  'spilled',
  'counted',
] as const
export type PlainEntry = (typeof PLAIN_ENTRIES)[number]

/** An output's outcome of a document. */
export type OutputOutcome = Exclude<PlainEntry, 'carried_in' | 'fetched' | 'copied'> | 'dropped'

/** Entries in the order in which people read them; a reason is part of the name. */
export const SOURCES = ['carried_in', 'fetched', 'copied'] as const
export const DESTINATIONS = [
  ...FILTER_REASONS.map((reason) => `filtered(${reason})` as const),
  'indexed',
  'duplicate',
  'superseded',
  'failure_store',
  'pipeline_dropped',
  'dead_lettered',
  ...DROP_REASONS.map((reason) => `dropped(${reason})` as const),
  'fenced',
  'written',
  'spilled',
  'counted',
] as const
export type Entry = (typeof SOURCES)[number] | (typeof DESTINATIONS)[number]

/** Offsets [from, to) that nobody can read any more. */
export interface LostRange {
  readonly from: number
  readonly to: number
}

export interface Lost {
  /** Offsets lost; an upper bound of records, for some may never have existed. */
  readonly count: number
  /** The first LOST_RANGES_MAX lost ranges, in the order in which they were noticed. */
  readonly ranges: readonly LostRange[]
}

/** Losses come in a few long ranges; more than this are counted and no longer listed. */
export const LOST_RANGES_MAX = 100

/** The counts of one partition, or a sum of such. */
export class Book {
  readonly #counts = new Map<Entry, number>()
  readonly #byRule = new Map<string, number>()
  #refetchedCount = 0
  readonly #lost = new Map<LostReason, { count: number; ranges: { from: number; to: number }[] }>()

  add(entry: PlainEntry, count = 1): void {
    this.#add(entry, count)
  }

  filtered(reason: FilterReason, count = 1): void {
    this.#add(`filtered(${reason})`, count)
  }

  /** A rule kept these records but for its `drop`, and no other rule took them. */
  filteredBy(rule: string, count: number): void {
    assert(Number.isSafeInteger(count) && count > 0)
    this.#byRule.set(rule, (this.#byRule.get(rule) ?? 0) + count)
  }

  /** By the name of each rule that dropped any, in the order in which they first did. */
  get filteredByRule(): ReadonlyMap<string, number> {
    return this.#byRule
  }

  dropped(reason: DropReason, count = 1): void {
    this.#add(`dropped(${reason})`, count)
  }

  /** Adds to the entry of an output's outcome. */
  settle(outcome: OutputOutcome, count = 1): void {
    if (outcome === 'dropped') this.dropped('es_full', count)
    else this.add(outcome, count)
  }

  /** They were read before, by this process or another. */
  refetch(count = 1): void {
    this.add('fetched', count)
    this.#refetchedCount += count
  }

  /** Records that the consumers of the group have read. */
  get fetchedOnce(): number {
    return this.count('fetched') - this.#refetchedCount
  }

  /** An earlier process left them in the spill. */
  carryIn(count: number): void {
    this.add('carried_in', count)
    this.add('spilled', count)
  }

  /** They left the spill: another entry must count them. */
  leaveSpill(count = 1): void {
    const left = this.count('spilled') - count
    assert(count >= 0 && left >= 0, 'a document that leaves the spill was in it')
    this.#counts.set('spilled', left)
  }

  /** Notes that the offsets [from, to) are gone. */
  lose(reason: LostReason, from: number, to: number): void {
    assert(Number.isSafeInteger(from) && Number.isSafeInteger(to) && from < to)
    const lost = this.#lostOf(reason)
    lost.count += to - from
    const last = lost.ranges.at(-1)
    if (last?.to === from) last.to = to
    else if (lost.ranges.length < LOST_RANGES_MAX) lost.ranges.push({ from, to })
  }

  /** Counts records that are gone and whose offsets nobody knows. */
  loseUnknown(reason: LostReason, count: number): void {
    this.#lostOf(reason).count += count
  }

  count(entry: Entry): number {
    return this.#counts.get(entry) ?? 0
  }

  lost(reason: LostReason): Lost {
    return this.#lost.get(reason) ?? { count: 0, ranges: [] }
  }

  /** Records that came in. */
  get sources(): number {
    return SOURCES.reduce((sum, entry) => sum + this.count(entry), 0)
  }

  /** Records that left, without those pending. */
  get destinations(): number {
    const byRules = [...this.#byRule.values()].reduce((sum, count) => sum + count, 0)
    return DESTINATIONS.reduce((sum, entry) => sum + this.count(entry), byRules)
  }

  /** Adds the numbers of another book. Ranges stay with their partition: only counts are added. */
  addAll(other: Book): void {
    this.#refetchedCount += other.#refetchedCount
    for (const [entry, count] of other.#counts) this.#add(entry, count)
    for (const [rule, count] of other.#byRule) this.filteredBy(rule, count)
    for (const [reason, { count }] of other.#lost) this.#lostOf(reason).count += count
  }

  #add(entry: Entry, count: number): void {
    assert(Number.isSafeInteger(count) && count >= 0)
    this.#counts.set(entry, (this.#counts.get(entry) ?? 0) + count)
  }

  #lostOf(reason: LostReason): { count: number; ranges: { from: number; to: number }[] } {
    const known = this.#lost.get(reason)
    if (known !== undefined) return known
    const lost = { count: 0, ranges: [] }
    this.#lost.set(reason, lost)
    return lost
  }
}

/** A partition's book, with the pending count of the ledger. */
export interface PartitionStatement {
  readonly topic: string
  readonly partition: number
  readonly book: Book
  readonly pending: number
}

/** The books at one moment. */
export interface Statement {
  /** By topic and partition. */
  readonly partitions: readonly PartitionStatement[]
  readonly total: Book
  readonly pending: number
  /** One line for each partition whose books do not balance, naming both sides. */
  readonly imbalances: readonly string[]
  /**
   * The process's exit status by the books alone: 3 when they do not balance or something is lost,
   * 1 when something is pending, else 0.
   */
  readonly exitStatus: 0 | 1 | 3
}

export class Books {
  readonly #books = new Map<string, { topic: string; partition: number; book: Book }>()
  /** Losses of which not even the partition is known. */
  readonly #somewhere = new Book()

  /** The book of a partition; keep it, rather than ask for every record. */
  of(topic: string, partition: number): Book {
    const key = keyOf({ topic, partition })
    const known = this.#books.get(key)
    if (known !== undefined) return known.book
    assert(Number.isSafeInteger(partition) && partition >= 0)
    const book = new Book()
    this.#books.set(key, { topic, partition, book })
    return book
  }

  loseSomewhere(reason: LostReason, count: number): void {
    this.#somewhere.loseUnknown(reason, count)
  }

  /** @param pendingOf the pending offsets of a partition (`Ledger.pendingOf`). */
  state(pendingOf: (topic: string, partition: number) => number): Statement {
    const partitions = [...this.#books.values()]
      .map((entry) => ({ ...entry, pending: pendingOf(entry.topic, entry.partition) }))
      .sort((left, right) => compare(left, right))
    const total = new Book()
    total.addAll(this.#somewhere)
    let pending = 0
    const imbalances: string[] = []
    for (const statement of partitions) {
      total.addAll(statement.book)
      pending += statement.pending
      const imbalance = imbalanceOf(statement)
      if (imbalance !== null) imbalances.push(imbalance)
    }
    const hasLost = LOST_REASONS.some((reason) => total.lost(reason).count > 0)
    const exitStatus = imbalances.length > 0 || hasLost ? 3 : pending > 0 ? 1 : 0
    return { partitions, total, pending, imbalances, exitStatus }
  }
}

function compare(left: PartitionStatement, right: PartitionStatement): number {
  if (left.topic !== right.topic) return left.topic < right.topic ? -1 : 1
  return left.partition - right.partition
}

/** "logs/3: fetched 100 = 100, but filtered(pattern) 90 + pending 8 = 98: 2 have no entry". */
function imbalanceOf({ topic, partition, book, pending }: PartitionStatement): string | null {
  const left = book.sources
  const right = book.destinations + pending
  if (left === right) return null
  const side = (entries: readonly Entry[], more: readonly string[]) => {
    const named = entries.filter((entry) => book.count(entry) > 0)
    const terms = [...named.map((entry) => `${entry} ${book.count(entry)}`), ...more]
    return terms.length === 0 ? 'nothing' : terms.join(' + ')
  }
  const byRules = [...book.filteredByRule].map(([rule, count]) => `filtered(${rule}) ${count}`)
  const fault =
    left > right ? `${left - right} have no entry` : `${right - left} were never fetched`
  return (
    `${topic}/${partition}: ${side(SOURCES, [])} = ${left}, but ` +
    `${side(DESTINATIONS, [...byRules, `pending ${pending}`])} = ${right}: ${fault}`
  )
}
