/**
 * The books while they are open: where the records of a pipeline went, in one flat row of counts
 * that can be added up over processes, workers and revisions.
 *
 *   carried_in + fetched + copied
 *                      = filtered + indexed + duplicate + superseded + failure_store
 *                        + pipeline_dropped + dead_lettered + dropped + fenced + written + counted
 *                        + spilled + pending + handed_on
 *
 * What a process leaves unsettled at its end is not lost: the next one reads it again, or finds it
 * in the spill, and counts it anew. So in a sum it is `handed_on`, and only those that live have
 * `spilled` and `pending`. The losses stand beside the equation: they were never read.
 */

/**
 * Why records are filtered out, beside the rules that dropped them: the filter, the span of time of
 * a replay, and the share of a sample. No rule may have such a name.
 */
export const FILTER_REASONS = ['pattern', 'time', 'sample'] as const

/** By name, what it counts. */
const BOOK_ENTRIES = {
  carried_in: 'Documents that lay in the spill when a process started.',
  fetched: 'Records read from Kafka; what is read twice counts twice.',
  copied: 'Further documents of records that several rules took.',
  filtered: 'Records that did not match, or were left out by a rule or by sampling.',
  indexed: 'Documents that Elasticsearch made.',
  duplicate: 'Documents that were in the index already.',
  superseded: 'Documents of which the index has a later version.',
  failure_store: 'Documents that Elasticsearch put into the failure store.',
  pipeline_dropped: 'Documents that an ingest pipeline dropped.',
  dead_lettered: 'Documents in the dead letters, refused for good.',
  dropped: 'Records dropped because a queue was full and the options say to drop.',
  fenced: 'Records of partitions that were given away; their new reader counts them.',
  written: 'Records written to a file or to standard output.',
  counted: 'Records counted and not written.',
  spilled: 'Documents in the spill whose offsets are committed.',
  pending: 'Records that were read and are under way.',
  handed_on: 'Records under way when a process ended: the next one counted them anew.',
  lost_retention: 'Offsets that expired before they were read.',
  lost_unreadable: 'Offsets skipped because Kafka could not give them.',
  lost_spill: 'Documents damaged in the spill that Kafka has no more.',
} as const

export type BookEntry = keyof typeof BOOK_ENTRIES
export type LiveBooks = Readonly<Record<BookEntry, number>>

/** Those that may fall again; all others only grow. */
export const OPEN_ENTRIES: readonly BookEntry[] = ['spilled', 'pending']
export const LOST_ENTRIES: readonly BookEntry[] = [
  'lost_retention',
  'lost_unreadable',
  'lost_spill',
]
const SOURCE_ENTRIES: readonly BookEntry[] = ['carried_in', 'fetched', 'copied']

const NAMES = Object.keys(BOOK_ENTRIES) as BookEntry[]
const ENDS = NAMES.filter((name) => !SOURCE_ENTRIES.includes(name) && !LOST_ENTRIES.includes(name))

/** The books of one process, by a name that no other has. */
export interface RunBooks {
  readonly run: string
  readonly entries: LiveBooks
}

export function booksOf(countOf: (entry: BookEntry) => number): LiveBooks {
  return Object.fromEntries(NAMES.map((name) => [name, countOf(name)])) as Record<BookEntry, number>
}

export const NO_BOOKS: LiveBooks = booksOf(() => 0)

export function addBooks(left: LiveBooks, right: LiveBooks): LiveBooks {
  return booksOf((entry) => left[entry] + right[entry])
}

/** As they stand in a sum once their process has ended. */
export function endedBooks(books: LiveBooks): LiveBooks {
  const { spilled, pending, handed_on: before } = books
  return { ...books, spilled: 0, pending: 0, handed_on: before + spilled + pending }
}

/** What went in, and what is known to have become of it. */
export function balanceOf(books: LiveBooks): { readonly sources: number; readonly ends: number } {
  const sum = (entries: readonly BookEntry[]) =>
    entries.reduce((total, entry) => total + books[entry], 0)
  return { sources: sum(SOURCE_ENTRIES), ends: sum(ENDS) }
}

/** Books out of JSON of another process, of this version or another; null: there are none. */
export function booksIn(value: unknown): LiveBooks | null {
  if (typeof value !== 'object' || value === null) return null
  const given = value as Readonly<Record<string, unknown>>
  if (!Object.hasOwn(given, 'fetched')) return null
  return booksOf((entry) => {
    const count = Object.hasOwn(given, entry) ? given[entry] : 0
    return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : 0
  })
}

const RUN_ID = /^[\w-]{1,64}$/

export function runBooksIn(value: unknown): RunBooks | null {
  const { run, entries } = Object(value) as { readonly run?: unknown; readonly entries?: unknown }
  const books = booksIn(entries)
  return books !== null && typeof run === 'string' && RUN_ID.test(run)
    ? { run, entries: books }
    : null
}
