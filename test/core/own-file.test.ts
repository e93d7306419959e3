/** Files of our own: whose they are, who may read them, and who could exchange them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { ownFolder, ownSecret, readOwnFile, writeOwnFile } from '../../src/core/own-file.ts'
import { temporaryFolder } from '../helpers/program.ts'

const needsRoot = process.getuid?.() === 0 ? false : 'needs root, to make what is somebody else’s'

test('a file of ours is read, and closed to others first', (t) => {
  const file = path.join(temporaryFolder(t), 'token')
  assert.equal(readOwnFile(file), null)
  writeOwnFile(file, 'text')
  fs.chmodSync(file, 0o666)
  assert.equal(readOwnFile(file), 'text')
  assert.equal(fs.statSync(file).mode & 0o777, 0o600)
})

test('a secret is made once', (t) => {
  const file = path.join(temporaryFolder(t), 'token')
  assert.equal(ownSecret(file), ownSecret(file))
  assert.match(ownSecret(file), /^[\w-]{43}\n$/)
})

test('a text that did not fit leaves the one before it', (t) => {
  const file = path.join(temporaryFolder(t), 'token')
  writeOwnFile(file, 'before')
  const own = JSON.stringify(new URL('../../src/core/own-file.ts', import.meta.url).href)
  const text = "'x'.repeat(100_000)"
  const script = `import { writeOwnFile } from ${own}\nwriteOwnFile(process.argv[1], ${text})`
  // As a disk that has room for a part: a write(2) up to the limit succeeds, the next one fails.
  const args = ['-c', 'ulimit -f 8; exec "$@"', 'sh', process.execPath, '--input-type=module']
  const { status } = spawnSync('sh', [...args, '-e', script, file])
  assert.notEqual(status, 0)
  assert.equal(readOwnFile(file), 'before')
})

test('links, second names, folders and what is too large are refused', (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'file')
  const other = path.join(folder, 'other')
  fs.writeFileSync(other, 'theirs', { mode: 0o644 })
  fs.symlinkSync(other, file)
  assert.throws(() => readOwnFile(file), { code: 'STORE', message: /symbolic link/ })
  fs.rmSync(file)
  fs.linkSync(other, file)
  assert.throws(() => readOwnFile(file), { code: 'STORE', message: /second name/ })
  assert.equal(fs.statSync(other).mode & 0o777, 0o644, 'and left as they were')
  fs.rmSync(file)
  fs.mkdirSync(file)
  assert.throws(() => readOwnFile(file), { code: 'STORE', message: /not a regular file/ })
  fs.truncateSync(other, 4 * 1024 * 1024 + 1)
  fs.rmSync(file, { recursive: true })
  assert.throws(() => readOwnFile(other), { code: 'STORE', message: /larger than/ })
})

test('a folder of ours that others may write to is closed to them', (t) => {
  const folder = path.join(temporaryFolder(t), 'made')
  ownFolder(folder)
  assert.equal(fs.statSync(folder).mode & 0o777, 0o700)
  fs.chmodSync(folder, 0o777)
  ownFolder(folder)
  assert.equal(fs.statSync(folder).mode & 0o777, 0o755)
})

test('a folder behind a link that others may exchange is refused', (t) => {
  const above = temporaryFolder(t)
  const shared = path.join(above, 'shared')
  const folder = path.join(above, 'made')
  ownFolder(shared)
  ownFolder(folder)
  const links = ['absolute', 'relative'].map((name) => path.join(shared, name))
  fs.symlinkSync(folder, links[0]!)
  fs.symlinkSync('../made', links[1]!)
  for (const link of links) ownFolder(path.join(link, 'below'))
  fs.chmodSync(shared, 0o777)
  for (const link of links) {
    const refusal = { code: 'STORE', message: /everyone may write to .*shared;/ }
    assert.throws(() => ownFolder(path.join(link, 'below')), refusal)
  }
  fs.chmodSync(shared, 0o1777)
  for (const link of links) ownFolder(path.join(link, 'below'))
  if (needsRoot !== false) return
  fs.lchownSync(links[0]!, 12_345, 12_345)
  assert.throws(() => ownFolder(path.join(links[0]!, 'below')), {
    code: 'STORE',
    message: /the link .*absolute belongs to another user;/,
  })
})

test('a folder below one that others may exchange is refused', { skip: needsRoot }, (t) => {
  const above = path.join(temporaryFolder(t), 'shared')
  const folder = path.join(above, 'made')
  ownFolder(folder)
  fs.chmodSync(above, 0o777)
  assert.throws(() => ownFolder(folder), {
    code: 'STORE',
    message: /everyone may write to .*shared;/,
  })
  fs.chmodSync(above, 0o1777)
  ownFolder(folder)
  fs.chownSync(above, 12_345, 12_345)
  assert.throws(() => ownFolder(folder), {
    code: 'STORE',
    message: /shared belongs to another user/,
  })
})

test('a folder in which another user could exchange files is refused', { skip: needsRoot }, (t) => {
  const folder = path.join(temporaryFolder(t), 'theirs')
  fs.mkdirSync(folder)
  for (const mode of [0o755, 0o1777]) {
    fs.chownSync(folder, 12_345, 12_345)
    fs.chmodSync(folder, mode)
    assert.throws(() => ownFolder(folder), { code: 'STORE', message: /belongs to another user/ })
  }
})

test('a group may write where nobody else is in it', { skip: needsRoot }, (t) => {
  const folder = path.join(temporaryFolder(t), 'shared')
  fs.mkdirSync(folder)
  const modeFor = (gid: number) => {
    fs.chownSync(folder, 0, gid)
    fs.chmodSync(folder, 0o2775)
    ownFolder(folder)
    return fs.statSync(folder).mode & 0o777
  }
  // As a scheduler gives a volume to its pod: no file of the machine knows the group.
  assert.equal(modeFor(1_234_567), 0o775)
  const [, , , gidOfOthers] = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name, , , gid]) => name !== 'root' && gid !== '0') ?? ['', '', '', '1']
  assert.equal(modeFor(Number(gidOfOthers)), 0o755)
})
