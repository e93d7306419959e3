/**
 * `npm test`: runs the suites one after another, and counts.
 *
 *   npm test                          all suites
 *   npm test -- unit e2e              these suites
 *   npm test -- test/e2e/x.test.ts    these files
 *
 * The e2e and chaos suites share one Kafka and one Elasticsearch, started here, whose addresses
 * tests find in LOGPIPE_TEST_KAFKA and LOGPIPE_TEST_ES (test/servers/shared.ts). What cannot run
 * here is skipped and named, with the command that would bring it. Exits 1 when a test failed, a
 * suite passed its time limit, or a suite had files and ran no test.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { run } from 'node:test'
import { inspect } from 'node:util'
import { startKafka } from './servers/kafka.ts'
import { startElasticsearch } from './servers/search.ts'
import { serversMissing } from './servers/stack.ts'
import { COMPILE_CACHE, SUITES, testsOf, unitTests, type Suite } from './suites.ts'

type SuiteName = 'unit' | Suite

interface Plan {
  readonly concurrency: number
  readonly minutesMax: number
  readonly servers: boolean
}

/**
 * Two at a time where nothing is measured and nothing shared; one where servers take the cores. The
 * limits end what hangs: on an idle machine of 2 cores a suite takes a third of its own.
 */
const PLANS: Readonly<Record<SuiteName, Plan>> = {
  unit: { concurrency: 2, minutesMax: 5, servers: false },
  integration: { concurrency: 2, minutesMax: 10, servers: false },
  e2e: { concurrency: 1, minutesMax: 20, servers: true },
  chaos: { concurrency: 1, minutesMax: 12, servers: true },
  binary: { concurrency: 1, minutesMax: 10, servers: false },
  browser: { concurrency: 2, minutesMax: 6, servers: false },
}
const NAMES: readonly SuiteName[] = ['unit', ...SUITES]
/** What one test file may print and have shown when it fails. */
const OUTPUT_CHARS_MAX = 20_000

const SLOWEST_SHOWN = 12
/** Of the tests of each file. */
const secondsOf = new Map<string, number>()

interface Result {
  readonly suite: SuiteName
  passed: number
  failed: number
  skipped: number
  seconds: number
}

const say = (line: string) => process.stdout.write(`${line}\n`)

function filesOf(suite: SuiteName): string[] {
  return suite === 'unit' ? unitTests() : testsOf(suite)
}

/** The files to run, by suite. Exits with 2 on a word that is neither a suite nor a test file. */
function selection(words: readonly string[]): Map<SuiteName, string[]> {
  const chosen = new Map<SuiteName, string[]>()
  const known = NAMES.map((name) => [name, filesOf(name)] as const)
  if (words.length === 0) return new Map(known.filter(([, files]) => files.length > 0))
  for (const word of words) {
    const file = path.relative('.', path.resolve(word))
    const suite = known.find(([name, files]) => name === word || files.includes(file))
    if (suite === undefined) {
      say(`no suite and no test file: ${word}. Suites: ${NAMES.join(', ')}`)
      process.exit(2)
    }
    const [name, files] = suite
    const more = name === word ? files : [file]
    chosen.set(name, [...new Set([...(chosen.get(name) ?? []), ...more])])
  }
  return chosen
}

/** Why a suite cannot run here, and the command that would change it; or null. */
function missingFor(suite: SuiteName): string | null {
  const bridge = process.env['BRIDGE_LIB'] ?? 'build/bridge.node'
  if ((suite === 'integration' || suite === 'browser') && !existsSync(bridge)) {
    return `the add-on ${bridge} is not built: npm run setup`
  }
  if (suite === 'browser' && !bringChromium()) {
    return 'Chromium is not there and could not be installed: apt-get install chromium'
  }
  const executable = process.env['LOGPIPE_BIN'] ?? 'dist/logpipe'
  if (suite === 'binary' && !existsSync(executable)) {
    return `the executable ${executable} is not built: npm run build`
  }
  return PLANS[suite].servers ? serversMissing(['kafka']) : null
}

/** Set-up installs it where it may; what it says about that is shown. */
function bringChromium(): boolean {
  const executable = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
  if (existsSync(executable)) return true
  spawnSync(process.execPath, ['bin/setup.mjs', 'chromium'], { stdio: 'inherit' })
  return existsSync(executable)
}

/** Starts what the suites share. An Elasticsearch that cannot run here is named; its tests skip. */
async function startServers(): Promise<void> {
  const started = performance.now()
  const missing = serversMissing(['elasticsearch'])
  if (missing !== null) say(`skipped where Elasticsearch is needed: ${missing}`)
  const [kafka, elasticsearch] = await Promise.all([
    startKafka(),
    missing === null ? startElasticsearch() : null,
  ])
  process.env['LOGPIPE_TEST_KAFKA'] = kafka.bootstrapServers
  if (elasticsearch !== null) process.env['LOGPIPE_TEST_ES'] = elasticsearch.url
  say(`servers up in ${((performance.now() - started) / 1000).toFixed(1)} s`)
}

