/**
 * JSON of others who may mean harm: objects take much more memory than their text (`{},` three
 * bytes and some sixty), and what walks them goes as deep as they do. So a text of more values than
 * its sender has reason to send, or of more levels than anybody sends, is not parsed.
 */

/** Far more than any API has; a stack takes thousands. */
const DEPTH_MAX = 100

const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_ARRAY = 0x5d
const CLOSE_OBJECT = 0x7d

/** @returns undefined where the text is not JSON, or exceeds its bounds. */
export function parseBounded(text: string, valuesMax: number): unknown {
  if (exceedsBounds(text, valuesMax)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Each value but the first stands behind a comma, or is the first in an object or array. */
export function exceedsBounds(text: string, valuesMax: number): boolean {
  let count = 0
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case COMMA:
        count++
        break
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        count++
        depth++
        break
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        depth--
        break
      default:
        continue
    }
    if (count > valuesMax || depth > DEPTH_MAX) return true
  }
  return false
}

/** Of the quote that ends the string that begins here, or of the text. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let from = at
    while (text.charCodeAt(from - 1) === BACKSLASH) from--
    if ((at - from) % 2 === 0) return at
  }
  return text.length
}
