/** Dead letters counted where they lie. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { LetterCount } from '../../src/sync/letter-count.ts'

test('letters are counted as they are stored, rotated, edited and removed', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'letters-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'dead_letters.ndjson')
  const letters = new LetterCount(file)
  assert.equal(await letters.look(), 0, 'there is no file yet')
  appendFileSync(file, '{"a":1}\n{"a":2}\n{"to')
  assert.equal(await letters.look(), 2, 'a torn line is no letter')
  appendFileSync(file, 'rn":3}\n')
  assert.equal(await letters.look(), 3)
  renameSync(file, `${file}.000001`)
  writeFileSync(file, '{"a":4}\n')
  assert.equal(await letters.look(), 4)
  writeFileSync(`${file}.new`, '{"a":2}\n')
  renameSync(`${file}.new`, `${file}.000001`)
  assert.equal(await letters.look(), 2, 'two were sent again')
  writeFileSync(`${file}.000001`, '#"a":2}\n')
  utimesSync(`${file}.000001`, new Date(0), new Date(0))
  assert.equal(await letters.look(), 1, 'one was removed where it stood')
  rmSync(`${file}.000001`)
  rmSync(file)
  assert.equal(await letters.look(), 0)
})

test('a letter larger than a look is counted by the looks after', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'letters-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'dead_letters.ndjson')
  const large = 'x'.repeat(9 * 1024 * 1024)
  writeFileSync(file, `${large}\n#${large}\n{}\n`)
  const letters = new LetterCount(file)
  assert.deepEqual([await letters.look(), await letters.look(), await letters.look()], [0, 1, 2])
})
