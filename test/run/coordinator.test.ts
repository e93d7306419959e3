import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Books } from '../../src/offsets/books.ts'
import { Ledger } from '../../src/offsets/ledger.ts'
import { Signals } from '../../src/pool/signals.ts'
import { Coordinator } from '../../src/run/coordinator.ts'
import { NoneSink } from '../../src/sink/none-sink.ts'

test('a partition is forgotten by the output when its own assignment ends, not later', () => {
  const dropped: string[] = []
  const sink = Object.assign(new NoneSink(), {
    dropPartition: (topic: string, partition: number) => dropped.push(`${topic}/${partition}`),
  })
  const coordinator = new Coordinator({
    ledger: new Ledger({ unresolvedMax: 100 }),
    books: new Books(),
    sink,
    signals: new Signals(Signals.allocate()),
    commits: true,
    revokeDrainMs: 0,
    nowMs: () => 0,
    toIngress: () => undefined,
    toFilters: () => undefined,
    warn: () => undefined,
  })
  const assign = (ingressIndex: number) =>
    coordinator.handleIngress({
      kind: 'assign',
      ingressIndex,
      partitions: [{ topic: 'logs', partition: 3, offset: 0 }],
      lost: [],
    })
  assign(0)
  assert.deepEqual(dropped, [])
  // Another thread is given the partition before the first has noticed that it lost it.
  assign(1)
  assert.deepEqual(dropped, ['logs/3'])
  coordinator.handleIngress({ kind: 'unassigned', ingressIndex: 0, assignmentIds: [0] })
  assert.deepEqual(dropped, ['logs/3'], 'what is queued now is of the new assignment')
  coordinator.handleIngress({ kind: 'unassigned', ingressIndex: 1, assignmentIds: [1] })
  assert.deepEqual(dropped, ['logs/3', 'logs/3'])
})
