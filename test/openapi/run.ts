/**
 * `npm run test:openapi`: Schemathesis (from PyPI, in a virtual environment below build/) makes
 * requests from the API's own description, right ones and wrong ones, alone and in sequences,
 * against a fresh control plane. No answer may be an error of ours, and each must be as described.
 *
 * LOGPIPE_TEST_EXAMPLES requests an operation (40), LOGPIPE_TEST_SEED repeats a run (1). Exits with
 * what Schemathesis says, and 1 when the control plane reported an error in its log.
 */
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { flags } from '../helpers/logpipe.ts'

const HERE = import.meta.dirname
const ROOT = path.resolve(HERE, '../..')
const VENV = path.join(ROOT, 'build/openapi-venv')
const REQUIREMENTS = path.join(HERE, 'requirements.txt')
/** Server-sent events: an answer that never ends. test/control/command-routes.test.ts has it. */
const NEVER_ENDS = '/api/pipelines/{id}/tail'
const START_MS_MAX = 30_000

function must(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (status === 0) return
  const why = error === undefined ? `ended with status ${status}` : error.message
  process.stderr.write(`test:openapi: ${command} ${args.join(' ')}: ${why}\n`)
  process.exit(1)
}

/** The programs of the environment, installed anew when the requirements are newer. */
function schemathesis(): string {
  const program = path.join(VENV, 'bin/schemathesis')
  const isFresh = existsSync(program) && statSync(program).mtimeMs > statSync(REQUIREMENTS).mtimeMs
  if (!isFresh) {
    must('python3', ['-m', 'venv', '--clear', VENV])
    must(path.join(VENV, 'bin/pip'), ['install', '--quiet', '--requirement', REQUIREMENTS])
  }
  return program
}

/** Headers of its own make every call a stranger's, who needs one. */
const TOKEN = randomBytes(16).toString('hex')

const program = schemathesis()
const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-openapi-'))
const args = [path.join(ROOT, 'src/cli/main.ts'), 'control', '--listen', '127.0.0.1:0']
const control = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
  cwd: folder,
  env: { PATH: process.env['PATH'] ?? '', CONTROL_TOKEN: TOKEN, WORKER_TOKEN: TOKEN },
  stdio: ['ignore', 'ignore', 'pipe'],
})
process.once('exit', () => {
  control.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
let said = ''
const url = await new Promise<string>((resolve, reject) => {
  const failed = () => reject(new Error(`the control plane did not start:\n${said}`))
  const timer = setTimeout(failed, START_MS_MAX)
  control.once('exit', failed)
  control.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
    const [, found] = /control plane at (http:\S+\d)/.exec(said) ?? []
    if (found === undefined) return
    clearTimeout(timer)
    resolve(found)
  })
})

const options = flags({
  'max-examples': process.env['LOGPIPE_TEST_EXAMPLES'] ?? '40',
  seed: process.env['LOGPIPE_TEST_SEED'] ?? '1',
  'exclude-path': NEVER_ENDS,
  'request-timeout': 20,
  header: `Authorization: Bearer ${TOKEN}`,
})
const words = ['--config-file', path.join(HERE, 'schemathesis.toml'), 'run', `${url}/openapi.json`]
const run = spawn(program, [...words, ...options, '--continue-on-failure'], {
  cwd: folder,
  stdio: 'inherit',
})
const [status] = (await once(run, 'exit')) as [number | null]
const reported = said.split('\n').filter((line) => /^\s+at |Error/.test(line))
if (reported.length > 0) process.stderr.write(`the control plane reported:\n${said}\n`)
process.exit(status !== 0 ? (status ?? 1) : reported.length > 0 ? 1 : 0)
