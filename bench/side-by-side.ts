/**
 * logpipe beside a native consumer: the same topic, the same librdkafka, the same settings.
 *
 * Question: does the pipeline (worker mode, 2 ingress and 2 filter threads) reach 1.0x of one
 * native
 *   consumer and 0.8x of two, at 100 B, 1 KB, 10 KB and 100 KB?
 * Load: 4 partitions of realistic lines, one in 1,000 matches, uncompressed; both at the
 * `aggressive`
 *   settings; every consumer starts at the beginning of the topic.
 * Baseline: bench/native/consume, memmem per record, at the best of its batch sizes and ways to
 * wait
 *   (found by one trial each), with one and with two consumers. Also with mallopt, as a harder one.
 * Method: real Kafka on the same machine; ROUNDS rounds, all contestants in each, in a shuffled
 * order;
 *   medians, as a ratio to the baseline of the same run. Time counts from the first record to the
 *   last.
 * Run: build/node bench/side-by-side.ts [SIZE...] > table.md      (builds nothing: see
 * native/build.sh)
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { startKafka } from '../test/servers/kafka.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 5)
const PATTERN = 'ERROR'
/** Records a size: one to three seconds of work, so that start-up and slow start do not show. */
const RECORDS: ReadonlyMap<number, number> = new Map([
  [100, 12_000_000],
  [1024, 1_500_000],
  [10_240, 250_000],
  [102_400, 25_000],
])
/** What the native baseline is tried with: records a call, and how it waits for them. */
const NATIVE_TRIALS: readonly (readonly [batch: string, wait: string])[] = [
  ['256', 'drain'],
  ['1024', 'drain'],
  ['4096', 'drain'],
  ['1024', '10'],
]

interface Report {
  readonly records: number
  readonly records_per_second: number
  readonly bytes_per_second: number
  readonly cpu_seconds: number
  readonly matched: number
}

interface Contestant {
  readonly name: string
  readonly run: () => Report
}

const say = (line: string) => process.stderr.write(`${line}\n`)
const median = (values: readonly number[]) => {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function runJson(command: string, args: readonly string[]): Report {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 120_000 })
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`)
  return JSON.parse(result.stdout) as Report
}

function native(
  topic: string,
  records: number,
  consumers: number,
  [batch, wait]: readonly [string, string],
  extra: readonly string[],
): Report {
  const args = [brokers, topic, PATTERN, String(records), String(consumers), batch, wait]
  return runJson('build/bench/consume', [...args, 'aggressive', ...extra])
}

let groups = 0

function logpipe(topic: string, records: number, mode: 'worker' | 'direct'): Report {
  groups++
  return runJson('bin/logpipe', [
    'bench',
    'consume',
    '--kafka-brokers',
    brokers,
    '--kafka-topic',
    topic,
    '--profile',
    'aggressive',
    '--pipeline-mode',
    mode,
    '--ingress-threads',
    '2',
    '--filter-threads',
    '2',
    '--records',
    String(records),
    '--run-seconds',
    '60',
    '--kafka-group-id',
    `side-by-side-${process.pid}-${groups}`,
    '--json',
    '--quiet',
  ])
}

function bestTrial(topic: string, records: number, consumers: number): readonly [string, string] {
  const rates = NATIVE_TRIALS.map(
    (trial) => native(topic, records, consumers, trial, []).records_per_second,
  )
  return NATIVE_TRIALS[rates.indexOf(Math.max(...rates))]!
}

function contestantsFor(topic: string, records: number): Contestant[] {
  const one = bestTrial(topic, records, 1)
  const two = bestTrial(topic, records, 2)
  say(`  native at its best: one consumer ${one.join(' ')}, two consumers ${two.join(' ')}`)
  return [
    { name: 'native 1', run: () => native(topic, records, 1, one, []) },
    { name: 'native 2', run: () => native(topic, records, 2, two, []) },
    { name: 'native 2, mallopt', run: () => native(topic, records, 2, two, ['mallopt']) },
    { name: 'logpipe worker 2+2', run: () => logpipe(topic, records, 'worker') },
    { name: 'logpipe direct 2', run: () => logpipe(topic, records, 'direct') },
  ]
}

function measure(size: number): string[] {
  const records = RECORDS.get(size) ?? 1_000_000
  const topic = `side-by-side-${size}`
  say(`${size} B: producing ${records} records`)
  const produceArgs = [brokers, topic, String(records), String(size), '1000', 'none', '4']
  execFileSync('build/bench/produce', produceArgs, { stdio: ['ignore', 'ignore', 'inherit'] })
  const contestants = contestantsFor(topic, records)
  const reports = new Map<string, Report[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 1; round <= ROUNDS; round++) {
    const order = [...contestants].sort(() => Math.random() - 0.5)
    for (const { name, run } of order) {
      const report = run()
      if (report.matched < records / 1000) throw new Error(`${name} matched ${report.matched}`)
      reports.get(name)!.push(report)
    }
    say(`  round ${round} of ${ROUNDS}`)
  }
  const rateOf = (name: string) => median(reports.get(name)!.map((one) => one.records_per_second))
  return contestants.map(({ name }) => {
    const rate = rateOf(name)
    const all = reports.get(name)!
    const rates = all.map((one) => one.records_per_second)
    const spread = (Math.max(...rates) - Math.min(...rates)) / rate
    const cells = [
      `${size} B`,
      name,
      `${(rate / 1e6).toFixed(3)} M/s`,
      `${((rate * size) / 1e9).toFixed(2)} GB/s`,
      (rate / rateOf('native 1')).toFixed(2),
      (rate / rateOf('native 2')).toFixed(2),
      `${median(all.map((one) => one.cpu_seconds)).toFixed(2)} s`,
      `${Math.round(spread * 100)} %`,
    ]
    return `| ${cells.join(' | ')} |`
  })
}

const sizes = process.argv.slice(2).map(Number)
const kafka = await startKafka()
const brokers = kafka.bootstrapServers
try {
  const rows = (sizes.length > 0 ? sizes : [...RECORDS.keys()]).flatMap((size) => {
    const lines = measure(size)
    for (const line of lines) say(line)
    return lines
  })
  const head = ['size', 'who', 'records', 'bytes', '/ native 1', '/ native 2', 'CPU', 'spread']
  process.stdout.write(`| ${head.join(' | ')} |\n|${'---|'.repeat(head.length)}\n`)
  process.stdout.write(rows.map((row) => `${row}\n`).join(''))
} finally {
  await kafka.stop()
}
