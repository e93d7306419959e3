import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PartitionOffset } from '../../src/bridge/bridge.ts'
import { Books } from '../../src/offsets/books.ts'
import { Ledger } from '../../src/offsets/ledger.ts'
import { Signals } from '../../src/pool/signals.ts'
import { Coordinator, RuleBooks } from '../../src/run/coordinator.ts'
import { NoneSink } from '../../src/sink/none-sink.ts'
import type { Delivery } from '../../src/sink/sink.ts'

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
    idPrefixOf: () => '',
    toIngress: () => undefined,
    toFilters: () => undefined,
    warn: () => undefined,
  })
  const assign = (ingressIndex: number) =>
    coordinator.assign({
      kind: 'assign',
      ingressIndex,
      partitions: [{ topic: 'logs', partition: 3, offset: 0 }],
      lost: [],
      topicIds: {},
    })
  assign(0)
  assert.deepEqual(dropped, [])
  // Another thread is given the partition before the first has noticed that it lost it.
  assign(1)
  assert.deepEqual(dropped, ['logs/3'])
  coordinator.unassigned({ kind: 'unassigned', ingressIndex: 0, assignmentIds: [0] })
  assert.deepEqual(dropped, ['logs/3'], 'what is queued now is of the new assignment')
  coordinator.unassigned({ kind: 'unassigned', ingressIndex: 1, assignmentIds: [1] })
  assert.deepEqual(dropped, ['logs/3', 'logs/3'])
})

const RUN = { reason: 0, valueBytes: 2, outsideTime: 0, lastTimestampMs: -1 }

interface Ended {
  /** Called when the output is told to forget the partition. */
  readonly dropPartition: (batches: readonly Delivery[]) => void
  /** Its log was made anew, instead of being given away. */
  readonly isRewound?: boolean
  /** The offset that came again. */
  readonly rewoundTo?: number
  /** It is the same log, of which a batch is damaged. */
  readonly damage?: string | null
}

/** Two documents of a partition are with the output, and then its assignment ends. */
function endAssignment({ dropPartition, isRewound = false, rewoundTo = 0, damage = null }: Ended) {
  const ledger = new Ledger({ unresolvedMax: 100 })
  const books = new Books()
  const batches: Delivery[] = []
  const commits: PartitionOffset[] = []
  const forgotten: number[] = []
  const begun: number[] = []
  const sink = Object.assign(new NoneSink(), {
    write: (batch: Delivery) => void batches.push(batch),
    dropPartition: () => dropPartition(batches),
  })
  const coordinator = new Coordinator({
    ledger,
    books,
    sink,
    signals: new Signals(Signals.allocate()),
    commits: true,
    revokeDrainMs: 0,
    nowMs: () => 0,
    idPrefixOf: () => '',
    toIngress: (_index, message) => {
      if (message.kind === 'commit') commits.push(...message.commits)
      if (message.kind === 'assigned') begun.push(...message.assignments.map((one) => one.offset))
    },
    toFilters: (message) => {
      if (message.kind === 'forget') forgotten.push(...message.assignmentIds)
    },
    warn: () => undefined,
  })
  coordinator.assign({
    kind: 'assign',
    ingressIndex: 0,
    partitions: [{ topic: 'logs', partition: 3, offset: 0 }],
    lost: [],
    topicIds: {},
  })
  const cover = { assignmentId: 0, coverFrom: 0, coverTo: 2, recordCount: 2, lowWatermark: 0 }
  coordinator.handleMatched({
    body: new Uint8Array(2),
    ends: Uint32Array.of(1, 2),
    runs: [
      {
        ...cover,
        ...RUN,
        offsets: Float64Array.of(0, 1),
        timestampsMs: Float64Array.of(-1, -1),
        timestampTypes: new Uint8Array(2),
        markEpoch: -1,
        copies: 0,
        tallies: [],
        rules: new Uint16Array(0),
      },
    ],
  })
  if (isRewound) {
    coordinator.restart({
      kind: 'restart',
      ingressIndex: 0,
      position: { assignmentId: 0, topic: 'logs', partition: 3, offset: 4, endOffset: 4 },
      partitions: [{ topic: 'logs', partition: 3, offset: rewoundTo }],
      topicIds: {},
      damage,
    })
  } else coordinator.unassigned({ kind: 'unassigned', ingressIndex: 0, assignmentIds: [0] })
  /** Two more records of the first assignment, of which none matched. */
  const late = () =>
    coordinator.handleRun({ ...RUN, ...cover, coverFrom: 2, coverTo: 4, assignmentId: 0 })
  const state = () => books.state((topic, partition) => ledger.pendingOf(topic, partition))
  const book = books.of('logs', 3)
  return { batches, book, state, late, coordinator, commits, forgotten, begun }
}

