/** The dashboard's files as the control plane serves them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { readDashboard } from '../../src/cli/dashboard.ts'

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
