/**
 * A dead letter as a line of a file: JSON, ended by 0x0A.
 *
 *   {"at": when it was stored, ISO 8601, "reason", "errorType", "status", "index", "topic",
 *    "partition", "offset", "timestampMs": the record's own, -1: it has none,
 *    "timestampType": "create", "append" or "none", "payload": "..." or "payloadBase64": "..."}
 *
 * `payload` is the document as it was sent, action line and source line; as text where it is valid
 * UTF-8, otherwise in base64, so that every byte comes back.
 */
import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import type { DeadLetter } from './contract.ts'

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
})

export function encodeLetter(letter: DeadLetter, atMs: number): Buffer {
  const { reason, errorType, status, index, topic, partition, offset } = letter
  const { timestampMs, timestampType } = letter
  const payload = Buffer.from(
    letter.payload.buffer,
    letter.payload.byteOffset,
    letter.payload.byteLength,
  )
  const at = new Date(atMs).toISOString()
  const place = { index, topic, partition, offset, timestampMs, timestampType }
  const body = isUtf8(payload)
    ? { payload: payload.toString('utf8') }
    : { payloadBase64: payload.toString('base64') }
  return Buffer.from(
    `${JSON.stringify({ at, reason, errorType, status, ...place, ...body })}\n`,
    'utf8',
  )
}

/** The letter of a line; null when the line is damaged. */
export function decodeLetter(line: Uint8Array): StoredLetter | null {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(line).toString('utf8'))
  } catch {
    // A damaged line is the caller's to count: it is kept, and never dropped in silence.
    return null
  }
  const parsed = lineSchema.safeParse(json)
  if (!parsed.success) return null
  const { at, payload, payloadBase64, ...rest } = parsed.data
  const atMs = Date.parse(at)
  const bytes =
    payload === undefined
      ? Buffer.from(payloadBase64 ?? '', 'base64')
      : Buffer.from(payload, 'utf8')
  return Number.isNaN(atMs) ? null : { ...rest, atMs, payload: bytes }
}
