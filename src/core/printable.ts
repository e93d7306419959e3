/**
 * Makes foreign text (from records, servers, brokers, proxies) safe for a terminal, for a log with
 * one event per line, and for a plain-text answer.
 */

/**
 * Controls, which move a cursor or end a line (C0, DEL, C1), separators of lines and paragraphs,
 * halves of a pair, and format characters, which turn the direction of a text or hide in it. The
 * two joiners are part of words and of emoji.
 */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]|(?![\u200C\u200D])\p{Cf}/gu

const SHORT: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
])

/** Several lines, with their tabs; what else does not print is written out. */
export function printableLines(text: string): string {
  return text.replaceAll(/[^\n\t]+/g, printable)
}

/** One line, in which each character that does not print is written out as JavaScript has it. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (char) => {
    const code = char.codePointAt(0) ?? 0
    const hex = code.toString(16)
    return SHORT.get(char) ?? (code > 0xffff ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`)
  })
}
