/** Regular expressions of which the cost at one place is bounded, and those that are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundedRegex } from '../../src/core/bounded-regex.ts'
import { linearRegex } from '../../src/core/linear-regex.ts'

test('what people mask can be written without an endless repeat', () => {
  const rows: readonly (readonly [source: string, text: string, masked: string])[] = [
    [String.raw`\b\d{13,19}\b`, 'card 4111111111111111.', 'card *.'],
    [String.raw`\d{1,3}(?:\.\d{1,3}){3}`, 'from 10.20.30.40 on', 'from * on'],
    [String.raw`[\w.+-]{1,64}@[\w-]{1,63}\.[a-z]{2,9}`, 'to a.b@example.org', 'to *'],
    ['(?:key|token)=[^& ]{1,100}', 'a?token=x&b', 'a?*&b'],
    [String.raw`\u{e9}\x41\p{Lu}`, 'éAB', '*'],
    ['[)(|*]', 'a(b', 'a*b'],
  ]
  for (const [source, text, masked] of rows) {
    const regex = boundedRegex(source)
    assert.ok(regex instanceof RegExp, `${source}: ${JSON.stringify(regex)}`)
    assert.equal(text.replaceAll(regex, '*'), masked)
  }
})

test('neither guard does the work of the other', () => {
  const card = String.raw`\b\d{13,19}\b`
  assert.ok(boundedRegex(card) instanceof RegExp)
  assert.throws(() => linearRegex(card), /linear time/)
  assert.equal('😀'.replaceAll(boundedRegex('.') as RegExp, '*'), '*')
  assert.equal('😀'.replace(linearRegex('.'), '*').length, 2)
  assert.equal(linearRegex(String.raw`took=(\d+)`).exec('took=12')?.[1], '12')
  assert.ok('fault' in boundedRegex(String.raw`took=(\d+)`))
})

test('what could take long, or is not understood, is refused in words', () => {
  const rows: readonly (readonly [source: string, fault: RegExp])[] = [
    ['(a+)+$', /a repeat without an end/],
    ['a*', /a repeat without an end/],
    ['a{2,}', /a repeat without an end/],
    ['(a{1,9}){1,9}b', /more than 50000 ways/],
    ['(?:a|a){20}', /more than 50000 ways/],
    ['[ab]{1,300}[bc]{1,300}d', /more than 50000 ways/],
    ['(?=a)b', /lookahead/],
    ['(?<n>a)', /a name/],
    [String.raw`(a)\1`, /back reference/],
    ['a(', /Unterminated group/],
    ['a?', /nothing at all/],
    ['^', /nothing at all/],
    ['', /1 to 1024/],
  ]
  for (const [source, message] of rows) {
    const answer = boundedRegex(source)
    assert.ok('fault' in answer, source)
    assert.match(answer.fault, message)
  }
})
