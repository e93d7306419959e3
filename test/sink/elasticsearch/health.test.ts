import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Health } from '../../../src/sink/elasticsearch/health.ts'

const newHealth = () => new Health(1, () => 0)

test('a server that never answers in time is told, and no longer once it has answered', () => {
  const health = newHealth()
  health.timedOut('no answer in 3000 ms', 0)
  assert.equal(health.trouble, 'Elasticsearch is slow: no answer in 3000 ms')
  assert.equal(health.troubleKind, 'elasticsearch_slow')
  health.timedOut('no answer in 3000 ms', 0)
  health.timedOut('no answer in 3000 ms', 0)
  assert.equal(health.trouble, 'Elasticsearch is slow: no answer in 3000 ms (3 times in a row)')
  assert.equal(health.state, 'up', 'slow is not down: nothing goes to the spill for it')
  health.succeeded('a')
  assert.equal(health.trouble, null)
})

test('three failures in a row on every node are down, and one answer ends it', () => {
  const health = newHealth()
  for (let count = 0; count < 3; count++) health.failed('a', 'refused', 1000)
  assert.equal(health.state, 'down')
  assert.equal(health.trouble, 'Elasticsearch is down: refused')
  assert.ok(health.nextSendMs > 1000)
  health.succeeded('a')
  assert.deepEqual([health.state, health.trouble], ['up', null])
})

test('what refuses three requests in a row is busy: asked now and then, and not given up', () => {
  const health = newHealth()
  for (let count = 0; count < 3; count++) health.busy('429', 1000)
  assert.deepEqual([health.state, health.isAway], ['busy', false])
  assert.equal(health.trouble, 'Elasticsearch is busy: 429')
  assert.ok(health.nextSendMs > 1000)
})

test('each look that fails holds fewer documents, down to one', () => {
  const health = newHealth()
  const counts: number[] = []
  health.refused('a', '403', 0)
  for (let look = 0; look < 9; look++) {
    counts.push(health.probeDocuments)
    health.refused('a', '403', health.nextSendMs)
  }
  assert.deepEqual(counts, [100, 50, 25, 12, 6, 3, 1, 1, 1])
})

test('a pause that the server asked for is kept in any state', () => {
  const health = newHealth()
  health.pause(20_000)
  health.pause(10_000)
  assert.equal(health.nextSendMs, 20_000)
  health.failed('a', '503', 0)
  assert.equal(health.nextSendMs, 20_000)
})
