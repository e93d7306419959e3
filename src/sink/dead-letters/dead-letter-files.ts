/**
 * The files of `--dlq file:PATH`, and the locks that guard them.
 *
 *   PATH            the newest letters; only appended to, under PATH.lock
 *   PATH.NNNNNN     full ones, ascending with age; never appended to again
 *   PATH.lock       flock, held for one append or one rename
 *   PATH.edit.lock  flock, held by `dlq replay` and `dlq drop` for as long as they run
 *
 * An edit first gives the newest file a number, then rewrites numbered files only, so a running
 * pipeline never waits for it. A rewritten file takes the place of the old one in one step.
 */
import { isUtf8 } from 'node:buffer'
import path from 'node:path'
import { z } from 'zod'
import type { Clock } from '../../core/clock.ts'
import { LogpipeError, messageOf } from '../../core/errors.ts'
import { errorCode, type Disk, type DiskFile, type Locks } from '../../core/disk.ts'
import { PAYLOAD_BYTES_MAX, withoutPayload, type DeadLetter } from './contract.ts'

/** PATH.lock is held for one append or rename: a sync of a slow disk at most. */
export const LOCK_WAIT_MS_MAX = 10_000
const LOCK_RETRY_MS = 20

const LINE_END = 0x0a
/** Of one read. */
const CHUNK_BYTES = 256 * 1024

/** The numbered files of PATH, oldest first. */
export async function numberedFiles(disk: Disk, file: string): Promise<string[]> {
  const base = path.basename(file)
  const numbers = (await disk.list(path.dirname(file)))
    .filter((name) => name.startsWith(`${base}.`) && /^\d{6,}$/.test(name.slice(base.length + 1)))
    .map((name) => Number(name.slice(base.length + 1)))
  return numbers.sort((left, right) => left - right).map((number) => numbered(file, number))
}

function numbered(file: string, number: number): string {
  return `${file}.${String(number).padStart(6, '0')}`
}

/** Gives the newest file a number, if there is one. Under PATH.lock. */
export async function rotate(disk: Disk, file: string): Promise<void> {
  const last = (await numberedFiles(disk, file)).at(-1)
  const number = last === undefined ? 1 : Number(last.slice(file.length + 1)) + 1
  try {
    await disk.rename(file, numbered(file, number))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  await disk.syncDirectory(path.dirname(file))
}

/**
 * Runs with a lock that nobody else holds meanwhile, and waits for it up to `waitMsMax`.
 * @throws LogpipeError LOCKED.
 */
export async function withLock<T>(
  locks: Locks,
  lockFile: string,
  clock: Clock,
  waitMsMax: number,
  run: () => Promise<T>,
): Promise<T> {
  const deadlineMs = clock.monotonicMs() + waitMsMax
  let lock = locks.lock(lockFile)
  while (lock === null) {
    if (clock.monotonicMs() >= deadlineMs) {
      throw new LogpipeError('LOCKED', `${lockFile} is locked by another process; try again later`)
    }
    await new Promise<void>((resolve) => {
      clock.after(LOCK_RETRY_MS, resolve)
    })
    lock = locks.lock(lockFile)
  }
  try {
    return await run()
  } finally {
    locks.unlock(lock)
  }
}

/** A line of a file, without its end. */
export interface Line {
  readonly bytes: Buffer
  /** From 0, within its file. */
  readonly number: number
  /** Where it begins in its file. */
  readonly position: number
}

/** The first byte of a line that was removed where it stood, for want of room for a copy. */
export const REMOVED = 0x23

/**
 * Reads a file line by line; a torn last line, and lines that were removed, are left out. Bound:
 * one chunk and one line.
 */
export async function* linesOf(disk: Disk, file: string): AsyncGenerator<Line> {
  let handle: DiskFile
  try {
    handle = await disk.open(file, 'read')
  } catch (error) {
    // Rotated or removed meanwhile.
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  try {
    const parts: Buffer[] = []
    let number = 0
    let lineAt = 0
    for (let position = 0; ;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
      const read = await handle.read(chunk, position)
      if (read === 0) break
      position += read
      let start = 0
      for (;;) {
        const end = chunk.subarray(0, read).indexOf(LINE_END, start)
        if (end === -1) break
        parts.push(chunk.subarray(start, end))
        const bytes = parts.length === 1 ? (parts[0] ?? chunk) : Buffer.concat(parts)
        if (bytes[0] !== REMOVED) yield { bytes, number, position: lineAt }
        lineAt += bytes.length + 1
        parts.length = 0
        number++
        start = end + 1
      }
      if (start < read) parts.push(chunk.subarray(start, read))
    }
  } finally {
    await handle.close()
  }
}

/** Where the last whole line ends. */
export async function wholeLinesEnd(handle: DiskFile, size: number): Promise<number> {
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - CHUNK_BYTES)
    const chunk = Buffer.allocUnsafe(end - start)
    const read = await handle.read(chunk, start)
    const found = chunk.subarray(0, read).lastIndexOf(LINE_END)
    if (found !== -1) return start + found + 1
    end = start
  }
  return 0
}

