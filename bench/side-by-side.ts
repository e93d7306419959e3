/**
 * logpipe beside a native consumer: the same topic, the same librdkafka, the same settings.
 *
 * Question: how many times as fast as the best plain consumer is logpipe, and for how much of its
 *   CPU? Goals: GOALS below.
 * Load: realistic lines in a real Kafka on the same machine; everybody starts at the beginning.
 * Baseline: bench/native/consume, memmem in each record, two consumers, at the best of its batch
 *   sizes and ways to wait (found by one trial each), without and with mallopt: the better one
 *   counts.
 * Method: ROUNDS rounds (5), all contestants in each, in a shuffled order; medians, as a ratio to the
 *   baseline of the same run. Time and CPU count from the first record to the last.
 * Run: build/node bench/side-by-side.ts SCENARIO...
 *   A scenario is a table of bench/README.md and takes less than four minutes on two idle cores;
 *   without one, they are listed. Builds nothing: bash bench/native/build.sh first.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { startKafka } from '../test/servers/kafka.ts'
import { median } from '../src/bench/compare-report.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 5)
/** SCALE=0.1 for a trial of a scenario itself. */
const SCALE = Number(process.env['SCALE'] ?? 1)
const PATTERN = 'ERROR'
const RUN_MS_MAX = 120_000

interface Load {
  readonly name: string
  readonly bytes: number
  readonly records: number
  readonly codec: 'none' | 'lz4' | 'zstd'
  readonly partitions: number
  /** One record in so many matches; 0: none. */
  readonly matchEvery: number
  /** Records of a batch at most; null: as many as fit into 1 MB. */
  readonly batchRecords: number | null
}

/** logpipe as a ratio to the baseline: its rate at least, its CPU at most. */
interface Goal {
  readonly rate: number | null
  readonly cpu: number | null
}

interface Scenario {
  readonly about: string
  readonly loads: readonly Load[]
  readonly others?: readonly ('kcat' | 'rsyslog')[]
}

const USUAL = { codec: 'none', partitions: 4, matchEvery: 1000, batchRecords: null } as const

/** About three seconds for the baseline, and no less than half a second for logpipe. */
const BYTES_100: Load = { ...USUAL, name: '100 B', bytes: 100, records: 12_000_000 }
const KB_1: Load = { ...USUAL, name: '1 KB', bytes: 1024, records: 3_000_000 }
const KB_10: Load = { ...USUAL, name: '10 KB', bytes: 10_240, records: 300_000 }
const KB_100: Load = { ...USUAL, name: '100 KB', bytes: 102_400, records: 30_000 }

const GOALS: ReadonlyMap<string, Goal> = new Map([
  ['100 B', { rate: 4.5, cpu: 0.2 }],
  ['1 KB', { rate: 1.8, cpu: 0.45 }],
  ['10 KB', { rate: 1.35, cpu: 0.65 }],
  ['100 KB', { rate: 1.2, cpu: 0.7 }],
  ['100 B lz4', { rate: 4.5, cpu: 0.25 }],
  ['1 KB lz4', { rate: 1.4, cpu: 0.65 }],
  ['1 KB zstd', { rate: 1.2, cpu: 0.8 }],
  ['1 record a batch', { rate: 1, cpu: null }],
])

