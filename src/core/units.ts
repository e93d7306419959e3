/**
 * Quantities as people type and read them: bytes, durations, rates, times.
 *
 * The options parse with it, and every line for people is formatted with it.
 */

const BYTE_UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['k', 1024],
  ['kb', 1000],
  ['kib', 1024],
  ['m', 1024 ** 2],
  ['mb', 1000 ** 2],
  ['mib', 1024 ** 2],
  ['g', 1024 ** 3],
  ['gb', 1000 ** 3],
  ['gib', 1024 ** 3],
  ['t', 1024 ** 4],
  ['tb', 1000 ** 4],
  ['tib', 1024 ** 4],
])

const DURATION_UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

const QUANTITY = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/

/**
 * Bytes from "1048576", "1MiB", "1 m" (binary) or "1MB" (decimal); undefined when it is none of
 * these.
 */
export function parseBytes(text: string): number | undefined {
  return parseQuantity(text, (unit) => BYTE_UNITS.get(unit))
}

/**
 * Milliseconds from "1500", "1500ms", "2s", "10m", "1h", "7d"; undefined when it is none of these.
 */
export function parseDurationMs(text: string): number | undefined {
  return parseQuantity(text, (unit) => (unit === '' ? 1 : DURATION_UNITS_MS.get(unit)))
}

function parseQuantity(
  text: string,
  factorOf: (unit: string) => number | undefined,
): number | undefined {
  const match = QUANTITY.exec(text.trim())
  if (match === null) return undefined
  const [, digits = '', unit = ''] = match
  const factor = factorOf(unit.toLowerCase())
  if (factor === undefined) return undefined
  const value = Number(digits) * factor
  return Number.isSafeInteger(value) ? value : undefined
}

/** 86302720 -> "82.3 MiB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unitIndex = 0
  while (Math.abs(value) >= 1024 && unitIndex < units.length - 1) {
    value /= 1024
    unitIndex++
  }
  const digits = unitIndex === 0 ? String(Math.round(value)) : value.toFixed(1)
  return `${digits} ${units[unitIndex] ?? ''}`
}

/** 90061000 -> "1d 1h"; 61000 -> "1m 1s"; 1500 -> "1.5 s"; 12 -> "12 ms". */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`
  const parts: string[] = []
  let restMs = Math.round(durationMs / 1000) * 1000
  for (const [name, sizeMs] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const) {
    const count = Math.floor(restMs / sizeMs)
    restMs -= count * sizeMs
    if (count > 0) parts.push(`${count}${name}`)
  }
  return parts.slice(0, 2).join(' ')
}

const TIME = new RegExp(
  String.raw`^(\d{4})-(\d{2})-(\d{2})` +
    String.raw`(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3})\d*)?)?(Z|[+-]\d{2}:?\d{2})|Z)$`,
)

/**
 * Milliseconds since 1970 of an ISO 8601 time. The zone is required: a time without one means
 * another moment on another machine. 2026-02-30 is refused rather than taken for the 2nd of March.
 */
export function parseTime(text: string): number | undefined {
  const match = TIME.exec(text.trim())
  if (match === null) return undefined
  const field = (index: number) => Number(match[index] ?? '0')
  const ms = Number((match[7] ?? '').padEnd(3, '0'))
  const local = Date.UTC(field(1), field(2) - 1, field(3), field(4), field(5), field(6), ms)
  const back = new Date(local)
  const real =
    back.getUTCMonth() === field(2) - 1 &&
    back.getUTCDate() === field(3) &&
    field(4) < 24 &&
    field(5) < 60 &&
    field(6) < 60
  if (!real) return undefined
  const zone = /^([+-])(\d{2}):?(\d{2})$/.exec(match[8] ?? 'Z')
  if (zone === null) return local
  const minutes = Number(zone[2]) * 60 + Number(zone[3])
  return local - (zone[1] === '-' ? -1 : 1) * minutes * 60_000
}
