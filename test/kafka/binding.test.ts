/** What the binding and librdkafka say, as errors of ours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogpipeError } from '../../src/core/errors.ts'
import { bindingConfig, ConnectionTrouble, kafkaError } from '../../src/kafka/binding.ts'

const BROKERS = 'b:9092'
const said = (code: number, message: string) => ({ code, message })

test('codes of librdkafka become codes of ours, in one line that names the brokers', () => {
  for (const [native, code] of [
    [-195, 'KAFKA_UNREACHABLE'],
    [-185, 'KAFKA_UNREACHABLE'],
    [-169, 'KAFKA_AUTH'],
    [29, 'KAFKA_AUTH'],
    [3, 'KAFKA_TOPIC'],
    [-190, 'KAFKA_TOPIC'],
    [-150, 'KAFKA_FATAL'],
    [-999, 'BRIDGE_CALL'],
  ] as const) {
    const error = kafkaError(said(native, 'Local: Trouble\nmore'), 'list topics', BROKERS)
    assert.equal(error.code, code)
    assert.match(error.message, /^cannot list topics: Local: Trouble; .* \(b:9092\)$/)
  }
})

test('an error that is ours already stays as it is', () => {
  const error = new LogpipeError('KAFKA_TOPIC', 'as it was')
  assert.equal(kafkaError(error, 'x', BROKERS), error)
})

test('a vague failure is explained by what the events and the log said', () => {
  const trouble = new ConnectionTrouble()
  const vague = said(-195, 'Local: Broker transport failure')
  assert.equal(trouble.explain(vague), vague)
  trouble.recordError(new RangeError('broker transport failure'))
  assert.equal(trouble.explain(vague), vague)
  trouble.recordLog({
    fac: 'FAIL',
    message:
      '[thrd:sasl_ssl://b:9092/1]: sasl_ssl://b:9092/1: SASL authentication error: ' +
      'Invalid username or password (after 311ms in state AUTH_REQ)',
  })
  trouble.recordError(new RangeError('Local: Authentication failure'))
  trouble.recordError(new RangeError('all broker connections are down'))
  const error = kafkaError(trouble.explain(vague), 'connect', BROKERS)
  assert.equal(error.code, 'KAFKA_AUTH')
  assert.match(error.message, /^cannot connect: sasl_ssl:\/\/b:9092\/1: SASL .* or password; check/)
})

test('a failure that says what it is keeps its own words', () => {
  const trouble = new ConnectionTrouble()
  trouble.recordError(new RangeError('ssl error'))
  const clear = said(3, 'Broker: Unknown topic or partition')
  assert.equal(trouble.explain(clear), clear)
})

test('what the user set goes over defaults, and the brokers over both', () => {
  const settings = {
    brokers: BROKERS,
    config: [
      ['linger.ms', '7'],
      ['bootstrap.servers', 'other:1'],
    ] as const,
    timeoutMs: 1,
  }
  assert.deepEqual(bindingConfig(settings, { 'linger.ms': '5', acks: 'all' }), {
    'client.id': 'logpipe',
    'linger.ms': '7',
    acks: 'all',
    'bootstrap.servers': BROKERS,
  })
})
