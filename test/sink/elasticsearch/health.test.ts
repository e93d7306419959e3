import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Health } from '../../../src/sink/elasticsearch/health.ts'

const newHealth = () => new Health(1, () => 0)

test('a server that never answers in time is told, and no longer once it has answered', () => {
  const health = newHealth()
  health.timedOut('no answer in 3000 ms')
  health.timedOut('no answer in 3000 ms')
  assert.equal(health.trouble, null, 'now and then a request is slow')
  health.timedOut('no answer in 3000 ms')
  assert.equal(health.trouble, 'Elasticsearch is slow: no answer in 3000 ms, 3 times in a row')
  assert.equal(health.state, 'up', 'slow is not down: nothing goes to the spill for it')
  health.succeeded('a')
  assert.equal(health.trouble, null)
})

test('three failures in a row on every node are down, and one answer ends it', () => {
  const health = newHealth()
  for (let count = 0; count < 3; count++) health.failed('a', 'refused', 1000)
  assert.equal(health.state, 'down')
  assert.equal(health.trouble, 'Elasticsearch is down: refused')
  assert.ok(health.nextProbeMs > 1000)
  health.succeeded('a')
  assert.deepEqual([health.state, health.trouble], ['up', null])
})
