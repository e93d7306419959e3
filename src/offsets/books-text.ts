/**
 * Renders the books: the summary at the end of a run, as text and as JSON.
 *
 * The text is plain and aligned, for a terminal, a mail from cron or a journal. It leaves out
 * entries that are 0 in every partition, except `fetched`, `pending` and, unless Elasticsearch put
 * documents elsewhere, `indexed`.
 *
 * Bound. At most PARTITION_LINES_MAX partitions are listed in the text; the JSON has all.
 */
import { booksOf, FILTER_REASONS, type LiveBooks } from '../core/live-books.ts'
import { tableLines } from '../core/text-table.ts'
import {
  DESTINATIONS,
  DROP_REASONS,
  LOST_REASONS,
  PLAIN_ENTRIES,
  SOURCES,
  type Book,
  type Entry,
  type LostReason,
  type Statement,
} from './books.ts'

/** About one screen: who has more partitions reads the JSON. */
const PARTITION_LINES_MAX = 40

/** Rules that have a column of their own in the text, those that dropped most; the JSON has all. */
const RULE_COLUMNS_MAX = 8

interface Column {
  readonly name: string
  readonly of: (book: Book, pending: number) => number
  readonly isShown: boolean
}

/** The columns shown of these books, in the order in which people read them. */
function columnsOf(total: Book): Column[] {
  const entry = (name: Entry): Column => ({
    name,
    of: (book) => book.count(name),
    isShown: name === 'fetched' || isShown(total, name),
  })
  const rules = [...total.filteredByRule].toSorted(([, left], [, right]) => right - left)
  const shown = rules.slice(0, RULE_COLUMNS_MAX).map(([rule]) => rule)
  const byRule = shown.map((rule): Column => ({
    name: `filtered(${rule})`,
    of: (book) => book.filteredByRule.get(rule) ?? 0,
    isShown: true,
  }))
  const byOthers: Column = {
    name: `filtered(${rules.length - shown.length}_more_rules)`,
    of: (book) =>
      rules
        .slice(RULE_COLUMNS_MAX)
        .reduce((sum, [rule]) => sum + (book.filteredByRule.get(rule) ?? 0), 0),
    isShown: rules.length > shown.length,
  }
  const pending: Column = { name: 'pending', of: (_, count) => count, isShown: true }
  const entries = DESTINATIONS.map(entry)
  const place = FILTER_REASONS.length
  return [
    ...SOURCES.map(entry),
    ...entries.slice(0, place),
    ...byRule,
    byOthers,
    ...entries.slice(place),
    pending,
  ].filter((column) => column.isShown)
}

/** Lines without a newline at their ends. */
export function renderBooks(statement: Statement): string[] {
  const { partitions, total, pending } = statement
  const columns = columnsOf(total)
  const cells = (name: string, book: Book, pendingCount: number) => [
    name,
    ...columns.map(({ of }) => grouped(of(book, pendingCount))),
  ]
  const listed = partitions.slice(0, PARTITION_LINES_MAX)
  const rows = [
    ['books', ...columns.map(({ name }) => name)],
    ...listed.map((each) => cells(`${each.topic}/${each.partition}`, each.book, each.pending)),
    cells('total', total, pending),
  ]
  const lines = tableLines(rows, (column) => column > 0)
  const hidden = partitions.length - listed.length
  if (hidden > 0) lines.splice(-1, 0, `(${hidden} more partitions)`)
  return [...lines, ...lossLines(statement), ...verdictLines(statement)]
}

/** If Elasticsearch put all documents elsewhere, `indexed` 0 is the figure to see. */
function isShown(total: Book, column: Entry): boolean {
  const others = column === 'indexed' ? (['failure_store', 'pipeline_dropped'] as const) : []
  return [column, ...others].some((entry) => total.count(entry) > 0)
}

