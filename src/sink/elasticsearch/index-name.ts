/**
 * Index names from a pattern: `app-{topic}-{+yyyy.MM.dd}`.
 *
 *   {topic}          the record's topic, in lower case (Elasticsearch allows no capitals)
 *   {+FORMAT}        the record's own timestamp in UTC; yyyy, MM, dd and HH are replaced, signs and
 *                    digits of FORMAT stay, other letters are refused. A record without a
 *                    timestamp gets `undated` instead of the current date: a record
 *                    read twice must not land in two indices. bulk-encoder.ts bounds
 *                    dates that are far from now.
 *
 * Two topics that give one name after lower-casing would mix silently, so they are refused when
 * they are assigned (`indexNameFaults`). A pattern without {topic} is meant to mix them.
 */
import { LogpipeError } from '../../core/errors.ts'

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'topic' }
  | { readonly kind: 'date'; readonly format: string }

export interface IndexPattern {
  readonly parts: readonly Part[]
  readonly byTopic: boolean
  /** Milliseconds for which a name stays the same; Infinity where there is no date. */
  readonly bucketMs: number
}

const DATE_LETTERS: ReadonlySet<string> = new Set(['yyyy', 'MM', 'dd', 'HH'])
const UNDATED = 'undated'
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The last millisecond of the year 9999: beyond it a year has more than four digits. */
const TIMESTAMP_MS_MAX = 253_402_300_799_999
const NAME_BYTES_MAX = 255
/** What an index name must not hold, as Elasticsearch's documentation of "create index" lists. */
const FORBIDDEN = /[\\/*?"<>| ,#:\p{Lu}\p{Cc}]/u

/**
 * @param name of the option, for messages.
 * @throws LogpipeError USAGE if no topic could make it a valid name.
 */
export function parseIndexPattern(pattern: string, name = 'ES_INDEX'): IndexPattern {
  const usage = (fault: string) => new LogpipeError('USAGE', `${name} is "${pattern}": ${fault}`)
  const parts: Part[] = []
  let at = 0
  for (const match of pattern.matchAll(/\{([^{}]*)\}/g)) {
    const [whole, inner = ''] = match
    if (match.index > at) parts.push({ kind: 'text', text: pattern.slice(at, match.index) })
    if (inner === 'topic') parts.push({ kind: 'topic' })
    else if (inner.startsWith('+')) parts.push({ kind: 'date', format: dateFormat(inner, usage) })
    else throw usage(`${whole} is not {topic} or {+yyyy.MM.dd}`)
    if (pattern[match.index - 1] === '%') {
      throw usage(`the % would become part of the name: write ${whole} without it`)
    }
    at = match.index + whole.length
  }
  if (at < pattern.length) parts.push({ kind: 'text', text: pattern.slice(at) })
  const brace = parts.some((part) => part.kind === 'text' && /[{}]/.test(part.text))
  if (brace) throw usage('a brace is missing: write {topic} or {+yyyy.MM.dd}')
  const formats = parts.flatMap((part) => (part.kind === 'date' ? [part.format] : []))
  const dateMs = formats.some((format) => format.includes('HH')) ? HOUR_MS : DAY_MS
  const parsed: IndexPattern = {
    parts,
    byTopic: parts.some((part) => part.kind === 'topic'),
    bucketMs: formats.length === 0 ? Infinity : dateMs,
  }
  const fault = nameFault(indexNameOf(parsed, 'topic', 0))
  if (fault !== null) throw usage(fault)
  return parsed
}

/**
 * What a `+` introduces. Each run of one letter must be known: others, and those of other programs'
 * patterns (YYYY, mm, ww), would become part of the name, the same for every date.
 */
function dateFormat(inner: string, usage: (fault: string) => LogpipeError): string {
  const runs = inner.slice(1).match(/(\p{L})\1*/gu) ?? []
  const unknown = runs.find((run) => !DATE_LETTERS.has(run))
  if (unknown === undefined && runs.length > 0) return inner.slice(1)
  const came = unknown === undefined ? 'no letters' : `"${unknown}"`
  const known = 'yyyy (year), MM (month), dd (day) and HH (hour)'
  throw usage(`{${inner}} has ${came}; a date consists of ${known}`)
}

/** The index for a record. @param timestampMs by which it is dated; -1: it has no timestamp. */
export function indexNameOf(pattern: IndexPattern, topic: string, timestampMs: number): string {
  return pattern.parts
    .map((part) => {
      if (part.kind === 'text') return part.text
      if (part.kind === 'topic') return topic.toLowerCase()
      return isDateable(timestampMs) ? formatDate(part.format, timestampMs) : UNDATED
    })
    .join('')
}

/** Which span of time a record's name belongs to: records of one bucket share it. */
export function dateBucketOf(pattern: IndexPattern, timestampMs: number): number {
  if (pattern.bucketMs === Infinity) return 0
  return isDateable(timestampMs) ? Math.floor(timestampMs / pattern.bucketMs) : -1
}

/** Whether a timestamp is a time of the years 1970 to 9999. */
export function isDateable(timestampMs: number): boolean {
  return timestampMs >= 0 && timestampMs <= TIMESTAMP_MS_MAX
}

/**
 * What is wrong with the names that these topics give; to be asked at every assign, with all topics
 * assigned so far. @returns one line for each fault; none: empty.
 */
export function indexNameFaults(pattern: IndexPattern, topics: readonly string[]): string[] {
  const faults: string[] = []
  const topicByName = new Map<string, string>()
  for (const topic of new Set(topics)) {
    const name = indexNameOf(pattern, topic, 0)
    const fault = nameFault(name)
    if (fault !== null) faults.push(`topic ${topic} gives the index ${name}: ${fault}`)
    if (!pattern.byTopic) continue
    const other = topicByName.get(name)
    if (other === undefined) topicByName.set(name, topic)
    else faults.push(`topics ${other} and ${topic} would both go to the index ${name}`)
  }
  return faults
}

function nameFault(name: string): string | null {
  if (name === '' || name === '.' || name === '..') return 'the name is empty or dots only'
  const found = FORBIDDEN.exec(name)
  if (found !== null) {
    const isCapital = /\p{Lu}/u.test(found[0])
    const advice = isCapital ? `: write ${name.toLowerCase()}` : ''
    return `an index name must not contain ${JSON.stringify(found[0])}${advice}`
  }
  if (/^[-_+]/.test(name)) return 'an index name must not start with -, _ or +'
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) return `longer than ${NAME_BYTES_MAX} bytes`
  return null
}

function formatDate(format: string, timestampMs: number): string {
  const iso = new Date(timestampMs).toISOString()
  return format
    .replaceAll('yyyy', iso.slice(0, 4))
    .replaceAll('MM', iso.slice(5, 7))
    .replaceAll('dd', iso.slice(8, 10))
    .replaceAll('HH', iso.slice(11, 13))
}
