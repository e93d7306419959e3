/**
 * Numbers and times for people. One form each, so that columns line up and nothing jumps about.
 */

const SCALE = ['', 'k', 'M', 'G', 'T'] as const
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** 0, 7, 7.5, 950, 12.3k, 1.24M: three figures, never more than six characters. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const sign = value < 0 ? '-' : ''
  let rest = Math.abs(value)
  let step = 0
  // 999.95 would be shown as 1000.
  while (rest >= 999.5 && step < SCALE.length - 1) {
    rest /= 1000
    step++
  }
  return `${sign}${threeFigures(rest, step === 0)}${SCALE[step] ?? ''}`
}

export function wholeNumber(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

export function perSecond(value: number): string {
  return `${shortNumber(value)}/s`
}

export function bytes(value: number): string {
  let rest = Math.abs(value)
  let step = 0
  while (rest >= 1023.5 && step < BINARY.length - 1) {
    rest /= 1024
    step++
  }
  return `${value < 0 ? '-' : ''}${threeFigures(rest, step === 0)} ${BINARY[step] ?? ''}`
}

function threeFigures(value: number, whole: boolean): string {
  if (value === 0) return '0'
  // Rates below ten are worth a digit; bytes and records in whole numbers are not.
  if (whole && Number.isInteger(value)) return String(value)
  if (value >= 100) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : trimmed(value.toFixed(2))
}

function trimmed(text: string): string {
  return text.replace(/\.?0+$/, '') || '0'
}

const UNITS: readonly (readonly [seconds: number, unit: string])[] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
]

/** "just now", "42 s ago", "5 min ago", "3 d ago". */
export function ago(iso: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(iso)) / 1000))
  if (!Number.isFinite(seconds)) return 'never'
  return seconds < 3 ? 'just now' : `${duration(seconds)} ago`
}

/** In the largest unit that fits: "42 s", "5 min". */
export function duration(seconds: number): string {
  for (const [size, unit] of UNITS) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`
  }
  return `${Math.round(seconds)} s`
}

/** 2026-11-25 22:13:39 in the reader's own zone. */
export function clockTime(iso: string): string {
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return iso
  const two = (part: number) => String(part).padStart(2, '0')
  const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-')
  return `${day} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')}`
}

export function counted(count: number, noun: string): string {
  const ending = count === 1 ? '' : noun.endsWith('ch') ? 'es' : 's'
  return `${wholeNumber(count)} ${noun}${ending}`
}
