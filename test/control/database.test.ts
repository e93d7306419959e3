/** The database file: versions, locks, backups, and kill -9. */
import Database from 'better-sqlite3'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { backupDatabase, MIGRATIONS, openDatabase } from '../../src/control/database.ts'
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
const hasCode = (code: string) => (error: unknown) =>
  error instanceof LogpipeError && error.code === code

test('a database is made readable by its owner only, and opens again', (t) => {
  const file = path.join(temporaryFolder(t), 'made', 'control.db')
  const first = openDatabase(file, memoryLock())
  new PipelineStore(first.db).insert(content, true, 1)
  first.close()
  first.close()
  const second = openDatabase(file, memoryLock())
  t.after(() => second.close())
  assert.equal(new PipelineStore(second.db).get(1)?.name, 'x')
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
    for (const step of MIGRATIONS.slice(0, version)) older.exec(step)
    older.pragma(`user_version = ${version}`)
    older.exec(
      'INSERT INTO pipelines (name, settings, secrets, enabled, replicas, revision, version,' +
        ` created_ms, updated_ms) VALUES ('x', '{}', '{}', 1, 1, 1, 1, 1, 1)`,
    )
    older.close()
    const opened = openDatabase(file, memoryLock())
    assert.equal(opened.db.pragma('user_version', { simple: true }), MIGRATIONS.length)
    assert.equal(new PipelineStore(opened.db).get(1)?.name, 'x')
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
  const store = new PipelineStore(running.db)
  for (let index = 0; index < 200; index++) store.insert({ ...content, name: `p${index}` }, true, 1)
  const target = path.join(folder, 'backup.db')
  await backupDatabase(file, target)
  assert.equal(statSync(target).mode & 0o777, 0o600)
  await assert.rejects(backupDatabase(file, target), hasCode('STORE'))
  const copy = openDatabase(target, memoryLock())
  t.after(() => copy.close())
  assert.equal(new PipelineStore(copy.db).count(), 200)
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
    const store = new PipelineStore(openDatabase(${JSON.stringify(file)}, () => () => {}).db)
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
    assert.ok(new PipelineStore(after.db).count() >= accepted)
    assert.equal(after.db.pragma('integrity_check', { simple: true }), 'ok')
    after.close()
  }
})
