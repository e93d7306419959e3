/** What stands before topic-partition-offset. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatLogId, parseLogId } from '../../src/core/log-id.ts'

test('a log that was cut off has the leader epoch behind its prefix', () => {
  assert.equal(formatLogId({ prefix: '0a1b2c3d', markEpoch: -1 }), '0a1b2c3d')
  assert.equal(formatLogId({ prefix: '0a1b2c3d', markEpoch: 7 }), '0a1b2c3d-@7')
  assert.equal(formatLogId({ prefix: '', markEpoch: 0 }), '@0')
})

test('the id of a log is read back', () => {
  const prefix = fc.stringMatching(/^([!-?A-~]{1,64}|[0-9a-f]{8})?$/)
  const epoch = fc.integer({ min: -1 })
  fc.assert(
    fc.property(prefix, epoch, (given, markEpoch) => {
      const text = formatLogId({ prefix: given, markEpoch })
      assert.deepEqual(parseLogId(text), { prefix: given, markEpoch })
    }),
  )
})
