/**
 * The result of `logpipe bench`: medians, spreads and ratios, as JSON and as tables for people.
 *
 * The names in CompareReport are a contract: scripts read them.
 */
import { counted, tableLines } from '../core/text-table.ts'
import { formatBytes } from '../core/units.ts'

/** Who reads; the first is what the others are compared with, the last is the limit of all. */
export const READERS = ['plain', 'direct', 'worker', 'raw'] as const
export type ReaderName = (typeof READERS)[number]

export interface Load {
  readonly name: string
  readonly recordBytes: number
  readonly compression: 'none' | 'lz4'
  readonly topic: string
}

/** One reader, once. */
export interface ReaderRun {
  readonly recordsPerSecond: number
  readonly cpuSeconds: number
  readonly records: number
  readonly peakRssBytes: number
}

export interface LoadResult {
  readonly load: Load
  readonly records: number
  readonly runs: readonly { readonly reader: ReaderName; readonly runs: readonly ReaderRun[] }[]
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memory_bytes: number
  readonly system: string
}

export interface CompareHead {
  readonly logpipe: string
  readonly librdkafka: string
  readonly node: string
  readonly machine: Machine
  /** embedded: librdkafka's mock, in this process. Ratios would say nothing about Kafka. */
  readonly broker: 'kafka' | 'embedded'
  readonly brokers: string
  readonly profile: string
  readonly time: string
}

export interface ReaderReport {
  readonly reader: ReaderName
  readonly rounds: number
  /** Medians of the rounds. */
  readonly records_per_second: number
  readonly bytes_per_second: number
  readonly cpu_seconds_per_gb: number
  /** (largest - smallest) / median of the rate. */
  readonly spread: number
  /** To `plain` of the same rounds; null on the embedded broker. */
  readonly rate_ratio: number | null
  readonly cpu_ratio: number | null
  /** The most of any round. */
  readonly peak_rss_bytes: number
}

export interface LoadReport {
  readonly load: string
  readonly record_bytes: number
  readonly compression: string
  readonly records: number
  readonly readers: readonly ReaderReport[]
}

export interface CompareReport extends CompareHead {
  readonly benchmark: 'compare'
  readonly loads: readonly LoadReport[]
}

export const READER_NAMES: Readonly<Record<ReaderName, string>> = {
  plain: 'plain librdkafka loop',
  direct: 'logpipe, direct',
  worker: 'logpipe, worker',
  raw: 'fetch alone (limit)',
}

export function compareReport(head: CompareHead, results: readonly LoadResult[]): CompareReport {
  return {
    benchmark: 'compare',
    ...head,
    loads: results.map((result) => loadReport(result, head.broker === 'kafka')),
  }
}

function loadReport({ load, records, runs }: LoadResult, hasRatios: boolean): LoadReport {
  const medians = runs.map(({ reader, runs: rounds }) => {
    const rates = rounds.map((run) => run.recordsPerSecond)
    const gigabytes = (run: ReaderRun) => (run.records * load.recordBytes) / 1e9
    const rate = median(rates)
    const cpu = median(rounds.map((run) => run.cpuSeconds / gigabytes(run)))
    return { reader, rounds, rate, cpu, spread: spreadOf(rates) }
  })
  const base = medians.find(({ reader }) => reader === 'plain')
  const ratio = (value: number, to: number | undefined) =>
    hasRatios && to !== undefined && to > 0 ? rounded(value / to) : null
  return {
    load: load.name,
    record_bytes: load.recordBytes,
    compression: load.compression,
    records,
    readers: medians.map(({ reader, rounds, rate, cpu, spread }) => ({
      reader,
      rounds: rounds.length,
      records_per_second: Math.round(rate),
      bytes_per_second: Math.round(rate * load.recordBytes),
      cpu_seconds_per_gb: rounded(cpu),
      spread: rounded(spread),
      rate_ratio: ratio(rate, base?.rate),
      cpu_ratio: ratio(cpu, base?.cpu),
      peak_rss_bytes: Math.max(0, ...rounds.map((run) => run.peakRssBytes)),
    })),
  }
}

/** The middle one, or the mean of the two in the middle; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? 0
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
  return (upper + lower) / 2
}

/** (largest - smallest) / median; 0 where there is no rate. */
export function spreadOf(values: readonly number[]): number {
  const middle = median(values)
  return middle > 0 ? (Math.max(...values) - Math.min(...values)) / middle : 0
}

/** Tables for people, without a last line end. */
export function compareText(report: CompareReport): string {
  return [...headLines(report), ...report.loads.flatMap((load) => ['', ...loadLines(load)])].join(
    '\n',
  )
}

/** What was measured where, a line each. */
export function headLines(report: CompareReport): string[] {
  const { machine } = report
  const broker =
    report.broker === 'kafka'
      ? `Kafka at ${report.brokers}`
      : 'embedded in this process: shows that logpipe works, not how fast it is with a real Kafka'
  const memory = formatBytes(machine.memory_bytes)
  return [
    `machine   ${machine.cpu}, ${machine.cores} cores, ${memory}, ${machine.system}`,
    `versions  logpipe ${report.logpipe}, librdkafka ${report.librdkafka}, Node ${report.node}`,
    `broker    ${broker}`,
    `profile   ${report.profile}`,
  ]
}

export const COLUMNS = [
  '',
  'records/s',
  'bytes/s',
  'rate x plain',
  'CPU s/GB',
  'CPU x plain',
  'spread',
  'memory',
]

/** The cells of a reader, in the order of COLUMNS. */
export function readerCells(reader: ReaderReport): string[] {
  const ratio = (value: number | null) => (value === null ? '-' : value.toFixed(2))
  return [
    READER_NAMES[reader.reader],
    reader.records_per_second.toLocaleString('en-US'),
    formatBytes(reader.bytes_per_second),
    ratio(reader.rate_ratio),
    reader.cpu_seconds_per_gb.toFixed(2),
    ratio(reader.cpu_ratio),
    `${Math.round(reader.spread * 100)} %`,
    formatBytes(reader.peak_rss_bytes),
  ]
}

function loadLines(load: LoadReport): string[] {
  const rounds = Math.min(...load.readers.map((reader) => reader.rounds))
  const rows = [COLUMNS, ...load.readers.map(readerCells)]
  const lines = tableLines(rows, (column) => column > 0).map((line) => `  ${line}`)
  const records = load.records.toLocaleString('en-US')
  return [`${load.load}: ${records} records, median of ${counted(rounds, 'round')}`, ...lines]
}

/** To the thousandth: more is noise. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}
