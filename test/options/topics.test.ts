/** What is said beyond the options: topics and the manual page. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { COMMANDS, PLAIN_COMMANDS } from '../../src/options/commands.ts'
import { optionNames } from '../../src/options/parse.ts'
import { renderTopic } from '../../src/options/render-help.ts'
import { renderMan } from '../../src/options/render-man.ts'
import { COMMAND_NAMES, variablesOf } from '../../src/options/spec.ts'
import { ROWS } from '../../src/options/table.ts'
import { topicNamed, TOPICS } from '../../src/options/topics.ts'

const PAGE = renderMan('1.2.3')

test('a topic is found by its name, with spaces or dashes', () => {
  assert.equal(topicNamed('dead letters'), topicNamed('dead-letters'))
  assert.equal(topicNamed('Delivery')?.name, 'delivery')
  assert.equal(topicNamed('run'), undefined)
  for (const topic of TOPICS) assert.equal(topicNamed(topic.name), topic, 'no name is there twice')
})

test('topics fit the terminal', () => {
  for (const width of [60, 80]) {
    for (const topic of TOPICS) {
      for (const line of renderTopic(topic, width).split('\n')) {
        assert.ok(line.length <= width || !line.includes(' '), line)
      }
    }
  }
})

test('topics name options and commands that there are', () => {
  const flags = new Set(COMMAND_NAMES.flatMap((command) => [...optionNames(command).keys()]))
  const variables = new Set(
    ROWS.flatMap(({ env, secret }) => (secret ? [env, `${env}_FILE`] : [env])),
  )
  const heads = new Set([...COMMANDS, ...PLAIN_COMMANDS].map(({ name }) => name.split(' ')[0]))
  for (const { name, paragraphs } of TOPICS) {
    const text = paragraphs.join('\n')
    for (const [, flag = ''] of text.matchAll(/--([a-z][a-z-]+)/g)) {
      assert.ok(flags.has(flag), `${name}: --${flag}`)
    }
    for (const [variable] of text.matchAll(/\b[A-Z]+(_[A-Z]+)+\b/g)) {
      const isProperty = variable.startsWith('KAFKA_CONFIG_') || variable === 'SASL_SSL'
      assert.ok(isProperty || variables.has(variable), `${name}: ${variable}`)
    }
    for (const [, command = ''] of text.matchAll(/`logpipe ([a-z]+)/g)) {
      assert.ok(heads.has(command), `${name}: logpipe ${command}`)
    }
  }
})

test('the manual page has every command, option and topic', () => {
  for (const { name } of COMMANDS) {
    assert.ok(PAGE.includes(`.SH "LOGPIPE ${name.toUpperCase()}"`), name)
  }
  for (const row of ROWS) {
    // A long paragraph may break between the two words.
    const [variable] = variablesOf(row)
    assert.match(PAGE, new RegExp(`Variable:\\s${variable}[.,]`), row.commands.join(', '))
  }
  for (const { name } of TOPICS) assert.ok(PAGE.includes(`.SH "${name.toUpperCase()}"`), name)
})

test('man formats the manual page without a warning', (t) => {
  if (spawnSync('man', ['--version']).status !== 0) {
    t.skip('man is not installed: apt-get install man-db')
    return
  }
  const options = ['--warnings', '--encoding=utf8', '--local-file', '--troff-device=utf8', '-']
  const { status, stderr, stdout } = spawnSync('man', options, {
    input: PAGE,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', MANWIDTH: '80', LC_ALL: 'C.UTF-8' },
  })
  assert.equal(stderr, '')
  assert.equal(status, 0)
  const plain = stdout.split(/.[\b]/).join('')
  assert.match(plain, /NAME[^]+SYNOPSIS[^]+DELIVERY[^]+EXIT STATUS/)
})

test('mandoc finds nothing wrong with the manual page', (t) => {
  const found = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], {
    input: PAGE,
    encoding: 'utf8',
  })
  if (found.error !== undefined) {
    t.skip('mandoc is not installed: apt-get install mandoc')
    return
  }
  // The page has no date, so that each build makes the same one.
  const lines = found.stdout.split('\n').filter((line) => line !== '' && !/missing date/.test(line))
  assert.deepEqual(lines, [])
})
