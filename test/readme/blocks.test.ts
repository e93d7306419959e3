import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { commandsOf, shellBlocks } from './blocks.ts'

test('shell blocks are found with their line and the way they are run', () => {
  const markdown =
    'a\n```sh\nx\ny\n```\n```yaml\nz: 1\n```\n```sh service\ns\n```\n```sh until-stopped\nu\n```\n'
  assert.deepEqual(shellBlocks(markdown), [
    { kind: 'run', line: 2, text: 'x\ny' },
    { kind: 'service', line: 9, text: 's' },
    { kind: 'until-stopped', line: 12, text: 'u' },
  ])
})

test('a block that nobody knows how to run, or without an end, is refused', () => {
  assert.throws(() => shellBlocks('```bash\nx\n```\n'), /line 1: expected one of sh, .*got bash/)
  assert.throws(() => shellBlocks('\n```sh\nx\n'), /line 2: the block has no end/)
})

test('commands are told apart, comments left out and continued lines kept together', () => {
  const text = "# one\na 1\n\nb \\\n  -d '{' \\\n  c\n  # two\nd"
  assert.deepEqual(commandsOf({ text }), ['a 1', "b \\\n  -d '{' \\\n  c", 'd'])
})

test('a quote that goes over several lines belongs to its command', () => {
  const text = 'curl x \\\n  -d \'{\n  "a": 1\n}\'\n# c\necho "it\'s"'
  assert.deepEqual(commandsOf({ text }), ['curl x \\\n  -d \'{\n  "a": 1\n}\'', 'echo "it\'s"'])
  assert.throws(() => commandsOf({ text: "echo 'x" }), /has no end/)
})

test('every shell block of the README can be run', () => {
  assert.ok(shellBlocks(readFileSync('README.md', 'utf8')).length > 5)
})