const batches = (count: number, records: number): Load => ({
  ...BYTES_100,
  name: `${count} record${count === 1 ? '' : 's'} a batch`,
  records,
  batchRecords: count,
})
const partitions = (count: number): Load => ({
  ...BYTES_100,
  name: `${count} partition${count === 1 ? '' : 's'}`,
  partitions: count,
})
const matches = (share: string, every: number): Load => ({
  ...KB_1,
  name: `${share} match`,
  records: 1_000_000,
  matchEvery: every,
})

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'size-100': { about: 'records of 100 B', loads: [BYTES_100] },
  'size-1k': { about: 'records of 1 KB', loads: [KB_1] },
  'size-10k': { about: 'records of 10 KB', loads: [KB_10] },
  'size-100k': { about: 'records of 100 KB', loads: [KB_100] },
  'lz4-100': {
    about: 'records of 100 B, lz4',
    loads: [{ ...BYTES_100, name: '100 B lz4', codec: 'lz4' }],
  },
  'lz4-1k': {
    about: 'records of 1 KB, lz4',
    loads: [{ ...KB_1, name: '1 KB lz4', codec: 'lz4', records: 1_500_000 }],
  },
  'zstd-1k': {
    about: 'records of 1 KB, zstd',
    loads: [{ ...KB_1, name: '1 KB zstd', codec: 'zstd', records: 1_500_000 }],
  },
  batches: {
    about: 'batches of 1, 10 and 100 records of 100 B: a producer that waits little',
    loads: [batches(1, 500_000), batches(10, 2_000_000), batches(100, 4_000_000)],
  },
  'partitions-few': { about: '1 and 4 partitions of 100 B', loads: [1, 4].map(partitions) },
  'partitions-many': { about: '16 and 64 partitions of 100 B', loads: [16, 64].map(partitions) },
  'matches-few': {
    about: 'nothing and 0.1 % of 1 KB match',
    loads: [matches('0 %', 0), matches('0.1 %', 1000)],
  },
  'matches-many': {
    about: '10 % and 100 % of 1 KB match, into no output',
    loads: [matches('10 %', 10), matches('100 %', 1)],
  },
  others: {
    about: 'kcat and rsyslog, where they are installed (Debian: kcat, rsyslog-kafka)',
    loads: [
      { ...BYTES_100, name: '100 B, short', records: 2_000_000 },
      { ...KB_1, name: '1 KB, short', records: 500_000 },
    ],
    others: ['kcat', 'rsyslog'],
  },
}

interface Report {
  readonly records_per_second: number
  readonly cpu_seconds: number
  readonly matched: number
  readonly peak_rss_bytes: number
}

interface Contestant {
  readonly name: string
  readonly run: () => Report
}

const say = (line: string) => process.stderr.write(`${line}\n`)

function runJson(command: string, args: readonly string[]): Report {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: RUN_MS_MAX })
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`)
  return JSON.parse(result.stdout) as Report
}

/** What the native baseline is tried with: records a call, and how it waits for them. */
const NATIVE_TRIALS: readonly (readonly string[])[] = [
  ['256', 'drain'],
  ['1024', 'drain'],
  ['4096', 'drain'],
  ['1024', '10'],
]

function native(
  topic: string,
  load: Load,
  how: readonly string[],
  extra: readonly string[],
): Report {
  const args = [brokers, topic, PATTERN, String(load.records), '2', ...how, 'aggressive', ...extra]
  return runJson('build/bench/consume', args)
}

let groups = 0

function logpipe(topic: string, load: Load, mode: 'worker' | 'direct'): Report {
  groups++
  const where = ['--kafka-brokers', brokers, '--kafka-topic', topic]
  const threads = ['--pipeline-mode', mode, '--ingress-threads', '2', '--filter-threads', '2']
  const until = ['--records', String(load.records), '--run-seconds', '60', '--json', '--quiet']
  const group = ['--kafka-group-id', `side-by-side-${process.pid}-${groups}`]
  const args = ['bench', 'consume', ...where, '--profile', 'aggressive', ...threads, ...until]
  return runJson('bin/logpipe', [...args, ...group])
}

function contestantsFor(topic: string, load: Load, scenario: Scenario): Contestant[] {
  const rates = NATIVE_TRIALS.map((how) => native(topic, load, how, []).records_per_second)
  const best = NATIVE_TRIALS[rates.indexOf(Math.max(...rates))]!
  say(`  native at its best: ${best.join(' ')}`)
  return [
    { name: 'native 2', run: () => native(topic, load, best, []) },
    { name: 'native 2, mallopt', run: () => native(topic, load, best, ['mallopt']) },
    { name: 'logpipe direct 2', run: () => logpipe(topic, load, 'direct') },
    { name: 'logpipe worker 2+2', run: () => logpipe(topic, load, 'worker') },
    { name: 'fetch alone', run: () => native(topic, load, best, ['mallopt', 'raw']) },
    ...(scenario.others ?? []).filter(isInstalled).map((name) => ({
      name,
      run: () => (name === 'kcat' ? kcat(topic, load) : rsyslog(topic, load)),
    })),
  ]
}

function isInstalled(program: 'kcat' | 'rsyslog'): boolean {
  const file = program === 'kcat' ? 'kcat' : 'rsyslogd'
  const isThere = spawnSync('sh', ['-c', `command -v ${file}`]).status === 0
  if (!isThere) say(`  ${program} is not installed: left out`)
  return isThere
}

/** Seconds and CPU of a shell's command and its children, its connecting among them. */
function timed(script: string, load: Load, matched: (stdout: string) => number): Report {
  const startNs = process.hrtime.bigint()
  const timing = `TIMEFORMAT='%U %S'; time { ${script}; }`
  const options = { encoding: 'utf8', timeout: RUN_MS_MAX } as const
  const result = spawnSync('bash', ['-o', 'pipefail', '-c', timing], options)
  if (result.status !== 0) throw new Error(`${script}: ${result.stderr}`)
  const seconds = Number(process.hrtime.bigint() - startNs) / 1e9
  const [user = 0, system = 0] = result.stderr.trim().split('\n').at(-1)!.split(' ').map(Number)
  return {
    records_per_second: load.records / seconds,
    cpu_seconds: user + system,
    matched: matched(result.stdout),
    peak_rss_bytes: 0,
  }
}

/** As `aggressive`, but for fetch.queue.backoff.ms, which Debian's librdkafka does not know yet. */
const SETTINGS = [
  'queued.min.messages=1000000',
  'queued.max.messages.kbytes=262144',
  'fetch.message.max.bytes=4194304',
  'fetch.max.bytes=67108864',
  'receive.message.max.bytes=134217728',
  'fetch.wait.max.ms=50',
]

/** kcat has no filter of its own: grep is how it is used. */
function kcat(topic: string, load: Load): Report {
  const settings = SETTINGS.map((setting) => `-X ${setting}`).join(' ')
  const read = `kcat -C -q -e -b ${brokers} -t ${topic} -o beginning ${settings}`
  return timed(`${read} | LC_ALL=C grep -c ${PATTERN}`, load, Number)
}

/** Ends when the last record was written: its mark is the only line that rsyslog waits for. */
function rsyslog(topic: string, load: Load): Report {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'side-by-side-'))
  const file = (name: string) => path.join(folder, name)
  const expected = Math.floor(load.records / load.matchEvery)
  const params = ['auto.offset.reset=earliest', ...SETTINGS].map((one) => `"${one}"`).join(',')
  groups++
  writeFileSync(
    file('conf'),
    `global(workDirectory="${folder}" maxMessageSize="256k")
