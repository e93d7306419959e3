/**
 * How a control plane that was taken over, or whoever stands before it, had a worker's own password
 * sent to itself, though launch.ts keeps it for the addresses of the worker's own environment.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOrders } from '../../src/sync/assignment.ts'

const good = {
  pipeline_id: 1,
  name: 'x',
  revision: 2,
  desired_state: 'running',
  variables: {},
  secrets: {},
}
const refusalOf = (more: object) => parseOrders({ assignment: { ...good, ...more } }).refusal ?? ''

test('an address came among the secrets, where nobody looked for one', () => {
  // What comes as a secret takes the place of the worker's own ES_URL, and its password went along.
  assert.match(refusalOf({ secrets: { ES_URL: 'http://evil.example' } }), /ES_URL/)
  assert.match(refusalOf({ secrets: { KAFKA_BROKERS: 'evil.example:9092' } }), /KAFKA_BROKERS/)
  const leftovers = { pipeline_id: 1, secrets: { ES_URL: 'http://evil.example' } }
  assert.equal(parseOrders({ leftovers }).leftovers, null)
  const fallback = { revision: 1, variables: {}, secrets: { ES_URL: 'http://evil.example' } }
  assert.equal(parseOrders({ assignment: { ...good, fallback } }).assignment?.fallback, null)
  assert.equal(refusalOf({ secrets: { ES_PASSWORD: 'x', KAFKA_CONFIG_SASL_USERNAME: 'x' } }), '')
})

test('a property came in two spellings: one was looked at, the other one was used', () => {
  const variables = {
    KAFKA_CONFIG_SECURITY_PROTOCOL: 'sasl_ssl',
    KAFKA_CONFIG_security_protocol: 'sasl_plaintext',
  }
  assert.match(refusalOf({ variables }), /KAFKA_CONFIG_security_protocol/)
})
