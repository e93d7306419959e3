/**
 * `npm run test:binary [FILE.test.ts...]`: the tests that start the program as a process, against
 * the executable dist/logpipe, or the one that LOGPIPE_BIN names. They are those that get the
 * program from test/helpers, and test/binary/, which are about the executable itself.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'

const STARTS_IT = /from '[./]+\/helpers\/(program|logpipe|program-command)\.ts'/

const executable = path.resolve(process.env['LOGPIPE_BIN'] ?? 'dist/logpipe')
if (!existsSync(executable)) {
  process.stderr.write(`test:binary: ${executable} is not built: npm run build\n`)
  process.exit(1)
}
const { stdout } = spawnSync(executable, ['--version'], { encoding: 'utf8' })
process.stdout.write(`${executable}: ${stdout.trim().replaceAll('\n', '; ')}\n`)

const asked = process.argv.slice(2)
const files = globSync('test/**/*.test.ts', { exclude: (name) => name.startsWith('test/stack') })
  .filter((file) => STARTS_IT.test(readFileSync(file, 'utf8')))
  .sort()
const chosen = asked.length > 0 ? asked : files
const { status } = spawnSync(process.execPath, ['test/run.ts', ...chosen], {
  stdio: 'inherit',
  env: { ...process.env, LOGPIPE_BIN: executable },
})
process.exit(status ?? 1)