module(load="imkafka")
input(type="imkafka" topic="${topic}" broker=["${brokers}"] parseHostname="off"
  consumergroup="side-by-side-${process.pid}-${groups}" confParam=[${params}] ruleset="filter")
ruleset(name="filter" queue.type="LinkedList" queue.size="200000" queue.dequeueBatchSize="4096"
  queue.workerThreads="2") {
  if $rawmsg contains "${PATTERN}" then { action(type="omfile" file="${file('out')}") }
}
`,
  )
  const started = `rsyslogd -n -f ${file('conf')} -i ${file('pid')} >${file('log')} 2>&1 & pid=$!`
  const lines = `$(wc -l <${file('out')} 2>/dev/null || echo 0)`
  const wait = `touch ${file('out')}; while [ "${lines}" -lt ${expected} ]; do sleep 0.05; done`
  try {
    const end = `kill $pid; wait $pid; wc -l <${file('out')}`
    return timed(`${started}; ${wait}; ${end}`, load, Number)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function fill(load: Load): Promise<string> {
  const topic = `side-by-side-${load.name.replaceAll(/[^a-z0-9.]+/gi, '-')}`
  await kafka.createTopic(topic, load.partitions)
  const { records, bytes, matchEvery, codec, partitions: count, batchRecords } = load
  const args = [records, bytes, matchEvery, codec, count, 1].map(String)
  // Little linger, or a partition's batch would gather what it may not hold.
  const limit = batchRecords === null ? [] : [`batch.num.messages=${batchRecords}`, 'linger.ms=1']
  const produceArgs = [brokers, topic, ...args, ...limit]
  execFileSync('build/bench/produce', produceArgs, { stdio: ['ignore', 'ignore', 'inherit'] })
  return topic
}

async function measure(whole: Load, scenario: Scenario): Promise<string[]> {
  const load = { ...whole, records: Math.ceil(whole.records * SCALE) }
  say(`${load.name}: producing ${load.records} records`)
  const topic = await fill(load)
  const contestants = contestantsFor(topic, load, scenario)
  const reports = new Map<string, Report[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 1; round <= ROUNDS; round++) {
    const order = [...contestants].sort(() => Math.random() - 0.5)
    for (const { name, run } of order) {
      const report = run()
      const due =
        load.matchEvery === 0 || name === 'fetch alone' ? 0 : load.records / load.matchEvery
      if (report.matched < Math.floor(due)) throw new Error(`${name} matched ${report.matched}`)
      reports.get(name)!.push(report)
    }
    say(`  round ${round} of ${ROUNDS}`)
  }
  await kafka.deleteTopic(topic)
  return rowsOf(load, reports)
}

function rowsOf(load: Load, reports: ReadonlyMap<string, readonly Report[]>): string[] {
  const ratesOf = (name: string) => reports.get(name)!.map((one) => one.records_per_second)
  const cpuOf = (name: string) => median(reports.get(name)!.map((one) => one.cpu_seconds))
  const natives = ['native 2', 'native 2, mallopt']
  const base = natives.toSorted((a, b) => median(ratesOf(b)) - median(ratesOf(a)))[0]!
  return [...reports.keys()].map((name) => {
    const rates = ratesOf(name)
    const rate = median(rates)
    const rateRatio = rate / median(ratesOf(base))
    const cpuRatio = cpuOf(name) / cpuOf(base)
    const peak = Math.max(...reports.get(name)!.map((one) => one.peak_rss_bytes))
    const cells = [
      load.name,
      name,
      `${(rate / 1e6).toFixed(3)} M/s`,
      `${((rate * load.bytes) / 1e9).toFixed(2)} GB/s`,
      rateRatio.toFixed(2),
      `${cpuOf(name).toFixed(2)} s`,
      cpuRatio.toFixed(2),
      `${Math.round(((Math.max(...rates) - Math.min(...rates)) / rate) * 100)} %`,
      peak === 0 ? '' : `${Math.round(peak / 2 ** 20)} MiB`,
      name.startsWith('logpipe') ? goalText(GOALS.get(load.name), rateRatio, cpuRatio) : '',
    ]
    return `| ${cells.join(' | ')} |`
  })
}

/** "rate 1.8 met, CPU 0.45 missed" */
function goalText(goal: Goal | undefined, rateRatio: number, cpuRatio: number): string {
  if (goal === undefined) return ''
  const said = (is: boolean) => (is ? 'met' : '**missed**')
  return [
    ...(goal.rate === null ? [] : [`rate ${goal.rate} ${said(rateRatio >= goal.rate)}`]),
    ...(goal.cpu === null ? [] : [`CPU ${goal.cpu} ${said(cpuRatio <= goal.cpu)}`]),
  ].join(', ')
}

function headText(name: string, about: string): string {
  const git = spawnSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' })
  const [cpu] = os.cpus()
  const day = new Date().toISOString().slice(0, 10)
  const load = os.loadavg()[0]!.toFixed(1)
  return (
    `\`side-by-side.ts ${name}\`: ${about}; commit ${git.stdout.trim()}, ${day}, ${os.cpus().length} x ` +
    `${cpu?.model.trim() ?? 'unknown'}, Linux ${os.release()}, Node ${process.versions.node}, ` +
    `load ${load} at the start; medians of ${ROUNDS} rounds. Ratios are to the better native.\n\n`
  )
}

const COLUMNS = ['load', 'who', 'records', 'bytes', 'rate', 'CPU', 'CPU ratio', 'spread', 'memory']

const names = process.argv.slice(2)
if (names.length === 0 || names.some((name) => SCENARIOS[name] === undefined)) {
  const list = Object.entries(SCENARIOS).map(([each, { about }]) => `  ${each.padEnd(16)} ${about}`)
  say(`usage: build/node bench/side-by-side.ts SCENARIO...\n${list.join('\n')}`)
  process.exit(2)
}
const kafka = await startKafka()
const brokers = kafka.bootstrapServers
try {
  for (const name of names) {
    const scenario = SCENARIOS[name]!
    const head = headText(name, scenario.about)
    const rows: string[] = []
    for (const load of scenario.loads) rows.push(...(await measure(load, scenario)))
    process.stdout.write(`${head}| ${[...COLUMNS, 'goal'].join(' | ')} |\n`)
    process.stdout.write(`|${'---|'.repeat(COLUMNS.length + 1)}\n${rows.join('\n')}\n\n`)
  }
} finally {
  await kafka.stop()
}
