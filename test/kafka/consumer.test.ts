/** A consumer from its birth to its end: signed in all the while, and its fills' answers read. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { type Bridge, FILL_EVENTS, FILL_FULL } from '../../src/bridge/bridge.ts'
import { Consumer, withConsumer } from '../../src/kafka/consumer.ts'
import { consumerOn } from '../helpers/consumer-on.ts'

const LIMITS = { recordsMax: 1, bytesMax: 1, pullMax: 1, timeoutMs: 0, heldMax: 1 }

function tokenFile(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-token-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return path.join(folder, 'token')
}

test('any call that needs a connection reads a token that is due', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-09-01T00:00:00Z') })
  const file = tokenFile(t)
  writeFileSync(file, 'first')
  const tokens: string[] = []
  const bridge: Partial<Bridge> = {
    consumerOpen: () => 1,
    consumerSetToken: (_, token) => void tokens.push(token),
    consumerAnswers: () => [],
    consumerFill: () => 0,
    consumerPause: () => undefined,
  }
  const warnings: string[] = []
  const consumer = new Consumer(bridge as Bridge, {
    properties: [],
    tokenFile: file,
    warn: (message) => warnings.push(message),
  })
  assert.deepEqual(tokens, ['first'])
  writeFileSync(file, 'second')
  consumer.answers(0)
  t.mock.timers.tick(30_000)
  consumer.pause([1])
  assert.deepEqual(tokens, ['first'])
  consumer.answers(0)
  assert.deepEqual(tokens, ['first', 'second'])
  writeFileSync(file, '')
  t.mock.timers.tick(30_000)
  consumer.fill(1, 0, LIMITS)
  consumer.fill(1, 0, LIMITS)
  assert.equal(tokens.length, 2)
  assert.deepEqual(warnings, [`KAFKA_TOKEN_FILE: ${file} is empty`])
})

test('without a good token it is not there, and neither is its client', (t) => {
  const calls: string[] = []
  const bridge: Partial<Bridge> = {
    consumerOpen: () => calls.push('open'),
    consumerClose: () => calls.push('close') > 0,
  }
  const options = { properties: [], tokenFile: tokenFile(t), warn: assert.fail }
  assert.throws(() => new Consumer(bridge as Bridge, options), { code: 'KAFKA_AUTH' })
  assert.deepEqual(calls, ['open', 'close'])
})

test('properties that librdkafka refuses are named with what it says', () => {
  const consumerOpen = () => {
    throw new TypeError('Invalid value for configuration property "acks"')
  }
  assert.throws(() => consumerOn({ consumerOpen }), {
    code: 'KAFKA_CONFIG',
    message: /^librdkafka refused its configuration: Invalid value .*"acks" \(--kafka-config\)$/,
  })
})

test('a fill tells its records, a full pool and events apart', () => {
  const results = [FILL_FULL, 7, 3 | FILL_EVENTS, FILL_EVENTS | FILL_FULL]
  let readCount = 0
  const consumer = consumerOn({
    consumerFill: () => results.shift() ?? 0,
    consumerEvents: () => [{ kind: 'dropped', count: ++readCount }],
  })
  const fill = () => [
    consumer.fill(1, 0, LIMITS),
    consumer.isPoolFull,
    consumer.events().length,
    consumer.events().length,
  ]
  assert.deepEqual(fill(), [0, true, 0, 0])
  assert.deepEqual(fill(), [7, false, 0, 0])
  assert.deepEqual(fill(), [3, false, 1, 0])
  assert.deepEqual(fill(), [0, true, 1, 0])
  assert.equal(readCount, 2)
})

test('one that is opened for a question is closed when that fails', () => {
  const closed: number[] = []
  const bridge = { consumerOpen: () => 7, consumerClose: (id: number) => closed.push(id) > 0 }
  const options = { properties: [], tokenFile: null, warn: assert.fail }
  const ask = (consumer: Consumer) => {
    assert.equal(closed.length, 0)
    return consumer.metadata(null, 1)
  }
  assert.throws(() => withConsumer(bridge as unknown as Bridge, options, 1, ask), TypeError)
  assert.deepEqual(closed, [7])
})