function lossLines({ partitions, total }: Statement): string[] {
  const withLoss = partitions.flatMap(({ topic, partition, book }) =>
    LOST_REASONS.filter((reason) => book.lost(reason).count > 0).map((reason) =>
      lossLine(`${topic}/${partition}`, book, reason),
    ),
  )
  const lostIn = (reason: LostReason) =>
    partitions.reduce((sum, { book }) => sum + book.lost(reason).count, 0)
  for (const reason of LOST_REASONS) {
    const unknownCount = total.lost(reason).count - lostIn(reason)
    if (unknownCount > 0) withLoss.push(`lost(${reason}) ${grouped(unknownCount)}: offsets unknown`)
  }
  const hidden = withLoss.length - PARTITION_LINES_MAX
  if (hidden <= 0) return withLoss
  return [...withLoss.slice(0, PARTITION_LINES_MAX), `(${hidden} more losses)`]
}

function lossLine(name: string, book: Book, reason: LostReason): string {
  const { count, ranges } = book.lost(reason)
  const [first] = ranges
  const where = first === undefined ? '' : `: offsets ${first.from} to ${first.to - 1}`
  const more = ranges.length > 1 ? ` and ${ranges.length - 1} more ranges` : ''
  return `lost(${reason}) ${name} ${grouped(count)}${where}${more}`
}

function verdictLines({ imbalances, pending }: Statement): string[] {
  if (imbalances.length > 0) return imbalances.map((line) => `books do not balance: ${line}`)
  if (pending === 0) return ['books balance']
  return [`books balance; ${grouped(pending)} pending will be read again at the next start`]
}

/** 1234567 -> "1,234,567", whatever the locale. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** The same as a flat row, while they are open. */
export function liveBooks({ total, pending }: Statement): LiveBooks {
  const filtered = FILTER_REASONS.reduce(
    (sum, reason) => sum + total.count(`filtered(${reason})`),
    [...total.filteredByRule.values()].reduce((sum, count) => sum + count, 0),
  )
  const dropped = DROP_REASONS.reduce((sum, reason) => sum + total.count(`dropped(${reason})`), 0)
  const counts: Partial<LiveBooks> = {
    ...Object.fromEntries(PLAIN_ENTRIES.map((entry) => [entry, total.count(entry)])),
    ...Object.fromEntries(
      LOST_REASONS.map((reason) => [`lost_${reason}`, total.lost(reason).count]),
    ),
    filtered,
    dropped,
    pending,
  }
  return booksOf((entry) => counts[entry] ?? 0)
}

interface BookJson {
  readonly [entry: string]: number | Readonly<Record<string, unknown>>
}

/** The books for machines: every entry, reasons as objects. */
export function booksJson(statement: Statement): {
  readonly balanced: boolean
  readonly imbalances: readonly string[]
  readonly total: BookJson
  readonly partitions: readonly ({ topic: string; partition: number } & Record<string, unknown>)[]
} {
  const { partitions, total, pending, imbalances } = statement
  return {
    balanced: imbalances.length === 0,
    imbalances,
    total: bookJson(total, pending),
    partitions: partitions.map((each) => ({
      topic: each.topic,
      partition: each.partition,
      ...bookJson(each.book, each.pending),
    })),
  }
}

function bookJson(book: Book, pending: number): BookJson {
  const record = <Key extends string>(keys: readonly Key[], valueOf: (key: Key) => unknown) =>
    Object.fromEntries(keys.map((key) => [key, valueOf(key)]))
  return {
    ...Object.fromEntries(PLAIN_ENTRIES.map((entry) => [entry, book.count(entry)])),
    filtered: {
      ...record(FILTER_REASONS, (reason) => book.count(`filtered(${reason})`)),
      ...Object.fromEntries(book.filteredByRule),
    },
    dropped: record(DROP_REASONS, (reason) => book.count(`dropped(${reason})`)),
    pending,
    lost: record(LOST_REASONS, (reason) => book.lost(reason)),
  }
}
