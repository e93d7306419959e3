import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Matchers } from '../../src/filter/matchers.ts'

const OPTIONS = { patterns: [], ignoreCase: false, invertMatch: false }

function fakeBridge() {
  const open = new Set<number>()
  let next = 1
  return {
    open,
    matcherOpen: () => {
      open.add(next)
      return next++
    },
    matcherClose: (matcher: number) => assert.ok(open.delete(matcher), `${matcher} is open`),
  }
}

test('an old matcher is closed when every thread has taken a newer one, and not before', () => {
  const bridge = fakeBridge()
  const matchers = new Matchers(bridge, OPTIONS, 2)
  const second = matchers.renew(OPTIONS)
  matchers.take(second)
  assert.deepEqual([...bridge.open], [1, 2])
  const third = matchers.renew(OPTIONS)
  assert.equal(matchers.current, third)
  matchers.take(second)
  assert.deepEqual([...bridge.open], [2, 3])
  matchers.take(third)
  matchers.take(third)
  assert.deepEqual([...bridge.open], [3])
  matchers.close()
  assert.equal(bridge.open.size, 0)
})
