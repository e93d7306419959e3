/** What `logpipe dlq` prints: letters and their sums, for people and for programs. */
import { isUtf8 } from 'node:buffer'
import type { LetterStats } from '../sink/dead-letters/letter-box.ts'
import type { StoredLetter } from '../sink/dead-letters/letter-line.ts'
import { printable } from '../core/printable.ts'
import { counted, textTable } from './text-table.ts'

/** In one row; `show` has all of it. */
const REASON_CHARS_MAX = 160

/** The name of a letter: where its record lies in Kafka. */
export function letterId({
  topic,
  partition,
  offset,
}: Pick<StoredLetter, 'topic' | 'partition' | 'offset'>): string {
  return `${topic}-${partition}-${offset}`
}

/** All but the payload, for JSON. */
export function letterHead(letter: StoredLetter): object {
  const { atMs, errorType, reason, status, index, topic, partition, offset } = letter
  const { timestampMs, timestampType, payloadBytes } = letter
  const at = new Date(atMs).toISOString()
  const id = letterId(letter)
  const place = { index, topic, partition, offset, timestampMs, timestampType }
  const cut = payloadBytes === undefined ? {} : { payloadBytes }
  return { id, at, errorType, reason, status, ...place, ...cut }
}

/** With the payload: in base64 where it is not valid UTF-8, as in the file. */
export function wholeLetter(letter: StoredLetter): object {
  const payload = Buffer.from(letter.payload)
  return isUtf8(payload)
    ? { ...letterHead(letter), payload: payload.toString('utf8') }
    : { ...letterHead(letter), payloadBase64: payload.toString('base64') }
}

export function letterRow(letter: StoredLetter): string[] {
  const { atMs, status, errorType, index, reason } = letter
  const cut = reason.length > REASON_CHARS_MAX ? `${reason.slice(0, REASON_CHARS_MAX)}...` : reason
  const cells = [letterId(letter), new Date(atMs).toISOString(), `${status}`, errorType, index, cut]
  return cells.map(printable)
}

export function describeLetter(letter: StoredLetter): string {
  const facts = Object.entries(letterHead(letter)).map(([name, value]) => [
    `${name}:`,
    printable(String(value)),
  ])
  const lines = Buffer.from(letter.payload).toString('utf8').split('\n').map(printable)
  return `${textTable(facts)}${lines.join('\n').trimEnd()}\n`
}

export function describeStats(file: string, { count, damagedCount, groups }: LetterStats): string {
  const damaged = damagedCount === 0 ? '' : `, and ${counted(damagedCount, 'damaged line')}`
  const total = `${counted(count, 'dead letter')} in ${file}${damaged}\n`
  if (groups.length === 0) return total
  const rows = groups.map((group) =>
    [
      String(group.count),
      group.errorType,
      group.index,
      group.topic,
      new Date(group.firstMs).toISOString(),
      new Date(group.lastMs).toISOString(),
      group.reason.slice(0, REASON_CHARS_MAX),
    ].map(printable),
  )
  const head = ['COUNT', 'TYPE', 'INDEX', 'TOPIC', 'FIRST', 'LAST', 'LAST REASON']
  return `${total}${textTable([head, ...rows])}`
}
