/**
 * Stubs for records that cannot become documents: too large, or the encoder fails on them. The
 * output never sends a stub: it becomes a dead letter at once.
 *
 *   {"letter":{"_index":"logs","bytes":123,"errorType":"...","reason":"...","head":"base64"}}
 *   {}
 *
 * The encoder writes stubs in the filter threads; the output recognises them by one byte.
 */
import { z } from 'zod'
import type { BodyBuilder, MatchedRecord } from '../../pool/record-encoder.ts'

const OPENING = '{"letter":'
/** Bytes of the record's value: enough to recognise it. */
const HEAD_BYTES = 1024

const stubSchema = z.object({
  letter: z.object({
    _index: z.string(),
    bytes: z.number(),
    errorType: z.string(),
    reason: z.string(),
    head: z.string(),
  }),
})

export interface Unsendable {
  readonly index: string
  readonly errorType: string
  readonly reason: string
  /** The size of the record's value, and its first bytes. */
  readonly bytes: number
  readonly head: Uint8Array
}

export function writeStub(
  body: BodyBuilder,
  index: string,
  { value }: Pick<MatchedRecord, 'value'>,
  errorType: string,
  reason: string,
): void {
  const head = value?.toString('base64', 0, HEAD_BYTES) ?? ''
  const letter = { _index: index, bytes: value?.length ?? 0, errorType, reason, head }
  body.text(`${OPENING}${JSON.stringify(letter)}}\n{}\n`)
}

/** Whether a stub begins there, and no action of _bulk. */
export function isStubAt(body: Uint8Array, from: number): boolean {
  return body[from + 2] === OPENING.charCodeAt(2)
}

export function readStub(stub: Uint8Array): Unsendable {
  const line = Buffer.from(stub.subarray(0, stub.indexOf(0x0a))).toString('utf8')
  const { letter } = stubSchema.parse(JSON.parse(line))
  const { _index: index, bytes, errorType, reason, head } = letter
  return { index, bytes, errorType, reason, head: Buffer.from(head, 'base64') }
}