test('what the output forgets of a partition that was given away is fenced, not pending', () => {
  const { state } = endAssignment({
    dropPartition: (batches) =>
      batches.forEach((batch) => batch.settle(0, batch.ends.length, 'fenced')),
  })
  const statement = state()
  assert.equal(statement.total.count('fenced'), 2)
  assert.equal(statement.pending, 0)
  assert.equal(statement.exitStatus, 0)
})

test('what reaches the spill after its partition was given away counts as spilled', () => {
  const { batches, book, state } = endAssignment({ dropPartition: () => undefined })
  const [batch] = batches
  assert(batch !== undefined)
  batch.settle(0, 1, 'spilled')
  batch.settle(1, 2, 'indexed')
  assert.deepEqual([book.count('spilled'), book.count('fenced')], [1, 1])
  // It is sent from there, whoever owns its partition now.
  book.leaveSpill()
  book.settle('duplicate')
  assert.deepEqual(state().imbalances, [])
  assert.equal(state().exitStatus, 0)
})

test('a partition that takes the room of others is paused until it does no longer', () => {
  const told: string[] = []
  let crowded = [{ topic: 'logs', partition: 3 }]
  const sink = Object.assign(new NoneSink(), { partitionsOverQuota: () => crowded })
  const coordinator = new Coordinator({
    ledger: new Ledger({ unresolvedMax: 100 }),
    books: new Books(),
    sink,
    signals: new Signals(Signals.allocate()),
    commits: true,
    revokeDrainMs: 0,
    nowMs: () => 0,
    idPrefixOf: () => '',
    toIngress: (_, message) => {
      if (message.kind === 'pause' || message.kind === 'resume') {
        told.push(`${message.kind} ${message.assignmentIds.join(' ')}`)
      }
    },
    toFilters: () => undefined,
    warn: () => undefined,
  })
  coordinator.assign({
    kind: 'assign',
    ingressIndex: 0,
    partitions: [2, 3].map((partition) => ({ topic: 'logs', partition, offset: 0 })),
    lost: [],
    topicIds: {},
  })
  coordinator.tick()
  coordinator.tick()
  assert.deepEqual(told, ['pause 1'])
  crowded = []
  coordinator.tick()
  assert.deepEqual(told, ['pause 1', 'resume 1'])
})

test('of a log that is read again from a damaged batch, all that is unsettled is fenced', () => {
  const { book, state, late, coordinator, forgotten, begun } = endAssignment({
    dropPartition: (batches) =>
      batches.forEach((batch) => batch.settle(0, batch.ends.length, 'fenced')),
    isRewound: true,
    rewoundTo: 3,
    damage: 'the record batch at offset 3 is damaged',
  })
  late()
  assert.deepEqual(begun, [0, 0], 'from what is unsettled on')
  assert.deepEqual(forgotten, [0])
  assert.equal(book.count('fenced'), 4)
  assert.equal(coordinator.isDrained(), true)
  assert.deepEqual(state().imbalances, [])
})

