/**
 * The patterns of the filter as bytes.
 */
import type { Config } from './config.ts'

/**
 * Any of these keeps a record; an empty list keeps every record, and so does an empty pattern.
 */
export function patternsOf(
  config: Pick<Config, 'matchPattern' | 'matchPatternHex'>,
): readonly Uint8Array[] {
  const patterns = [
    ...config.matchPattern.map((text) => Buffer.from(text, 'utf8')),
    ...config.matchPatternHex.map((digits) => Buffer.from(digits, 'hex')),
  ]
  return patterns.some((pattern) => pattern.length === 0) ? [] : patterns
}
