/** Did you mean. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { didYouMean, nearest } from '../../src/core/nearest.ts'

const NAMES = ['pattern', 'pattern-hex', 'partitions', 'brokers', 'kafka-brokers']

test('a slip of the pen finds the name that was meant', () => {
  assert.equal(nearest('patern', NAMES), 'pattern')
  assert.equal(nearest('borkers', NAMES), 'brokers')
  assert.equal(nearest('kafka-broker', NAMES), 'kafka-brokers')
  assert.equal(nearest('partit', NAMES), 'partitions')
  assert.equal(didYouMean('patern', NAMES), ' (did you mean pattern?)')
})

test('another word finds nothing', () => {
  for (const typed of ['x', 'elasticsearch', '', 'a'.repeat(10_000)]) {
    assert.equal(nearest(typed, NAMES), undefined, typed)
  }
})