test('what was read of a log that is gone is sent, for nobody can read it again', () => {
  const { batches, book, state, late, coordinator, commits, forgotten } = endAssignment({
    dropPartition: () => assert.fail('it was forgotten'),
    isRewound: true,
  })
  assert.equal(state().pending, 2)
  assert.deepEqual(forgotten, [], 'slots of it are still to be filtered')
  late()
  batches[0]?.settle(1, 2, 'indexed')
  assert.equal(coordinator.isDrained(), false)
  batches[0]?.settle(0, 1, 'indexed')
  assert.equal(coordinator.isDrained(), true)
  coordinator.tick()
  coordinator.commit()
  assert.deepEqual(forgotten, [0])
  assert.deepEqual([book.count('indexed'), book.count('fenced')], [2, 0])
  assert.deepEqual(commits, [{ topic: 'logs', partition: 3, offset: 0 }], 'of the new log alone')
  assert.equal(state().exitStatus, 0)
})

test('what was read of a log that is gone is sent, also when its partition is given away', () => {
  const { batches, book, state, late, coordinator, forgotten } = endAssignment({
    dropPartition: () => assert.fail('it was forgotten'),
    isRewound: true,
  })
  coordinator.unassigned({ kind: 'unassigned', ingressIndex: 0, assignmentIds: [1] })
  assert.deepEqual(forgotten, [1])
  late()
  batches[0]?.settle(0, 2, 'indexed')
  coordinator.tick()
  assert.deepEqual([book.count('indexed'), book.count('fenced')], [2, 0])
  assert.deepEqual(forgotten, [1, 0])
  assert.equal(state().exitStatus, 0)
})

test('of a log that was cut off, what is unsettled below the cut is read again', () => {
  const { commits } = endAssignment({
    dropPartition: () => assert.fail('it was forgotten'),
    isRewound: true,
    rewoundTo: 3,
  })
  assert.deepEqual(commits, [{ topic: 'logs', partition: 3, offset: 0 }])
})

const NAMES = ['a', 'b', 'c']

/** One record: outside of time, dropped by a rule, or taken by rules, each sampled or not. */
const fates = fc.oneof(
  fc.constant('unmatched' as const),
  fc.constant('outside' as const),
  fc.record({ droppedBy: fc.nat(2) }),
  fc.record({
    taken: fc.uniqueArray(fc.tuple(fc.nat(2), fc.boolean()), {
      minLength: 1,
      selector: ([rule]) => rule,
    }),
  }),
)

test('each record is in the books once, and each document above its first is copied', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fates, { minLength: 1, maxLength: 20 })), (runs) => {
      const books = new Books()
      const book = books.of('t', 0)
      const ruleBooks = new RuleBooks(NAMES)
      let documents = 0
      for (const run of runs) {
        const tallies = NAMES.map((_, rule) => ({ rule, documents: 0, dropped: 0, sampled: 0 }))
        let [made, copies, outsideTime] = [0, 0, 0]
        for (const fate of run) {
          if (fate === 'outside') outsideTime++
          else if (fate !== 'unmatched' && 'droppedBy' in fate) tallies[fate.droppedBy]!.dropped++
          else if (fate !== 'unmatched') {
            copies += fate.taken.length - 1
            for (const [rule, isSampledOut] of fate.taken) {
              if (isSampledOut) tallies[rule]!.sampled++
              else {
                tallies[rule]!.documents++
                made++
              }
            }
          }
        }
        const told = tallies.filter((one) => one.documents + one.dropped + one.sampled > 0)
        const offsets = new Float64Array(made)
        book.add('fetched', run.length)
        ruleBooks.add(book, {
          recordCount: run.length,
          offsets,
          outsideTime,
          copies,
          tallies: told,
        })
        documents += made
      }
      book.add('indexed', documents)
      const { imbalances, exitStatus } = books.state(() => 0)
      assert.deepEqual([imbalances, exitStatus], [[], 0])
      const sums = ruleBooks.counts().reduce((sum, one) => sum + one.documents, 0)
      assert.equal(sums, documents)
      assert.equal(
        [...book.filteredByRule.values()].reduce((sum, count) => sum + count, 0),
        ruleBooks.counts().reduce((sum, one) => sum + one.dropped, 0),
      )
    }),
  )
})
