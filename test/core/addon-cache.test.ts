/** Where the add-ons of the executable go: each file checked, each folder the user's alone. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { placeAddons, type AddonSet } from '../../src/core/addon-cache.ts'
import { LogpipeError } from '../../src/core/errors.ts'

const CONTENT: Readonly<Record<string, string>> = {
  'library.so': 'a library\n'.repeat(1000),
  'one.node': 'an add-on\n',
}
const NAMES = Object.keys(CONTENT)

function set(id = 'a'.repeat(32)): AddonSet & { readonly reads: string[] } {
  const reads: string[] = []
  const hash = (text: string) => createHash('sha256').update(text).digest('hex')
  return {
    id,
    reads,
    hashes: Object.fromEntries(NAMES.map((name) => [name, hash(CONTENT[name] ?? '')])),
    read: (name) => {
      reads.push(name)
      return Buffer.from(CONTENT[name] ?? '')
    },
  }
}

function temporary(t: TestContext): string {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'addons-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A process of its own that places the add-ons it is told of, and reads them back. */
const PLACE = `
  import { readFileSync } from 'node:fs'
  import { placeAddons } from ${JSON.stringify(path.resolve('src/core/addon-cache.ts'))}
  const { id, hashes, content, folder } = JSON.parse(process.argv[1])
  const read = (name) => Buffer.from(content[name])
  const home = placeAddons({ id, hashes, read }, Object.keys(content), [folder])
  for (const [name, text] of Object.entries(content)) {
    if (readFileSync(home + '/' + name, 'utf8') !== text) process.exit(9)
  }`
const NODE = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', PLACE]

function refusal(folders: readonly string[]): string {
  try {
    placeAddons(set(), NAMES, folders)
  } catch (error) {
    assert.ok(error instanceof LogpipeError)
    assert.equal(error.code, 'CACHE')
    assert.doesNotMatch(error.message, /\n/)
    return error.message
  }
  assert.fail('not refused')
}

test('add-ons lie in folders and files that are the user alone', (t) => {
  const folder = path.join(temporary(t), 'deep/er')
  const home = placeAddons(set(), NAMES, [folder])
  assert.equal(home, path.join(folder, 'a'.repeat(32)))
  for (const name of NAMES) {
    assert.equal(fs.readFileSync(path.join(home, name), 'utf8'), CONTENT[name])
    assert.equal(fs.statSync(path.join(home, name)).mode & 0o077, 0)
  }
  for (const each of [folder, home]) assert.equal(fs.statSync(each).mode & 0o777, 0o700)
})

test('what is there and intact is not written again', (t) => {
  const folder = temporary(t)
  placeAddons(set(), NAMES, [folder])
  const second = set()
  placeAddons(second, NAMES, [folder])
  assert.deepEqual(second.reads, [])
})

test('a file that differs, is a link or is open to others is replaced', (t) => {
  const folder = temporary(t)
  const home = placeAddons(set(), NAMES, [folder])
  const file = path.join(home, 'one.node')
  const elsewhere = path.join(folder, 'elsewhere')
  fs.writeFileSync(elsewhere, CONTENT['one.node'] ?? '', { mode: 0o700 })
  const spoil: readonly (() => void)[] = [
    () => fs.writeFileSync(file, 'something else'),
    () => fs.truncateSync(file, 3),
    () => fs.rmSync(file),
    () => fs.chmodSync(file, 0o777),
    () => {
      fs.rmSync(file)
      fs.symlinkSync(elsewhere, file)
    },
  ]
  for (const each of spoil) {
    each()
    const again = set()
    placeAddons(again, NAMES, [folder])
    assert.deepEqual(again.reads, ['one.node'], String(each))
    assert.equal(fs.readFileSync(file, 'utf8'), CONTENT['one.node'])
    assert.ok(fs.lstatSync(file).isFile())
    assert.equal(fs.statSync(file).mode & 0o077, 0)
  }
})

test('an old file that is in use stays whole for whoever has it open', (t) => {
  const home = placeAddons(set(), NAMES, [temporary(t)])
  const file = path.join(home, 'one.node')
  fs.writeFileSync(file, 'spoilt')
  const open = fs.openSync(file, 'r')
  t.after(() => fs.closeSync(open))
  placeAddons(set(), NAMES, [path.dirname(home)])
  assert.equal(fs.readFileSync(open, 'utf8'), 'spoilt')
})

test('the next folder is taken when one cannot be used', (t) => {
  const folder = temporary(t)
  const file = path.join(folder, 'a-file')
  fs.writeFileSync(file, '')
  const good = path.join(folder, 'good')
  const home = placeAddons(set(), NAMES, ['/proc/no-such', path.join(file, 'x'), good])
  assert.equal(path.dirname(home), good)
})