/** Runs the files of a suite; each failure is told when it happens. */
async function runSuite(suite: SuiteName, files: readonly string[]): Promise<Result> {
  const { concurrency, minutesMax } = PLANS[suite]
  const result: Result = { suite, passed: 0, failed: 0, skipped: 0, seconds: 0 }
  const started = performance.now()
  const limit = AbortSignal.timeout(minutesMax * 60_000)
  const stream = run({
    files: files.map((file) => path.resolve(file)),
    concurrency,
    timeout: minutesMax * 60_000,
    signal: limit,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const output = new Map<string, string>()
  const keep = ({ file, message }: { file?: string | undefined; message: string }) => {
    const before = output.get(file ?? '') ?? ''
    output.set(file ?? '', `${before}${message}`.slice(-OUTPUT_CHARS_MAX))
  }
  stream.on('test:stdout', keep)
  stream.on('test:stderr', keep)
  // What fails a file behind the end of its tests is told here alone.
  stream.on('test:diagnostic', ({ file, message }) => keep({ file, message: `${message}\n` }))
  stream.on('test:fail', ({ name, file = '', details, todo }) => {
    if (todo !== undefined && todo !== false) return
    // A file fails as a whole when its process did not end well: then this says how.
    const { exitCode, signal } = details.error as { exitCode?: number; signal?: string | null }
    const ended = exitCode === undefined ? '' : `, ended by ${signal ?? `status ${exitCode}`}`
    const cause: unknown = details.error.cause ?? details.error
    say(`\nFAILED  ${path.relative('.', file)}: ${name === file ? 'the file' : name}${ended}`)
    say(inspect(cause))
    const printed = output.get(file)
    if (printed !== undefined) say(`its output:\n${printed}`)
    output.delete(file)
  })
  for (const end of ['test:pass', 'test:fail'] as const) {
    stream.on(end, ({ file = '', nesting, details }) => {
      if (nesting > 0) return
      secondsOf.set(file, (secondsOf.get(file) ?? 0) + details.duration_ms / 1000)
    })
  }
  // The runner reports a file that defined no test as one passed test of the file's name.
  let empty = 0
  stream.on('test:pass', ({ name, file = '' }) => {
    if (path.resolve(name) !== file) return
    say(`\nFAILED  ${path.relative('.', file)}: no test ran`)
    empty++
  })
  stream.on('test:summary', ({ file, counts }) => {
    if (file !== undefined) return
    result.passed = counts.passed - empty
    result.failed = counts.tests - counts.passed - counts.skipped - counts.todo + empty
    result.skipped = counts.skipped
  })
  // Reading drives the stream; it ends when every file has ended.
  for await (const event of stream) void event
  if (limit.aborted) {
    say(`\nFAILED  suite ${suite}: not done after its limit of ${minutesMax} minutes`)
    result.failed = Math.max(1, result.failed)
  } else if (result.passed + result.failed + result.skipped === 0) {
    say(`\nFAILED  suite ${suite}: ${files.length} files, and no test ran`)
    result.failed = 1
  }
  result.seconds = (performance.now() - started) / 1000
  return result
}

function table(results: readonly Result[]): void {
  const row = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, at) => (at === 0 ? String(cell).padEnd(12) : String(cell).padStart(8)))
      .join('')
  say(`\n${row(['suite', 'passed', 'failed', 'skipped', 'seconds'])}`)
  for (const { suite, passed, failed, skipped, seconds } of results) {
    say(row([suite, passed, failed, skipped, seconds.toFixed(1)]))
  }
  const sum = (key: 'passed' | 'failed' | 'skipped') =>
    results.reduce((total, result) => total + result[key], 0)
  say(`\n${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`)
}

/** Where the time went: who has to make the tests faster looks there first. */
function slowest(): void {
  const files = [...secondsOf]
    .sort(([, left], [, right]) => right - left)
    .slice(0, SLOWEST_SHOWN)
    .map(([file, seconds]) => `${path.relative('.', file)} ${seconds.toFixed(0)} s`)
  say(`slowest: ${files.join(', ')}`)
}

process.env['NODE_COMPILE_CACHE'] ??= COMPILE_CACHE.NODE_COMPILE_CACHE
const results: Result[] = []
let serversFailed = false
let serversUp = false
for (const [suite, files] of selection(process.argv.slice(2))) {
  const missing = missingFor(suite)
  if (missing !== null) {
    say(`skipped suite ${suite} (${files.length} files): ${missing}`)
    results.push({ suite, passed: 0, failed: 0, skipped: files.length, seconds: 0 })
    continue
  }
  if (PLANS[suite].servers && !serversUp && !serversFailed) {
    try {
      await startServers()
      serversUp = true
    } catch (error) {
      say(`\nFAILED  ${inspect(error)}`)
      serversFailed = true
    }
  }
  if (PLANS[suite].servers && serversFailed) {
    say(`\nFAILED  suite ${suite}: its servers did not start, see above`)
    results.push({ suite, passed: 0, failed: 1, skipped: files.length, seconds: 0 })
    continue
  }
  results.push(await runSuite(suite, files))
}
table(results)
slowest()
// At once: the servers' 'exit' hook ends what was started here.
process.exit(results.some((result) => result.failed > 0) ? 1 : 0)
