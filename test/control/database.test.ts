/** The database file: versions, locks, backups, and kill -9. */
import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import {
  backupDatabase,
  type ControlDatabase,
  forgetSecrets,
  MIGRATIONS,
  openDatabase,
  rotateKey,
} from '../../src/control/database.ts'
import { HistoryStore } from '../../src/control/history.ts'
import { type PipelineContent, PipelineStore } from '../../src/control/pipeline-store.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { memoryLock, temporaryFolder } from './control-fixture.ts'

const content: PipelineContent = {
  name: 'x',
  settings: { fields: {}, kafkaConfig: {} },
  secrets: {},
  replicas: 1,
}
const storeOf = ({ db, box }: ControlDatabase) => new PipelineStore(db, box)
const hasCode = (code: string) => (error: unknown) =>
  error instanceof LogpipeError && error.code === code

test('a database is made readable by its owner only, and opens again', (t) => {
  const file = path.join(temporaryFolder(t), 'made', 'control.db')
  const first = openDatabase(file, memoryLock())
  storeOf(first).insert(content, true, 1)
  first.close()
  first.close()
  const second = openDatabase(file, memoryLock())
  t.after(() => second.close())
  assert.equal(storeOf(second).get(1)?.name, 'x')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(statSync(`${file}-wal`).mode & 0o777, 0o600)
  assert.equal(statSync(path.dirname(file)).mode & 0o777, 0o700)
})

test('a database of a newer version is refused and left as it was', (t) => {
  const file = path.join(temporaryFolder(t), 'control.db')
  const newer = new Database(file)
  newer.exec('CREATE TABLE future (x)')
  newer.pragma('user_version = 999')
  newer.close()
  const before = readFileSync(file)
  assert.throws(() => openDatabase(file, memoryLock()), hasCode('STORE'))
  assert.deepEqual(readFileSync(file), before)
})

test('a database of any older version is brought up to date with what it holds', (t) => {
  const folder = temporaryFolder(t)
  for (let version = 1; version <= MIGRATIONS.length; version++) {
    const file = path.join(folder, `${version}.db`)
    const older = new Database(file)
    older.function('seal', (text) => text)
    for (const step of MIGRATIONS.slice(0, version)) older.exec(step)
    older.pragma(`user_version = ${version}`)
    older.exec(
      'INSERT INTO pipelines (name, settings, secrets, enabled, replicas, revision, version,' +
        ` created_ms, updated_ms) VALUES ('x', '{}', '{}', 1, 1, 1, 1, 1, 1)`,
    )
    older.close()
    const opened = openDatabase(file, memoryLock())
    assert.equal(opened.db.pragma('user_version', { simple: true }), MIGRATIONS.length)
    assert.equal(storeOf(opened).get(1)?.name, 'x')
    assert.equal(new HistoryStore(opened.db).rowCount, 0)
    opened.close()
  }
})

test('what is no database is refused and left as it was', (t) => {
  const file = path.join(temporaryFolder(t), 'control.db')
  writeFileSync(file, 'precious text, not a database at all'.repeat(100))
  const lock = memoryLock()
  assert.throws(() => openDatabase(file, lock), hasCode('STORE'))
  assert.match(readFileSync(file, 'utf8'), /^precious/)
  assert.notEqual(lock(`${file}.lock`), undefined, 'the lock was given back')
})

test('two control planes do not share a database', (t) => {
  const file = path.join(temporaryFolder(t), 'control.db')
  const lock = memoryLock()
  const first = openDatabase(file, lock)
  assert.throws(() => openDatabase(file, lock), hasCode('LOCKED'))
  first.close()
  openDatabase(file, lock).close()
})

test('a backup of a running database is whole, private, and overwrites nothing', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'control.db')
  const running = openDatabase(file, memoryLock())
  t.after(() => running.close())
  const store = storeOf(running)
  for (let index = 0; index < 200; index++) store.insert({ ...content, name: `p${index}` }, true, 1)
  const target = path.join(folder, 'backup.db')
  await backupDatabase(file, target)
  assert.equal(statSync(target).mode & 0o777, 0o600)
  await assert.rejects(backupDatabase(file, target), hasCode('STORE'))
  const late = path.join(folder, 'late.db')
  const copying = backupDatabase(file, late)
  writeFileSync(late, 'of somebody else')
  await assert.rejects(copying, hasCode('STORE'))
  assert.equal(readFileSync(late, 'utf8'), 'of somebody else')
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.partial')),
    [],
  )
  await assert.rejects(backupDatabase(path.join(folder, 'none.db'), `${target}.2`), {
    message: /^there is no database .*none\.db: run it where .*--control-db-path$/,
  })
  const copy = openDatabase(target, memoryLock())
  t.after(() => copy.close())
  assert.equal(storeOf(copy).count(), 200)
})

