/**
 * Writes bytes and numbers as JSON into a body, without creating strings.
 *
 * Used by the encoder, once or more for each document.
 */
import { isUtf8 } from 'node:buffer'
import type { BodyBuilder } from '../../pool/record-encoder.ts'
import { findEscaped } from '../../core/json-scan.ts'

const QUOTE = 0x22

const BACKSLASH = 0x5c
const LETTER_U = 0x75
const ZERO = 0x30

/** What follows the backslash in the escape of each byte; 0: it needs none. */
const ESCAPE_OF = Uint8Array.from({ length: 256 }, (_, byte) => {
  const escaped = JSON.stringify(String.fromCharCode(byte)).slice(1, -1)
  return byte < 0x80 && escaped.length > 1 ? escaped.charCodeAt(1) : 0
})
const HEX = Buffer.from('0123456789abcdef')
/** The longest escape: \u00XX. */
const ESCAPE_BYTES_MAX = 6
/** Behind one escape others are near: over this distance bytes are checked one by one. */
const DENSE_BYTES = 256
/** A multiple of 3, so that base64 pads the last piece only; no string holds all of a value. */
const BASE64_PIECE_BYTES = 3 * 8192

/** `"name":"..."`, or `"name_base64":"..."` where the bytes are not UTF-8; null: `"name":null`. */
export function writeField(body: BodyBuilder, name: string, value: Buffer | null): void {
  if (value === null) body.text(`"${name}":null`)
  else if (isUtf8(value)) {
    body.text(`"${name}":`)
    writeString(body, value)
  } else {
    body.text(`"${name}_base64":"`)
    for (let from = 0; from < value.length; from += BASE64_PIECE_BYTES) {
      body.text(value.toString('base64', from, Math.min(from + BASE64_PIECE_BYTES, value.length)))
    }
    body.byte(QUOTE)
  }
}

/** A JSON string of UTF-8 bytes. */
export function writeString(body: BodyBuilder, text: Buffer): void {
  body.byte(QUOTE)
  for (let from = 0; ;) {
    const at = findEscaped(text, from, text.length)
    body.bytes(from === 0 && at === text.length ? text : text.subarray(from, at))
    if (at === text.length) break
    from = Math.min(at + DENSE_BYTES, text.length)
    writeDense(body, text, at, from)
  }
  body.byte(QUOTE)
}

function writeDense(body: BodyBuilder, text: Buffer, from: number, to: number): void {
  const room = body.reserve((to - from) * ESCAPE_BYTES_MAX)
  const start = body.size
  let at = start
  for (let index = from; index < to; index++) {
    const byte = text[index]!
    const escape = ESCAPE_OF[byte]!
    if (escape === 0) room[at++] = byte
    else {
      room[at++] = BACKSLASH
      room[at++] = escape
      if (escape === LETTER_U) {
        room[at++] = ZERO
        room[at++] = ZERO
        room[at++] = HEX[byte >> 4]!
        room[at++] = HEX[byte & 15]!
      }
    }
  }
  body.advance(at - start)
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
