/** Events and status lines, for people and for machines. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Log, type LogOptions } from '../../src/core/log.ts'

function newLog(options: Partial<LogOptions> = {}): { log: Log; written: string[] } {
  const written: string[] = []
  const log = new Log({
    format: 'plain',
    level: 'info',
    quiet: false,
    isTerminal: false,
    columns: () => 20,
    write: (text) => written.push(text),
    ...options,
  })
  return { log, written }
}

test('plain lines are whole lines, and the level decides which are said', () => {
  const { log, written } = newLog()
  log.info('started')
  log.warn('slow')
  log.debug('hidden')
  log.status(['one', 'two'], {})
  assert.deepEqual(written, ['logpipe: started\n', 'logpipe: warn: slow\n', 'one\ntwo\n'])
})

test('secrets are left out of everything, those of before a change, too', () => {
  const redactor = (secret: string) => (text: string) => text.replaceAll(secret, '(secret)')
  for (const format of ['plain', 'json'] as const) {
    const { log, written } = newLog({ format, redact: redactor('first') })
    log.setRedact(redactor('second'))
    log.warn('the proxy said first and second', { text: 'first' })
    log.status(['second'], { text: 'second' })
    log.lines(['first'])
    assert.doesNotMatch(written.join(''), /first|second/)
    assert.equal(log.redact('first, second'), '(secret), (secret)')
  }
})

test('words of others are printable text in one line, and forge no event', () => {
  for (const isTerminal of [false, true]) {
    const { log, written } = newLog({ isTerminal, columns: () => 200 })
    const evil = 'a\nlogpipe: error: forged\r\u001B[2J\u009B2J\u202Eb\u2028c'
    const shown = 'a\\nlogpipe: error: forged\\r\\u001b[2J\\u009b2J\\u202eb\\u2028c'
    log.warn(evil)
    log.lines([evil])
    log.status([evil], {})
    assert.deepEqual(written, [`logpipe: warn: ${shown}\n`, `${shown}\n`, `${shown}\n`])
  }
})

test('quiet leaves warnings and errors only', () => {
  const { log, written } = newLog({ quiet: true })
  log.info('started')
  log.status(['one'], {})
  log.error('broken')
  assert.deepEqual(written, ['logpipe: error: broken\n'])
})

test('status lines can be left out alone', () => {
  const { log, written } = newLog({ hidesStatus: true })
  log.info('started')
  log.status(['one'], {})
  assert.deepEqual(written, ['logpipe: started\n'])
})

test('json gives one object a line with its fields', () => {
  const { log, written } = newLog({ format: 'json' })
  log.warn('slow', { topic: 't' })
  log.status(['never'], { polled: 3 })
  const [first, second] = written.map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.equal(first?.['msg'], 'slow')
  assert.equal(first?.['level'], 'warn')
  assert.equal(first?.['topic'], 't')
  assert.equal(second?.['polled'], 3)
})

test('on a terminal the status is refreshed in place, below the events, within the width', () => {
  const { log, written } = newLog({ isTerminal: true })
  log.status(['a'.repeat(30), 'b'], {})
  log.info('event')
  log.status(['c', 'd'], {})
  const up = '\u001B[1A\u001B[2K'
  const first = `${'a'.repeat(19)}\nb\n`
  assert.deepEqual(written, [first, `${up}${up}logpipe: event\n${first}`, `${up}${up}c\nd\n`])
})

test('a headline stands above the status on a terminal, and nowhere else', () => {
  for (const isTerminal of [true, false]) {
    const { log, written } = newLog({ isTerminal })
    log.status(['a', 'b'], {}, 'in words')
    assert.deepEqual(written, [isTerminal ? 'in words\na\nb\n' : 'a\nb\n'])
  }
})

test('what somebody else writes to the terminal is not erased', () => {
  const { log, written } = newLog({ isTerminal: true })
  const up = '\u001B[1A\u001B[2K'
  log.status(['a'], {})
  log.hide()
  log.status(['b'], {})
  log.warn('w')
  log.show()
  log.status(['c'], {})
  log.settle()
  log.info('done')
  assert.deepEqual(written, [
    'a\n',
    up,
    '',
    'logpipe: warn: w\n',
    'b\n',
    `${up}c\n`,
    'logpipe: done\n',
  ])
})

test('there is nothing to hide where the status is not refreshed', () => {
  const { log, written } = newLog()
  log.status(['a'], {})
  log.hide()
  log.show()
  assert.deepEqual(written, ['a\n'])
})
