/** The program as a user meets it: one clear line for each mistake, and the exit status. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { ARGUMENTS, COMMAND, IS_PACKED } from '../helpers/program-command.ts'

function logpipe(args: readonly string[], env: Record<string, string> = {}) {
  return spawnSync(COMMAND, [...ARGUMENTS, ...args], {
    encoding: 'utf8',
    // Nothing of the machine that runs the tests may set an option.
    env: { PATH: process.env['PATH'] ?? '', ...env },
    timeout: 20_000,
  })
}

function refused(args: readonly string[], says: RegExp, env: Record<string, string> = {}): void {
  const { status, stdout, stderr } = logpipe(args, env)
  assert.match(stderr, says)
  assert.match(stderr, /^logpipe: [^\n]+\n$/, 'one line')
  assert.doesNotMatch(stderr, /^\s+at /m, 'no stack trace')
  assert.equal(stdout, '')
  assert.equal(status, 2)
}

test('each wrong input ends with one line and status 2', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const yaml = path.join(folder, 'bad.yaml')
  writeFileSync(yaml, 'topic: [unclosed\n')

  refused(['run', '--patern', 'x'], /unknown option --patern .*did you mean --pattern\?/)
  refused(['run'], /RUST_WORKERS: expected .*got "-1"/, { RUST_WORKERS: '-1' })
  refused(['run', '--mode', 'turbo'], /--mode: expected worker or direct, got "turbo"/)
  refused(['run', '--kafka-config', 'group.id=x'], /set by logpipe; use --group/)
  refused(['run', '--config', path.join(folder, 'none.yaml')], /cannot read .*no such file/)
  refused(['run', '--config', yaml], /bad\.yaml:\d+:\d+: /)
})

test('a wrong line shows its stack only when debug asks for it', () => {
  const { status, stderr } = logpipe(['run', '--patern', '--log-level', 'debug'])
  assert.match(stderr, /^logpipe: [^\n]+\n.*LogpipeError[^]*\n {4}at /)
  assert.equal(status, 2)
})

/** Ends the process with 9 when a package other than commander, or an add-on, is loaded. */
const WATCH = `
  import { registerHooks } from 'node:module'
  registerHooks({
    resolve(name, context, next) {
      const found = next(name, context)
      if (!/node_modules\\/(?!commander)|\\.node$/.test(found.url)) return found
      process.stderr.write(found.url)
      process.exit(9)
    },
  })`

test('help and version load no package and no add-on', (t) => {
  if (IS_PACKED) {
    t.skip('the executable has no packages that could be watched')
    return
  }
  const watch = `data:text/javascript,${encodeURIComponent(WATCH)}`
  const watched = (args: readonly string[]) =>
    spawnSync(COMMAND, ['--import', watch, ...ARGUMENTS, ...args], { encoding: 'utf8' })
  for (const args of [['--version'], ['--help'], ['run', '--help']]) {
    const { status, stderr } = watched(args)
    assert.equal(status, 0, stderr)
  }
  assert.equal(watched(['run', '--config', 'package.json']).status, 9, 'the watch sees nothing')
})

test('a reader that goes away ends the program quietly', async () => {
  const child = spawn(COMMAND, [...ARGUMENTS, 'run', '--help'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const status = await new Promise((resolve) => child.once('close', resolve))
  assert.equal(stderr, '')
  assert.equal(status, 0)
})

test('check says what is wrong with its word, and exits with 1', () => {
  const { status, stdout, stderr } = logpipe([
    'check',
    '--brokers',
    '127.0.0.1:1',
    '--output',
    'file:/nonexistent/folder/x',
    '--kafka-config',
    'sasl.password=hunter2',
  ])
  assert.equal(stderr, '')
  assert.match(stdout, /^ {2}KAFKA_BROKERS +127\.0\.0\.1:1 +--brokers$/m)
  assert.match(stdout, /^ {2}RUN_SECONDS +20 +default$/m)
  assert.match(stdout, /^ {2}sum +\d/m)
  assert.match(stdout, /^WRONG +kafka broker 127\.0\.0\.1:1: connection refused/m)
  assert.match(stdout, /^WRONG +output \/nonexistent\/folder\/x: cannot be written/m)
  assert.match(stdout, /^2 things are wrong$/m)
  assert.doesNotMatch(stdout, /hunter2/)
  assert.equal(status, 1)
})
