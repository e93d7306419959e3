/**
 * Vectorscan's code for AVX-512 looks at the wrong bytes at the end of a text of 64 bytes and more.
 * Records that a regular expression matches were dropped, and others kept: on some processors, with
 * Debian's library, in silence.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadBridge } from '../../src/bridge/load.ts'

const LENGTH_MAX = 300

test('a regular expression finds the same at the end of a short text and of a long one', () => {
  const bridge = loadBridge(undefined)
  for (const source of ['[^a]E', '\\bE', 'E\\b', 'E[^x]', '[^0-9]E', '5E[^0-9]', '\\s5E$']) {
    const keep = { kind: 'regex', source, ignoreCase: false }
    const expression = JSON.stringify({ keep, drop: null, prefilter: null })
    const matcher = bridge.matcherOpen({ expression })
    for (let length = 0; length < LENGTH_MAX; length++) {
      for (const end of ['5E', '5E-3', '5Ex', ' 5E']) {
        const text = 'x'.repeat(length) + end
        const found = bridge.matcherTest(
          matcher,
          Buffer.from(text),
          null,
          new Uint8Array(0),
          't',
          0,
          0,
          0,
        )
        assert.equal(found, new RegExp(source).test(text), `${source} in ${text}`)
      }
    }
    bridge.matcherClose(matcher)
  }
})
