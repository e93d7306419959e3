/** What may come from the control plane. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRemoteSecret, isRemoteVariable, remoteFault } from '../../src/options/remote-options.ts'
import { ROWS } from '../../src/options/table.ts'

test('no option that names a file, a program or an output comes from the control plane', () => {
  const remote = ROWS.filter((row) => remoteFault(row) === undefined)
  assert.ok(remote.length > 20)
  for (const { env, kind } of remote) {
    assert.ok(!['path', 'output', 'letters', 'address'].includes(kind), env)
    assert.doesNotMatch(env, /_FILE$|_PATH$|_LIB$|_LISTEN$|TOKEN/)
  }
})

test('a worker takes remote options and allowed properties, and nothing else', () => {
  for (const name of ['MATCH_PATTERN', 'KAFKA_TOPIC', 'ES_PASSWORD', 'KAFKA_CONFIG_CLIENT_ID']) {
    assert.ok(isRemoteVariable(name, 'x'), name)
  }
  for (const name of [
    'BRIDGE_LIB',
    'LD_PRELOAD',
    'NODE_OPTIONS',
    'PATH',
    'PIPELINE_OUTPUT',
    'ES_SPILL_PATH',
    'ES_PASSWORD_FILE',
    'RUN_SECONDS',
    'KAFKA_CONFIG',
    'KAFKA_CONFIG_',
    'KAFKA_CONFIG_PLUGIN_LIBRARY_PATHS',
    'KAFKA_CONFIG_SSL_CA_LOCATION',
    'KAFKA_CONFIG_SASL_PASSWORD_FILE',
    'LOGPIPE_SECRETS_FD',
    // Other spellings of what may be set: run would take both, and the last in order counts.
    'KAFKA_CONFIG_client_id',
    'KAFKA_CONFIG_CLIENT.ID',
  ]) {
    assert.ok(!isRemoteVariable(name, 'x'), name)
  }
  assert.ok(!isRemoteVariable('KAFKA_CONFIG_SASL_MECHANISM', 'GSSAPI'))
})

test('by the way of secrets a worker takes secrets alone', () => {
  for (const name of [
    'ES_PASSWORD',
    'ES_API_KEY',
    'KAFKA_CONFIG_SASL_USERNAME',
    'KAFKA_CONFIG_SASL_PASSWORD',
    'KAFKA_CONFIG_SSL_KEY_PASSWORD',
  ]) {
    assert.ok(isRemoteSecret(name, 'x'), name)
  }
  for (const name of [
    'ES_URL',
    'KAFKA_BROKERS',
    'KAFKA_CONFIG_SECURITY_PROTOCOL',
    'KAFKA_CONFIG_SASL_MECHANISM',
    'KAFKA_CONFIG_sasl_password',
    'NODE_OPTIONS',
    'CONTROL_TOKEN',
  ]) {
    assert.ok(!isRemoteSecret(name, 'x'), name)
  }
})

test('a certificate without its line breaks is refused, before librdkafka does', () => {
  const lines = ['-----BEGIN CERTIFICATE-----', 'MIIB', '-----END CERTIFICATE-----']
  for (const name of ['KAFKA_CONFIG_SSL_CA_PEM', 'KAFKA_CONFIG_SSL_KEY_PEM']) {
    assert.ok(isRemoteVariable(name, lines.join('\n')))
    assert.ok(isRemoteVariable(name, lines.join('\r\n')))
    assert.ok(!isRemoteVariable(name, lines.join('')))
    assert.ok(!isRemoteVariable(name, lines.join(' ')), 'as an input of one line gives it')
  }
})
