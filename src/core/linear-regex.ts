/**
 * Regular expressions of JavaScript that take time linear in the text, whatever they are and
 * whatever the text is: V8's engine that does not backtrack, by the flag `l`.
 *
 * Vectorscan, which searches for all other regular expressions, does not tell where a group begins;
 * this engine does. It knows no look-around, no back references and no flag `i`, and refuses what
 * repeats too often ({1000}).
 */
import v8 from 'node:v8'

/** V8's own flag, which no standard knows. */
const LINEAR: string = 'l'

let isEnabled = false

/** @throws SyntaxError: it is none, or cannot be run in linear time. */
export function linearRegex(source: string): RegExp {
  if (!isEnabled) {
    // Looked at by V8 when a regular expression is made, so it may be set at any time.
    v8.setFlagsFromString('--enable-experimental-regexp-engine')
    isEnabled = true
  }
  return new RegExp(source, LINEAR)
}

/** How many groups it captures. */
export function groupCount(regex: RegExp): number {
  const withEmpty = linearRegex(`(?:${regex.source})|`)
  return (withEmpty.exec('')?.length ?? 1) - 1
}