export function lettersError(file: string, action: string, cause: unknown): LogpipeError {
  if (cause instanceof LogpipeError) return cause
  const message = `the dead letters in ${file} cannot ${action}: ${messageOf(cause)}`
  return new LogpipeError('DEAD_LETTERS', message, { cause })
}

/*
 * A dead letter as a line of a file: JSON, ended by 0x0A.
 *
 *   {"at": when it was stored, ISO 8601, "reason", "errorType", "status", "index", "topic",
 *    "partition", "offset", "timestampMs": the record's own, -1: it has none,
 *    "timestampType": "create", "append" or "none", "payload": "..." or "payloadBase64": "...",
 *    "payloadBytes": only where the payload was too large to be stored, and is its head}
 *
 * `payload` is the document as it was sent, action line and source line; as text where it is valid
 * UTF-8, otherwise in base64, so that every byte comes back.
 */

/** A dead letter as read back. */
export interface StoredDeadLetter extends DeadLetter {
  /** When it was stored, in ms since 1970. */
  readonly atMs: number
}

const lineSchema = z.object({
  at: z.string(),
  reason: z.string(),
  errorType: z.string(),
  status: z.number(),
  index: z.string(),
  topic: z.string(),
  partition: z.number(),
  offset: z.number(),
  timestampMs: z.number(),
  timestampType: z.enum(['none', 'create', 'append']),
  payload: z.string().optional(),
  payloadBase64: z.string().optional(),
  payloadBytes: z.number().optional(),
})

/** Encoded at a time: a string of all of a large payload would be too long for V8. */
const PIECE_BYTES = 1024 * 1024
const QUOTED_LINE_END = Buffer.from('"}\n')

/** A payload above `payloadBytesMax` is left out. */
export function encodeDeadLetter(
  letter: DeadLetter,
  atMs: number,
  payloadBytesMax = PAYLOAD_BYTES_MAX,
): Buffer {
  if (letter.payload.length > payloadBytesMax) {
    return encodeDeadLetter(withoutPayload(letter), atMs, Infinity)
  }
  const { reason, errorType, status, index, topic, partition, offset } = letter
  const { timestampMs, timestampType, payloadBytes } = letter
  const payload = asBuffer(letter.payload)
  const at = new Date(atMs).toISOString()
  const place = { index, topic, partition, offset, timestampMs, timestampType, payloadBytes }
  const isText = isUtf8(payload)
  const head = JSON.stringify({ at, reason, errorType, status, ...place }).slice(0, -1)
  return Buffer.concat([
    Buffer.from(`${head},"${isText ? 'payload' : 'payloadBase64'}":"`, 'utf8'),
    ...(isText ? escaped(payload) : inBase64(payload)),
    QUOTED_LINE_END,
  ])
}

function* escaped(text: Buffer): Generator<Buffer> {
  for (let from = 0; from < text.length;) {
    let to = Math.min(text.length, from + PIECE_BYTES)
    while (to < text.length && (text[to]! & 0xc0) === 0x80) to--
    yield Buffer.from(JSON.stringify(text.toString('utf8', from, to)).slice(1, -1), 'utf8')
    from = to
  }
}

function* inBase64(bytes: Buffer): Generator<Buffer> {
  // Three bytes are four digits: only the last piece may be padded.
  const pieceBytes = PIECE_BYTES - (PIECE_BYTES % 3)
  for (let from = 0; from < bytes.length; from += pieceBytes) {
    yield Buffer.from(bytes.toString('base64', from, from + pieceBytes), 'latin1')
  }
}

/** The letter of a line; null when the line is damaged. */
export function decodeDeadLetter(line: Uint8Array): StoredDeadLetter | null {
  let json: unknown
  try {
    json = JSON.parse(asBuffer(line).toString('utf8'))
  } catch {
    // A damaged line is the caller's to count: it is kept, and never dropped in silence.
    return null
  }
  const parsed = lineSchema.safeParse(json)
  if (!parsed.success) return null
  const { at, payload, payloadBase64, payloadBytes, ...rest } = parsed.data
  const atMs = Date.parse(at)
  const bytes =
    payload === undefined
      ? Buffer.from(payloadBase64 ?? '', 'base64')
      : Buffer.from(payload, 'utf8')
  if (Number.isNaN(atMs)) return null
  const stored = { ...rest, atMs, payload: bytes }
  return payloadBytes === undefined ? stored : { ...stored, payloadBytes }
}

/** The same memory. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
