/**
 * `npm run check`: format, lint, types, tidy and unit tests, in that order; stops at the first
 * that fails.
 *
 * The same in CI and on a desk. `--fix` lets the formatter and the linter write.
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { unitTests } from './suites.ts'

const fix = process.argv.includes('--fix')
const bin = (name: string) => `node_modules/.bin/${name}`
const sources = globSync(
  ['{src,test,bench,bin,packaging}/**/*.{ts,tsx,mjs,css,html}', '*.{json,mjs}'],
  {
    exclude: (name) => /(^|\/)(lib|node_modules|run|output)(\/|$)|^test\/stack/.test(name),
  },
)

const steps: readonly (readonly [title: string, command: string, args: readonly string[]])[] = [
  ['format', bin('prettier'), [fix ? '--write' : '--check', '--log-level=warn', ...sources]],
  [
    'lint',
    bin('oxlint'),
    ['--type-aware', '--deny-warnings', ...(fix ? ['--fix'] : []), '--quiet'],
  ],
  ['types', bin('tsc'), ['--noEmit']],
  ['types of the dashboard', bin('tsc'), ['--noEmit', '-p', 'src/control/web']],
  [
    'tests',
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--test', '--test-reporter=dot', ...unitTests()],
  ],
]

for (const [title, command, args] of steps) {
  const started = performance.now()
  const result = spawnSync(command, args, {
    stdio: 'inherit',
    // Prettier, oxlint and tsc are scripts: they run on this very Node, whatever is on the PATH.
    env: { ...process.env, PATH: `build:${process.env['PATH'] ?? ''}` },
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`${title}: ${result.status === 0 ? 'ok' : 'FAILED'} (${seconds} s)\n`)
  if (result.status !== 0) process.exit(1)
}
