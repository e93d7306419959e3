/** Where files go that nobody has named a place for. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { stateFolder, statePaths } from '../../src/cli/state-folder.ts'
import { resolve } from '../../src/options/resolve.ts'

const ES = ['--output', 'elasticsearch']

function fixture(t: TestContext) {
  const folder = mkdtempSync(path.join(tmpdir(), 'state-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const here = path.join(folder, 'here')
  const home = path.join(folder, 'home')
  mkdirSync(here)
  mkdirSync(home)
  const env = { HOME: home }
  const pathsOf = (args: readonly string[], variables: Record<string, string> = env) =>
    statePaths(resolve({ command: 'run', args, env: {} }), variables, here)
  return { here, home, pathsOf, state: path.join(home, '.local/state/logpipe') }
}

test('what only prints makes no folder where it runs', (t) => {
  const { here, pathsOf, state } = fixture(t)
  assert.equal(pathsOf([]).snapshot, path.join(state, 'runtime_metrics.json'))
  assert.equal(pathsOf([], {}).snapshot, null, 'and a user without a home gets none at all')
  mkdirSync(path.join(here, 'data'))
  assert.equal(pathsOf([]).snapshot, 'data/runtime_metrics.json', 'who has one keeps it')
})

test('documents have their spill in data/, or where that cannot be, in the state', (t) => {
  const { here, pathsOf, state } = fixture(t)
  assert.deepEqual(pathsOf(ES), {
    snapshot: 'data/runtime_metrics.json',
    spill: 'data/es_spill.bin',
  })
  // A file in its place stands for a folder that cannot be made, whoever runs this.
  rmSync(here, { recursive: true })
  writeFileSync(here, '')
  assert.deepEqual(pathsOf(ES), {
    snapshot: path.join(state, 'runtime_metrics.json'),
    spill: path.join(state, 'es_spill.bin'),
  })
  assert.equal(pathsOf([...ES, '--es-spill-path', 'mine/spill']).spill, 'mine/spill')
})

test('XDG_STATE_HOME is taken, as its specification has it', (t) => {
  const { home } = fixture(t)
  const given = path.join(home, 'xdg')
  assert.equal(stateFolder({ HOME: home, XDG_STATE_HOME: given }), path.join(given, 'logpipe'))
  const own = path.join(home, '.local/state/logpipe')
  assert.equal(stateFolder({ HOME: home, XDG_STATE_HOME: 'relative' }), own)
  assert.equal(stateFolder({}), null)
})