test('without any folder the error names each and its reason, in one line', (t) => {
  const file = path.join(temporary(t), 'a-file')
  fs.writeFileSync(file, '')
  const message = refusal([path.join(file, 'logpipe'), '/proc/logpipe'])
  assert.match(message, /a-file\/logpipe: a file is in the way; \/proc\/logpipe: \w/)
  assert.match(message, /Set XDG_CACHE_HOME or TMPDIR to one$/)
})

test('a folder that others may exchange is not used', (t) => {
  const folder = temporary(t)
  const open = path.join(folder, 'open')
  fs.mkdirSync(open)
  fs.chmodSync(open, 0o777)
  assert.match(refusal([path.join(open, 'logpipe')]), /logpipe: everyone may write to .*open\./)
  // As /tmp is: everyone may write, nobody may exchange what another one made.
  fs.chmodSync(open, 0o1777)
  placeAddons(set(), NAMES, [path.join(open, 'logpipe')])
})

test('a folder of another user is not used', (t) => {
  if (process.getuid?.() !== 0) {
    t.skip('needs root, to make a folder that belongs to somebody else')
    return
  }
  const folder = temporary(t)
  const theirs = path.join(folder, 'theirs')
  fs.mkdirSync(theirs)
  fs.chownSync(theirs, 12_345, 12_345)
  assert.match(refusal([theirs]), /theirs: it belongs to another user/)
  assert.match(refusal([path.join(theirs, 'logpipe')]), /theirs belongs to another user/)
})

test('below a folder that another user or a group may exchange nothing is used', (t) => {
  if (process.getuid?.() !== 0) {
    t.skip('needs root, to make a folder that belongs to somebody else')
    return
  }
  const folder = path.join(temporary(t), 'above')
  fs.mkdirSync(folder)
  // Sticky keeps others from what is not theirs, but not the folder's owner.
  fs.chownSync(folder, 12_345, 12_345)
  fs.chmodSync(folder, 0o1777)
  assert.match(refusal([path.join(folder, 'logpipe')]), /above belongs to another user/)
  // `daemon`, whose group it is, may write there.
  fs.chownSync(folder, 0, 1)
  fs.chmodSync(folder, 0o775)
  assert.match(refusal([path.join(folder, 'logpipe')]), /a group of several users may write to/)
})

test('what a link above the folder points at is settled before anything is loaded', (t) => {
  const folder = temporary(t)
  fs.mkdirSync(path.join(folder, 'real'))
  fs.symlinkSync(path.join(folder, 'real'), path.join(folder, 'link'))
  const home = placeAddons(set(), NAMES, [path.join(folder, 'link/logpipe')])
  assert.equal(home, path.join(folder, 'real/logpipe', 'a'.repeat(32)))
})

test('in a user namespace folders above of an unknown owner are those of the system', (t) => {
  const unknown = ['unshare', '--user', '--map-root-user']
  const [program = '', ...options] = unknown
  if (process.getuid?.() !== 0 || spawnSync(program, [...options, 'true']).status !== 0) {
    t.skip('needs root, and the right to make a user namespace')
    return
  }
  const folder = temporary(t)
  const above = path.join(folder, 'above')
  const own = path.join(above, 'own')
  fs.mkdirSync(own, { recursive: true })
  const { id, hashes } = set()
  const told = JSON.stringify({ id, hashes, content: CONTENT, folder: own })
  const start = [...NODE, told]
  fs.chownSync(above, 12_345, 12_345)
  assert.notEqual(spawnSync(process.execPath, start).status, 0, 'outside it is a stranger')
  const inside = spawnSync(program, [...options, process.execPath, ...start], { encoding: 'utf8' })
  assert.equal(inside.status, 0, inside.stderr)
})

test('the oldest sets go when a new one is written', (t) => {
  const folder = temporary(t)
  const ids = ['1', '2', '3', '4', '5'].map((digit) => digit.repeat(32))
  for (const [at, id] of ids.entries()) {
    const home = placeAddons(set(id), NAMES, [folder])
    fs.utimesSync(home, at, at)
  }
  fs.mkdirSync(path.join(folder, 'of-the-user'))
  placeAddons(set('6'.repeat(32)), NAMES, [folder])
  assert.deepEqual(fs.readdirSync(folder).sort(), [...ids.slice(3), '6'.repeat(32), 'of-the-user'])
})

test('many that start at once all find whole files, and leave nothing behind', async (t) => {
  const folder = temporary(t)
  const { id, hashes } = set()
  const told = JSON.stringify({ id, hashes, content: CONTENT, folder })
  const statuses = await Promise.all(
    Array.from(
      { length: 8 },
      () =>
        new Promise((resolve) => {
          spawn(process.execPath, [...NODE, told], { stdio: 'inherit' }).once('close', resolve)
        }),
    ),
  )
  assert.deepEqual(new Set(statuses), new Set([0]))
  assert.deepEqual(fs.readdirSync(path.join(folder, id)).sort(), NAMES.toSorted())
})
