/**
 * The result of a benchmark: what `--json` prints, and the same for people.
 *
 * Seconds and CPU count from the first record to the last, so neither starting nor joining a group
 * is in them. The names in BenchReport are a contract: scripts read them.
 */
import { formatBytes } from '../core/units.ts'

export interface BenchReport {
  readonly benchmark: 'consume' | 'produce'
  readonly topic: string
  /** The profile of the options, or null where none plays a part. */
  readonly profile: string | null
  readonly records: number
  /** Bytes of the values. */
  readonly bytes: number
  readonly matched: number
  readonly seconds: number
  readonly records_per_second: number
  readonly bytes_per_second: number
  /** User and system time of the whole process. */
  readonly cpu_seconds: number
  readonly peak_rss_bytes: number
}

export type BenchMeasurement = Omit<BenchReport, 'records_per_second' | 'bytes_per_second'>

/** Adds the rates; they are 0 when no time passed. */
export function makeReport(measured: BenchMeasurement): BenchReport {
  const { cpu_seconds, peak_rss_bytes, ...counts } = measured
  const rate = (count: number) => (measured.seconds > 0 ? count / measured.seconds : 0)
  return {
    ...counts,
    seconds: rounded(measured.seconds),
    records_per_second: Math.round(rate(measured.records)),
    bytes_per_second: Math.round(rate(measured.bytes)),
    cpu_seconds: rounded(cpu_seconds),
    peak_rss_bytes,
  }
}

/** One line of JSON, without a line end. */
export function reportJson(report: BenchReport): string {
  return JSON.stringify(report)
}

/** Some lines for people, without a last line end. */
export function reportText(report: BenchReport): string {
  const profile = report.profile === null ? '' : `, profile ${report.profile}`
  const cores = report.seconds > 0 ? report.cpu_seconds / report.seconds : 0
  const eachUs = report.records > 0 ? (report.cpu_seconds * 1e6) / report.records : 0
  const rows: readonly (readonly [name: string, sum: string, rate: string])[] = [
    ['records', group(report.records), `${group(report.records_per_second)} a second`],
    ['bytes', formatBytes(report.bytes), `${formatBytes(report.bytes_per_second)} a second`],
    ['matched', group(report.matched), ''],
    ['time', `${report.seconds.toFixed(2)} s`, 'from the first record to the last'],
    [
      'cpu',
      `${report.cpu_seconds.toFixed(2)} s`,
      `${cores.toFixed(2)} cores, ${eachUs.toFixed(2)} us a record`,
    ],
    ['peak memory', formatBytes(report.peak_rss_bytes), ''],
  ]
  const wide = Math.max(...rows.map(([, sum]) => sum.length))
  return [
    `bench ${report.benchmark}: topic ${report.topic}${profile}`,
    ...rows.map(([name, sum, rate]) =>
      `  ${name.padEnd(11)}  ${sum.padStart(wide)}  ${rate}`.trimEnd(),
    ),
  ].join('\n')
}

/** To the millisecond: more is noise. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000
}

/** 1234567 -> "1,234,567". */
function group(count: number): string {
  return count.toLocaleString('en-US', { maximumFractionDigits: 0 })
}
