/**
 * Writes bytes and numbers as JSON into a body, without making a string of them.
 *
 * Used by the encoder, once or more for each document.
 */
import { isUtf8 } from 'node:buffer'
import type { BodyBuilder } from '../../pool/record-encoder.ts'
import { findEscaped } from './json-scan.ts'

const QUOTE = 0x22

/** The escape of each byte that needs one. */
const ESCAPE_OF: readonly Uint8Array[] = Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1), 'latin1'),
)

/** `"name":"..."`, or `"name_base64":"..."` where the bytes are not UTF-8; null: `"name":null`. */
export function writeField(body: BodyBuilder, name: string, value: Buffer | null): void {
  if (value === null) body.text(`"${name}":null`)
  else if (isUtf8(value)) {
    body.text(`"${name}":`)
    writeString(body, value)
  } else body.text(`"${name}_base64":"${value.toString('base64')}"`)
}

/** A JSON string of UTF-8 bytes. */
export function writeString(body: BodyBuilder, text: Buffer): void {
  body.byte(QUOTE)
  for (let from = 0; ;) {
    const at = findEscaped(text, from, text.length)
    body.bytes(from === 0 && at === text.length ? text : text.subarray(from, at))
    if (at === text.length) break
    body.bytes(ESCAPE_OF[text[at]!]!)
    from = at + 1
  }
  body.byte(QUOTE)
}

/** Digits of the largest safe integer. */
const DIGITS_MAX = 16

/** A whole number from 0 to 2^53 - 1, in decimal. */
export function writeNumber(body: BodyBuilder, value: number): void {
  const room = body.reserve(DIGITS_MAX)
  const start = body.size
  let digits = 1
  for (let power = 10; value >= power; power *= 10) digits++
  let rest = value
  for (let at = start + digits - 1; at >= start; at--) {
    // Above 2^31 the division is one of doubles, which is exact for whole numbers below 2^53.
    const tenth = Math.floor(rest / 10)
    room[at] = 0x30 + (rest - tenth * 10)
    rest = tenth
  }
  body.advance(digits)
}
