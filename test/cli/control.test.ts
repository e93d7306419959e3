/** What `logpipe control` refuses before it opens anything, and the backup. */
import assert from 'node:assert/strict'
import { existsSync, statSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { control, ownUrl, readDashboard } from '../../src/cli/control.ts'
import { openDatabase } from '../../src/control/database.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { temporaryFolder } from '../helpers/program.ts'
import { QUIET_HOST } from './quiet-host.ts'

const refused = async (args: readonly string[], code: string, says: RegExp) => {
  await assert.rejects(control({ ...QUIET_HOST, args }), (error) => {
    assert.ok(error instanceof LogpipeError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, says)
    return true
  })
}

test('wrong words and half a TLS pair are refused', async () => {
  await refused(['backup'], 'USAGE', /"backup FILE".*, got "backup"$/)
  await refused(['backup', 'a', 'b'], 'USAGE', /got "backup a b"$/)
  await refused(['start'], 'USAGE', /got "start"$/)
  const pair = /set CONTROL_TLS_CERT and CONTROL_TLS_KEY together/
  await refused(['--control-tls-cert', 'x.pem'], 'USAGE', pair)
})

test('a key is exchanged, and secrets are forgotten, by an action of their own', async (t) => {
  const database = path.join(temporaryFolder(t), 'control.db')
  for (const action of ['rotate-key', 'forget-secrets']) {
    await refused([action, 'x'], 'USAGE', /got "\S+ x"$/)
    const args = [action, '--control-db-path', database]
    assert.equal(await control({ ...QUIET_HOST, args }), 0)
    assert.equal(statSync(`${database}.key`).mode & 0o777, 0o600)
  }
})

test('a backup copies a database in use, and overwrites nothing', async (t) => {
  const folder = temporaryFolder(t)
  const database = path.join(folder, 'control.db')
  const copy = path.join(folder, 'copy.db')
  const args = ['backup', copy, '--control-db-path', database]
  await refused(args, 'STORE', /control\.db/)
  assert.ok(!existsSync(copy))
  const opened = openDatabase(database, () => () => undefined)
  t.after(() => opened.close())
  assert.equal(await control({ ...QUIET_HOST, args }), 0)
  assert.equal(statSync(copy).mode & 0o777, 0o600)
  await refused(args, 'STORE', /never overwrites a file/)
})

test('a worker of its own calls where it listens, and no other process of the machine', () => {
  for (const host of ['', '0.0.0.0', '::', '127.0.0.1']) {
    assert.equal(ownUrl({ host, port: 8088 }), 'http://127.0.0.1:8088', host)
  }
  assert.equal(ownUrl({ host: '10.0.0.5', port: 1 }), 'http://10.0.0.5:1')
  assert.equal(ownUrl({ host: '::1', port: 1 }), 'http://[::1]:1')
  assert.equal(ownUrl({ host: 'control.example', port: 1 }), 'http://control.example:1')
})

/* The dashboard's files as the control plane serves them. */

function folderOf(t: TestContext, files: Readonly<Record<string, string>>): URL {
  const folder = mkdtempSync(path.join(tmpdir(), 'logpipe-web-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text)
  return pathToFileURL(`${folder}/`)
}

test('a folder of files is served by name, its page at the root', (t) => {
  const assets = readDashboard(folderOf(t, { 'index.html': '<p>', 'app.js': '1', 'x.exe': '2' }))
  assert.deepEqual([...assets.keys()].sort(), ['/', '/assets/app.js'])
  assert.match(assets.get('/')?.type ?? '', /^text\/html/)
  assert.match(assets.get('/assets/app.js')?.type ?? '', /^text\/javascript/)
})

test('a dashboard that was not built says how to build it', (t) => {
  for (const folder of [folderOf(t, {}), new URL('nowhere/', folderOf(t, {}))]) {
    const page = readDashboard(folder).get('/')
    assert.match(page?.type ?? '', /^text\/plain/)
    assert.match(String(page?.body), /npm run setup/)
  }
})

test('the page asks nothing of another place and has nothing inline', () => {
  const page = new TextDecoder().decode(
    readDashboard().get('/')?.body as Uint8Array<ArrayBuffer> | undefined,
  )
  assert.match(page, /<script type="module" src="\/assets\/app.js"><\/script>/)
  assert.doesNotMatch(page, /https?:|style=|<style| on[a-z]+=/)
})
