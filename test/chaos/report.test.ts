/** Which endings of a process a chaos run takes for a fault. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ending } from './member.ts'
import { faultsOf } from './report.ts'

/** One that ended in order with status 3, having lost these. */
function faultsOfLoss(topic: string, lost: Readonly<Record<string, number>>): string[] {
  const reasons = Object.entries(lost).map(([reason, count]) => [reason, { count }])
  const partitions = [{ topic, lost: Object.fromEntries(reasons) as Record<string, never> }]
  const ending: Ending = {
    member: 'durable-1',
    how: 'in order',
    status: 3,
    books: { balanced: true, total: {}, partitions },
    lastWords: '',
  }
  const none = { injected: new Map(), missed: new Map(), groups: new Map(), failures: [] }
  const counts = { seed: 1, minutes: 1, brokers: 1, planned: 0, acknowledged: 0, refused: 0 }
  return faultsOf({
    ...none,
    ...counts,
    gone: 0,
    hasDisks: false,
    undelivered: null,
    endings: [ending],
  })
}

test('only what was spilled of a log that is gone may be lost', () => {
  assert.deepEqual(faultsOfLoss('reborn', { spill: 11, retention: 0 }), [])
  assert.equal(faultsOfLoss('even', { spill: 11 }).length, 1)
  assert.equal(faultsOfLoss('reborn', { spill: 11, retention: 1 }).length, 1)
  assert.equal(faultsOfLoss('reborn', { spill: 0 }).length, 1)
})
