/** Which folders the environment offers for the add-ons. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cacheFolders } from '../../src/cli/this-program.ts'

const OWN = `logpipe-${process.getuid?.() ?? 0}`

test('the cache of the user comes first, then the home, then temporary files', () => {
  assert.deepEqual(cacheFolders({ XDG_CACHE_HOME: '/c', HOME: '/home/a', TMPDIR: '/t' }), [
    '/c/logpipe',
    '/home/a/.cache/logpipe',
    `/t/${OWN}`,
  ])
})

test('what is not set, empty or no full path is left out', () => {
  assert.deepEqual(cacheFolders({}), [`/tmp/${OWN}`])
  assert.deepEqual(cacheFolders({ XDG_CACHE_HOME: 'c', HOME: '', TMPDIR: 't' }), [`/tmp/${OWN}`])
})
