/** What librdkafka is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configRefusal, consumerSettings } from '../../src/kafka/consumer-settings.ts'
import { resolve } from '../../src/options/resolve.ts'

function settings(args: string, threadIndex = 0): Map<string, string> {
  const { config } = resolve({ command: 'run', args: args.split(' '), env: {} })
  const pairs = consumerSettings(config, threadIndex)
  const map = new Map(pairs)
  assert.equal(map.size, pairs.length, 'a name came twice')
  return map
}

test('a consumer commits nothing by itself and moves as little as it can', () => {
  const map = settings('--brokers a:1,b:2 --group g')
  assert.equal(map.get('bootstrap.servers'), 'a:1,b:2')
  assert.equal(map.get('group.id'), 'g')
  assert.equal(map.get('enable.auto.commit'), 'false')
  assert.equal(map.get('enable.auto.offset.store'), 'false')
  assert.equal(map.get('partition.assignment.strategy'), 'cooperative-sticky')
  assert.equal(map.get('session.timeout.ms'), '10000')
  assert.equal(map.get('heartbeat.interval.ms'), '1000')
  assert.equal(map.get('isolation.level'), 'read_committed')
  assert.equal(map.get('group.instance.id'), undefined)
})

test('each ingress thread is a static member of its own', () => {
  assert.equal(settings('--group-instance-id X').get('group.instance.id'), 'X-0')
  assert.equal(settings('--group-instance-id X', 1).get('group.instance.id'), 'X-1')
})

test("the profile's properties come before the user's", () => {
  const map = settings('--profile aggressive --kafka-config fetch.wait.max.ms=7')
  assert.equal(map.get('fetch.wait.max.ms'), '7')
  assert.equal(map.get('queued.min.messages'), '1000000')
  assert.equal(settings('--kafka-config client.id=me').get('client.id'), 'me')
})

test('CRCs are checked, unless speed was asked for or the user says otherwise', () => {
  const crcs = (args: string) => settings(args).get('check.crcs')
  assert.equal(crcs('--group g'), 'true')
  assert.equal(crcs('--profile aggressive'), 'false')
  assert.equal(crcs('--profile aggressive --kafka-config check.crcs=true'), 'true')
  assert.equal(crcs('--kafka-config check.crcs=false'), 'false')
})

test('an alias given by the user stands behind the name given by the profile', () => {
  const names = [
    ...settings('--profile aggressive --kafka-config max.partition.fetch.bytes=9').keys(),
  ]
  assert.ok(names.indexOf('max.partition.fetch.bytes') > names.indexOf('fetch.message.max.bytes'))
})

test('the consumer protocol goes without the properties that it forbids', () => {
  const map = settings('--kafka-config group.protocol=consumer')
  assert.equal(map.get('group.protocol'), 'consumer')
  for (const name of [
    'session.timeout.ms',
    'heartbeat.interval.ms',
    'partition.assignment.strategy',
  ]) {
    assert.equal(map.has(name), false, name)
  }
})

test('the log of librdkafka stays out of its queue, which has no bound', () => {
  assert.equal(settings('--group g').get('log.queue'), 'false')
})

test('a file that cannot be read is named where librdkafka refuses its properties', () => {
  const missing = (path: string) => (path === '/no' ? 'no such file or directory' : null)
  const refusal = (value: string) =>
    configRefusal('ssl.ca.location failed: BIO lib', [['ssl.ca.location', value]], missing)
  assert.equal(
    refusal('/no'),
    '--kafka-config ssl.ca.location: cannot read /no: no such file or directory',
  )
  for (const value of ['probe', '/yes']) {
    assert.match(refusal(value), /refused its configuration: ssl\.ca\.location failed.*password/)
  }
  assert.doesNotMatch(configRefusal('no such name', []), /password/)
})
