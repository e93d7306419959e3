/** Text from elsewhere on a terminal and in a log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { printable, printableLines } from '../../src/core/printable.ts'

test('of several lines the breaks and tabs stay', () => {
  assert.equal(printableLines('a\tb\n\u001B[2Jc\r\n\u202E'), 'a\tb\n\\u001b[2Jc\\r\n\\u202e')
})

test('what prints stays as it is, in every script', () => {
  for (const text of ['', 'plain {"a":1} \\n', 'größe ☕ 山田太郎', 'नमस्\u200Dते', '👩\u200D💻']) {
    assert.equal(printable(text), text)
  }
})

test('what does not print is written out', () => {
  assert.equal(printable('a\tb\r\n'), 'a\\tb\\r\\n')
  assert.equal(printable('\u001B]0;x\u0007\u007F\u0085'), '\\u001b]0;x\\u0007\\u007f\\u0085')
  assert.equal(printable('\u2066\u2069\uFEFF\uD800'), '\\u2066\\u2069\\ufeff\\ud800')
  assert.equal(printable('\u{E0041}'), '\\u{e0041}', 'a letter that hides')
})

test('whatever comes, it is one line without a control, and stays so', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(text)
      assert.doesNotMatch(shown, /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]/u)
      assert.equal(printable(shown), shown)
    }),
  )
})
