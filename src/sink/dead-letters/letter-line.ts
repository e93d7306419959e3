/**
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
import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import { PAYLOAD_BYTES_MAX, withoutPayload, type DeadLetter } from './contract.ts'

/** A dead letter as read back. */
export interface StoredLetter extends DeadLetter {
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
export function encodeLetter(
  letter: DeadLetter,
  atMs: number,
  payloadBytesMax = PAYLOAD_BYTES_MAX,
): Buffer {
  if (letter.payload.length > payloadBytesMax) {
    return encodeLetter(withoutPayload(letter), atMs, Infinity)
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
export function decodeLetter(line: Uint8Array): StoredLetter | null {
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