// Goal: no accepted change is lost. Method: a process inserts and says so after each; it is killed
// at some point of its stream, and everything it said must be found, in a sound database.
test('kill -9 loses no change that was accepted', async (t) => {
  const file = path.join(temporaryFolder(t), 'control.db')
  const modules = ['database', 'pipeline-store'].map((name) =>
    JSON.stringify(path.resolve(`src/control/${name}.ts`)),
  )
  const script = `
    const { openDatabase } = await import(${modules[0]})
    const { PipelineStore } = await import(${modules[1]})
    const { db, box } = openDatabase(${JSON.stringify(file)}, () => () => {})
    const store = new PipelineStore(db, box)
    for (;;) {
      const name = 'p' + (store.count() + 1)
      store.insert({ ...${JSON.stringify(content)}, name }, true, 1)
      require('node:fs').writeSync(1, name + '\\n')
    }`
  let accepted = 0
  for (const killAfter of [1, 7, 40]) {
    const child = spawn(
      process.execPath,
      ['--input-type=commonjs-typescript', '-e', `(async () => {${script}})()`],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    let lines = 0
    for await (const line of createInterface({ input: child.stdout })) {
      accepted = Number(line.slice(1))
      if (++lines === killAfter) child.kill('SIGKILL')
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    assert.ok(lines >= killAfter)
    const after = openDatabase(file, memoryLock())
    assert.ok(storeOf(after).count() >= accepted)
    assert.equal(after.db.pragma('integrity_check', { simple: true }), 'ok')
    after.close()
  }
})

const SECRET = 'a-password-that-nobody-shall-find'
const withSecret = { ...content, secrets: { es_password: SECRET } }

/** Names of the files in the folder that hold this text. */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder).filter((name) => readFileSync(path.join(folder, name)).includes(text))
}

test('secrets are nowhere in clear, and a copy of the database gives none away', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'control.db')
  const opened = openDatabase(file, memoryLock())
  storeOf(opened).insert(withSecret, true, 1)
  await backupDatabase(file, path.join(folder, 'copy.db'))
  assert.deepEqual(filesWith(folder, SECRET), [])
  opened.close()
  assert.deepEqual(filesWith(folder, SECRET), [])
  assert.equal(statSync(`${file}.key`).mode & 0o777, 0o600)
  const again = openDatabase(file, memoryLock())
  t.after(() => again.close())
  assert.deepEqual(storeOf(again).get(1)?.secrets, withSecret.secrets)
  assert.deepEqual(storeOf(again).revision(1, 1)?.secrets, withSecret.secrets)
})

test('secrets of a database of before are sealed, and leave no trace in the file', (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'control.db')
  const older = new Database(file)
  older.pragma('journal_mode = WAL')
  for (const step of MIGRATIONS.slice(0, 4)) older.exec(step)
  older.pragma('user_version = 4')
  const put = (name: string) =>
    older.exec(
      'INSERT INTO pipelines (name, settings, secrets, enabled, replicas, revision, version,' +
        ` created_ms, updated_ms) VALUES ('${name}', '{}',` +
        ` '${JSON.stringify(withSecret.secrets)}', 1, 1, 1, 1, 1, 1)`,
    )
  put('x')
  older.exec(
    'INSERT INTO revisions SELECT id, revision, name, settings, secrets, replicas, updated_ms' +
      ' FROM pipelines',
  )
  put('deleted')
  older.exec("DELETE FROM pipelines WHERE name = 'deleted'")
  older.close()
  assert.deepEqual(filesWith(folder, SECRET), ['control.db'])
  const opened = openDatabase(file, memoryLock())
  t.after(() => opened.close())
  assert.deepEqual(storeOf(opened).get(1)?.secrets, withSecret.secrets)
  assert.deepEqual(storeOf(opened).revision(1, 1)?.secrets, withSecret.secrets)
  assert.deepEqual(filesWith(folder, SECRET), [])
})

test('a removed secret goes from every revision, a replaced one stays for the way back', (t) => {
  const opened = openDatabase(path.join(temporaryFolder(t), 'control.db'), memoryLock())
  t.after(() => opened.close())
  const store = storeOf(opened)
  store.insert({ ...content, secrets: { es_password: 'first', es_api_key: 'k' } }, true, 1)
  store.update(1, { ...content, secrets: { es_password: 'second', es_api_key: 'k' } }, true, 2)
  store.update(1, { ...content, secrets: { es_password: 'second' } }, true, 3, ['es_api_key'])
  assert.deepEqual(
    store.revisions(1).map(({ secrets }) => secrets),
    [{ es_password: 'second' }, { es_password: 'second' }, { es_password: 'first' }],
  )
})

