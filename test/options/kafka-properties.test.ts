/** The names of librdkafka's properties agree with the librdkafka in use. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  isHiddenProperty,
  isSecretProperty,
  ownedProperty,
  PROPERTY_NAMES,
  propertyOfEnv,
  secretOfFile,
} from '../../src/options/kafka-properties.ts'
import { PROFILES } from '../../src/options/profiles.ts'

const documented = readFileSync(
  'node_modules/@confluentinc/kafka-javascript/deps/librdkafka/CONFIGURATION.md',
  'utf8',
)
/** Properties whose value is a function or another pointer. */
const POINTER = /_cb$|_cmp$|^opaque$|^interceptors$|^ssl_|^default_topic_conf$/

test('every property that librdkafka documents is known, and no other', () => {
  const names = [...documented.matchAll(/^([a-z][a-z0-9._]+)\s*\|/gm)].map(([, name = '']) => name)
  const settable = names.filter((name) => !POINTER.test(name))
  assert.ok(settable.length > 150)
  assert.deepEqual([...PROPERTY_NAMES].toSorted(), [...new Set(settable)].toSorted())
})

test('profiles set properties that exist and that a user may set too', () => {
  for (const { kafka } of Object.values(PROFILES)) {
    for (const name of Object.keys(kafka)) {
      assert.ok(PROPERTY_NAMES.has(name) && ownedProperty(name) === undefined, name)
    }
  }
})

test('every property can be reached by a variable', () => {
  for (const name of PROPERTY_NAMES) {
    if (ownedProperty(name) !== undefined) continue
    const variable = `KAFKA_CONFIG_${name.toUpperCase().replaceAll('.', '_')}`
    assert.equal(propertyOfEnv(variable), name)
  }
  for (const other of ['KAFKA_CONFIG', 'KAFKA_CONFIG_', 'KAFKA_TOPIC']) {
    assert.equal(propertyOfEnv(other), undefined)
  }
})

test('who signs in is shown to nobody, and how he does to everybody', () => {
  assert.ok(isHiddenProperty('sasl.username') && isHiddenProperty('sasl.kerberos.principal'))
  for (const name of ['sasl.mechanism', 'sasl.mechanisms', 'security.protocol', 'ssl.ca.pem']) {
    assert.ok(!isHiddenProperty(name), name)
  }
})

test('passwords, keys and secrets are secret; files of them are read', () => {
  for (const name of [
    'sasl.password',
    'ssl.key.pem',
    'ssl.key.password',
    'ssl.keystore.password',
  ]) {
    assert.ok(isSecretProperty(name) && isHiddenProperty(name), name)
    assert.equal(secretOfFile(`${name}.file`), name)
  }
  for (const name of ['sasl.username', 'ssl.ca.location', 'ssl.certificate.pem', 'group.id']) {
    assert.ok(!isSecretProperty(name), name)
    assert.equal(secretOfFile(`${name}.file`), undefined)
  }
  assert.equal(secretOfFile('sasl.oauthbearer.assertion.private.key.file'), undefined)
})
