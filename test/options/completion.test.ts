/** What is offered to a shell, from the tables. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMMANDS, PLAIN_COMMANDS } from '../../src/options/commands.ts'
import { complete } from '../../src/options/completion.ts'
import { optionNames } from '../../src/options/parse.ts'

const wordsFor = (...typed: string[]) => complete(typed)?.map(({ word }) => word) ?? ':files'

test('every command is offered, and each of its options', () => {
  for (const { name } of [...COMMANDS, ...PLAIN_COMMANDS]) {
    const typed = name.split(' ')
    assert.ok(wordsFor(...typed).includes(typed.at(-1) ?? ''), name)
  }
  for (const { name } of COMMANDS) {
    const offered = wordsFor(...name.split(' '), '--')
    for (const option of optionNames(name).keys()) {
      assert.ok(offered.includes(`--${option}`), `${name} --${option}`)
    }
  }
})

test('a word is completed by what stands before it', () => {
  assert.deepEqual(wordsFor('dlq', 'rep'), ['replay'])
  assert.deepEqual(wordsFor('bench', 'pr'), ['produce'])
  assert.deepEqual(wordsFor('bench', '--profil'), ['--profile'])
  assert.deepEqual(wordsFor('run', '--mode', 'dir'), ['direct'])
  assert.deepEqual(wordsFor('run', '--mode=dir'), ['--mode=direct'])
  assert.deepEqual(wordsFor('run', '--mode', '=', 'dir'), ['direct'], 'as bash breaks it')
  assert.deepEqual(wordsFor('run', '--mode', '='), ['worker', 'direct'])
  assert.deepEqual(wordsFor('run', '--no-es-en'), ['--no-es-enabled'])
  assert.deepEqual(wordsFor('help', 'dead'), ['dead-letters'])
  assert.equal(wordsFor('run', '--config', ''), ':files')
  assert.equal(wordsFor('run', '--es-password-file', ''), ':files')
  assert.deepEqual(wordsFor('run', '--es-index', ''), [], 'text that nobody knows')
  assert.deepEqual(wordsFor('no-command', ''), [])
})
