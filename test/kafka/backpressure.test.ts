/** Whether a broker can be reached: told when the last one goes, and when one is back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reachability } from '../../src/kafka/backpressure.ts'
import { consumerOn } from '../helpers/consumer-on.ts'

test('the change is told once each way, and brokers are asked only while in doubt', () => {
  const told: boolean[] = []
  let isUp = false
  let askedCount = 0
  const consumer = consumerOn({
    consumerMetadata: () => {
      askedCount++
      if (!isUp) throw new RangeError('Local: Timed out')
      return { brokers: [], topics: [] }
    },
  })
  const reachability = new Reachability({
    consumer,
    send: (message) => {
      assert(message.kind === 'reachable')
      told.push(message.isReachable)
    },
  })
  reachability.check()
  reachability.recordError('_TRANSPORT')
  assert.deepEqual([told, askedCount], [[], 0])
  // The connection is back at once.
  isUp = true
  reachability.recordError('_ALL_BROKERS_DOWN')
  reachability.check()
  reachability.check()
  assert.deepEqual([told, askedCount], [[], 1])
  isUp = false
  reachability.recordError('_ALL_BROKERS_DOWN')
  reachability.check()
  assert.deepEqual(told, [])
  reachability.recordError('_ALL_BROKERS_DOWN')
  reachability.check()
  reachability.check()
  assert.deepEqual([told, askedCount], [[false], 4])
  isUp = true
  reachability.check()
  reachability.check()
  assert.deepEqual([told, askedCount], [[false, true], 5])
})