test('a new key seals every secret, and what was sealed before is of no use', (t) => {
  const file = path.join(temporaryFolder(t), 'control.db')
  const first = openDatabase(file, memoryLock())
  storeOf(first).insert(withSecret, true, 1)
  const sealed = first.db.prepare<{ secrets: string }>('SELECT secrets FROM pipelines').get()
  first.close()
  const oldKey = readFileSync(`${file}.key`, 'utf8')
  rotateKey(file, memoryLock())
  const newKey = readFileSync(`${file}.key`, 'utf8')
  assert.notEqual(newKey, oldKey)
  const lock = memoryLock()
  const second = openDatabase(file, lock)
  assert.throws(() => rotateKey(file, lock), hasCode('LOCKED'))
  assert.deepEqual(storeOf(second).revision(1, 1)?.secrets, withSecret.secrets)
  assert.throws(() => second.box.open(sealed?.secrets ?? ''), hasCode('STORE'))
  second.close()
  // Cut short before the old key went, or before anything was sealed anew.
  for (const keys of [newKey + oldKey, oldKey + newKey]) {
    writeFileSync(`${file}.key`, keys)
    const opened = openDatabase(file, memoryLock())
    assert.deepEqual(storeOf(opened).get(1)?.secrets, withSecret.secrets)
    opened.close()
  }
})

test('without its key a database is refused, until its secrets are forgotten', (t) => {
  const file = path.join(temporaryFolder(t), 'control.db')
  const first = openDatabase(file, memoryLock())
  storeOf(first).insert(withSecret, true, 1)
  first.close()
  for (const spoil of [
    () => rmSync(`${file}.key`),
    () => writeFileSync(`${file}.key`, `${Buffer.alloc(32).toString('base64url')}\n`),
    () => writeFileSync(`${file}.key`, 'short\n'),
  ]) {
    spoil()
    assert.throws(() => openDatabase(file, memoryLock()), hasCode('STORE'), String(spoil))
  }
  rmSync(`${file}.key`)
  forgetSecrets(file, memoryLock())
  const again = openDatabase(file, memoryLock())
  t.after(() => again.close())
  assert.deepEqual(storeOf(again).get(1)?.secrets, {})
  assert.deepEqual(storeOf(again).revision(1, 1)?.secrets, {})
  storeOf(again).update(1, withSecret, true, 2)
  assert.deepEqual(storeOf(again).get(1)?.secrets, withSecret.secrets)
})

test('files that lie beside a restored database are closed to others before it opens', (t) => {
  const file = path.join(temporaryFolder(t), 'control.db')
  const killed = openDatabase(file, memoryLock())
  storeOf(killed).insert(content, true, 1)
  const restored = path.join(temporaryFolder(t), 'control.db')
  for (const suffix of ['', '-wal', '-shm', '.key']) {
    copyFileSync(file + suffix, restored + suffix)
    chmodSync(restored + suffix, 0o644)
  }
  chmodSync(path.dirname(restored), 0o777)
  killed.close()
  const opened = openDatabase(restored, memoryLock())
  t.after(() => opened.close())
  assert.equal(storeOf(opened).get(1)?.name, 'x')
  for (const suffix of ['', '-wal', '-shm', '.key']) {
    assert.equal(statSync(restored + suffix).mode & 0o777, 0o600, suffix)
  }
  assert.equal(statSync(path.dirname(restored)).mode & 0o777, 0o755)
})

test('a database, or a file beside it, that is a link or of another user is refused', (t) => {
  for (const suffix of ['', '-wal', '-shm', '-journal', '.key']) {
    const folder = temporaryFolder(t)
    const file = path.join(folder, 'control.db')
    writeFileSync(path.join(folder, 'elsewhere'), '')
    symlinkSync(path.join(folder, 'elsewhere'), file + suffix)
    assert.throws(() => openDatabase(file, memoryLock()), /is a symbolic link/, suffix)
    if (process.getuid?.() !== 0) continue
    rmSync(file + suffix)
    writeFileSync(file + suffix, '')
    chownSync(file + suffix, 12_345, 12_345)
    assert.throws(() => openDatabase(file, memoryLock()), /belongs to another user/, suffix)
  }
})
