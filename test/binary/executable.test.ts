/**
 * The executable by itself: what is inside, where its add-ons go, and what it says when they can go
 * nowhere.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { temporaryFolder } from '../helpers/program.ts'

const EXECUTABLE = path.resolve(process.env['LOGPIPE_BIN'] ?? 'dist/logpipe')
const BYTES_MAX = 150e6
const LIBRARIES = ['linux-vdso', 'libdl', 'libstdc++', 'libm', 'libgcc_s', 'libpthread', 'libc']

function logpipe(args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = '.') {
  return spawnSync(EXECUTABLE, args, { encoding: 'utf8', cwd, env, timeout: 60_000 })
}

/** Needs the bridge and the binding, and nothing that runs elsewhere. */
const RUN = ['run', '--embedded', '--run-seconds', '1', '--output', 'none', '--quiet']

/** Sets of add-ons below a folder. */
function sets(folder: string): string[] {
  return fs.existsSync(folder) ? fs.readdirSync(folder) : []
}

/** A file system in memory with these options, mounted for the test; null where that is refused. */
function mounted(t: TestContext, options: string): string | null {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'mounted-'))
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder])
  t.after(() => {
    if (status === 0) spawnSync('umount', [folder])
    fs.rmdirSync(folder)
  })
  if (status !== 0) {
    t.skip('needs the right to mount')
    return null
  }
  return folder
}

test('it is smaller than 150 MB and needs the C and C++ libraries only', (t) => {
  if (fs.readFileSync(EXECUTABLE).subarray(0, 4).toString('latin1') !== '\x7fELF') {
    t.skip('LOGPIPE_BIN is a script that starts it')
    return
  }
  assert.ok(fs.statSync(EXECUTABLE).size < BYTES_MAX)
  const { stdout } = spawnSync('ldd', [EXECUTABLE], { encoding: 'utf8' })
  for (const line of stdout.trim().split('\n')) {
    const name = line.trim().split(/[. ]/)[0] ?? ''
    assert.ok(LIBRARIES.includes(name) || line.includes('/ld-linux-'), line)
  }
})

test('the version names what is inside, and puts no add-on anywhere', (t) => {
  const folder = temporaryFolder(t)
  const { status, stdout, stderr } = logpipe(['--version'], { HOME: folder, TMPDIR: folder })
  assert.match(stdout, /^logpipe \d+\.\d+\.\d+ \(commit [0-9a-f]{12}(-dirty)?\)\n/)
  assert.match(stdout, /\nNode 24\.\d+\.\d+, librdkafka \d+\.\d+\.\d+, SQLite \d+\.\d+\.\d+\n$/)
  assert.equal(stderr, '')
  assert.equal(status, 0)
  assert.deepEqual(fs.readdirSync(folder), [])
})

test('the licences of the parts are printed', () => {
  const { stdout } = logpipe(['licenses'])
  for (const part of ['logpipe', 'Node.js 24', 'librdkafka', 'OpenSSL', 'zlib', 'SQLite', 'hono']) {
    assert.match(stdout, new RegExp(`^=+\\n${part.replace('.', '\\.')}[^\\n]*\\n=+$`, 'm'))
  }
})

test('no environment of Node changes how it runs', (t) => {
  const env = { NODE_OPTIONS: '--require=/nonexistent', HOME: temporaryFolder(t) }
  const { status, stderr } = logpipe(['--version'], env)
  assert.equal(stderr, '')
  assert.equal(status, 0)
})

test('the add-ons lie in the cache of the user, for the user alone', (t) => {
  const home = temporaryFolder(t)
  assert.equal(logpipe(RUN, { HOME: home, TMPDIR: home }, home).status, 0)
  const cache = path.join(home, '.cache/logpipe')
  const [set = '', ...more] = sets(cache)
  assert.deepEqual(more, [])
  assert.match(set, /^[0-9a-f]{32}$/)
  const files = fs.readdirSync(path.join(cache, set))
  assert.deepEqual(files.sort(), ['bridge.node', 'kafka.node', 'libhs.so.5', 'librdkafka.so.1'])
  for (const each of [
    cache,
    path.join(cache, set),
    ...files.map((f) => path.join(cache, set, f)),
  ]) {
    assert.equal(fs.statSync(each).mode & 0o777, 0o700, each)
  }
})

test('an add-on that was exchanged is not loaded', (t) => {
  const home = temporaryFolder(t)
  const env = { XDG_CACHE_HOME: home }
  assert.equal(logpipe(RUN, env, home).status, 0)
  const [set = ''] = sets(path.join(home, 'logpipe'))
  const bridge = path.join(home, 'logpipe', set, 'bridge.node')
  const before = fs.readFileSync(bridge)
  fs.writeFileSync(bridge, 'not an add-on')
  const { status, stderr } = logpipe(RUN, env, home)
  assert.equal(status, 0, stderr)
  assert.deepEqual(fs.readFileSync(bridge), before)
})

test('many that start at once with an empty cache all run', async (t) => {
  const home = temporaryFolder(t)
  const statuses = await Promise.all(
    Array.from(
      { length: 6 },
      () =>
        new Promise((resolve) => {
          const options = {
            cwd: home,
            env: { HOME: home, TMPDIR: home },
            stdio: 'inherit',
          } as const
          spawn(EXECUTABLE, RUN, options).once('close', resolve)
        }),
    ),
  )
  assert.deepEqual(statuses, [0, 0, 0, 0, 0, 0])
})

test('a home that is read-only is left alone for TMPDIR', (t) => {
  const home = mounted(t, 'ro')
  if (home === null) return
  const folder = temporaryFolder(t)
  const { status, stderr } = logpipe(RUN, { HOME: home, TMPDIR: folder }, folder)
  assert.equal(status, 0, stderr)
  assert.deepEqual(sets(folder), ['data', `logpipe-${process.getuid?.() ?? 0}`])
})

test('without a place that may be executed from it says so in one line', (t) => {
  const home = mounted(t, 'noexec')
  if (home === null) return
  const { status, stderr } = logpipe(RUN, { HOME: home, TMPDIR: home }, home)
  assert.equal(status, 1)
  assert.match(
    stderr,
    /^logpipe: [^\n]*\.cache\/logpipe: its file system is mounted noexec; [^\n]*\n$/,
  )
  assert.match(stderr, /Set XDG_CACHE_HOME or TMPDIR to one\n$/)
})

test('without a place that may be written it says so in one line', (t) => {
  const home = mounted(t, 'ro')
  if (home === null) return
  const { status, stderr } = logpipe(RUN, { HOME: home, TMPDIR: home }, home)
  assert.equal(status, 1)
  assert.match(stderr, /^logpipe: [^\n]*the file system is read-only[^\n]*\n$/)
})
