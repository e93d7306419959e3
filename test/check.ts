/**
 * `npm run check`: format, lint and types side by side, then tidy and the unit tests, unless one of
 * the first has failed.
 *
 * The same in CI and on a desk. `--fix` lets the formatter and the linter write.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { COMPILE_CACHE, unitTests } from './suites.ts'

const fix = process.argv.includes('--fix')
const bin = (name: string) => `node_modules/.bin/${name}`
const sources = globSync(
  ['{src,test,bench,bin,packaging}/**/*.{ts,tsx,mjs,css,html}', '*.{json,mjs}'],
  {
    exclude: (name) => /(^|\/)(lib|node_modules|run|output)(\/|$)|^test\/stack/.test(name),
  },
)

/** By content: files that did not change since are not read again. */
const prettierCache = ['--cache', '--cache-strategy=content', '--cache-location=build/prettier']

interface Step {
  readonly title: string
  readonly command: string
  readonly args: readonly string[]
}

/** None needs another; side by side they fill the cores that each leaves idle. */
const reading: readonly Step[] = [
  {
    title: 'format',
    command: bin('prettier'),
    args: [fix ? '--write' : '--check', '--log-level=warn', ...prettierCache, ...sources],
  },
  {
    title: 'lint',
    command: bin('oxlint'),
    args: ['--type-aware', '--deny-warnings', ...(fix ? ['--fix'] : []), '--quiet'],
  },
  { title: 'types', command: bin('tsc'), args: ['--noEmit'] },
  {
    title: 'types of the dashboard',
    command: bin('tsc'),
    args: ['--noEmit', '-p', 'src/control/web'],
  },
]

const tests: Step = {
  title: 'tests',
  command: process.execPath,
  args: [
    '--disable-warning=ExperimentalWarning',
    '--test',
    // One a core; by itself Node leaves a core idle.
    `--test-concurrency=${availableParallelism()}`,
    '--test-reporter=dot',
    ...unitTests(),
  ],
}

/**
 * @param output inherit: shown as it comes; pipe: at the end, not mixed with that of others.
 * @returns whether it succeeded.
 */
async function succeeds(
  { title, command, args }: Step,
  output: 'inherit' | 'pipe',
): Promise<boolean> {
  const started = performance.now()
  // Prettier, oxlint and tsc are scripts: they run on this very Node, whatever is on the PATH.
  const env = { ...COMPILE_CACHE, ...process.env, PATH: `build:${process.env['PATH'] ?? ''}` }
  const child = spawn(command, args, { stdio: ['ignore', output, output], env })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (printed += text))
  }
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const result = status === 0 ? 'ok' : 'FAILED'
  process.stdout.write(`${printed}${title}: ${result} (${seconds} s)\n`)
  return status === 0
}

// What is written by one may not be read by another.
const isReady = fix ? await oneByOne(reading) : await sideBySide(reading)
if (!isReady || !(await succeeds(tests, 'inherit'))) process.exit(1)

async function oneByOne(steps: readonly Step[]): Promise<boolean> {
  for (const step of steps) if (!(await succeeds(step, 'inherit'))) return false
  return true
}

async function sideBySide(steps: readonly Step[]): Promise<boolean> {
  return (await Promise.all(steps.map((step) => succeeds(step, 'pipe')))).every((isOk) => isOk)
}
