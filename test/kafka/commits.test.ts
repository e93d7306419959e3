/** What is committed of an assignment, whatever the group answers and when. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommitOffset } from '../../src/bridge/bridge.ts'
import { decodeNote, NO_PAST } from '../../src/kafka/commit-note.ts'
import { Commits } from '../../src/kafka/commits.ts'
import { initialState, type PartitionState } from '../../src/kafka/partition-state.ts'
import type { WindowMark } from '../../src/core/window-mark.ts'
import type { IngressMessage } from '../../src/kafka/ingress-messages.ts'
import type { IngressOptions } from '../../src/kafka/ingress-options.ts'
import { consumerOn } from '../helpers/consumer-on.ts'

const at = (offset: number) => ({ topic: 't', partition: 0, offset })

/** An assignment that began at `offset` and was read below `readTo`. */
const heldAt = (offset: number, readTo: number): PartitionState =>
  Object.assign(initialState(at(offset)), { offset: readTo })

/** The assignments that are held, and what was sent of them. */
function commitsOf(state: Map<number, PartitionState>) {
  const told: WindowMark[] = []
  const failures: string[] = []
  const past = { now: NO_PAST }
  const sent: number[] = []
  const notes: (string | null)[] = []
  const consumer = consumerOn({
    consumerCommit: (_: unknown, partitions: readonly CommitOffset[] | null) => {
      sent.push(...(partitions ?? []).map(({ offset }) => offset))
      notes.push(...(partitions ?? []).map(({ metadata = null }) => metadata))
      return []
    },
    consumerLeaderEpoch: () => 3,
    consumerPast: () => past.now,
  })
  const identity = { fingerprint: '0123456789ab', label: 'test' }
  const send = (message: IngressMessage) => {
    if (message.kind === 'marked') told.push(message.windows)
    if (message.kind === 'failed') failures.push(message.message)
  }
  const said = { send, nowMs: () => 0 }
  const options = { consumer, commits: true, identity, ...said }
  return {
    sent,
    notes,
    told,
    failures,
    past,
    commits: new Commits(options as unknown as IngressOptions, state),
  }
}

test('what the group has acknowledged is not committed again', () => {
  const { sent, commits } = commitsOf(new Map([[1, heldAt(0, 5000)]]))
  commits.want([at(50)])
  commits.send(0)
  commits.send(0)
  commits.acknowledge([{ ...at(50), error: null }])
  commits.send(0)
  assert.deepEqual(sent, [50, 50])
})

test('an answer about the log before a rewind keeps nothing of the new one uncommitted', () => {
  const state = new Map([[1, heldAt(0, 5000)]])
  const { sent, commits } = commitsOf(state)
  commits.want([at(5000)])
  commits.send(0)
  state.delete(1)
  state.set(2, heldAt(4800, 4900))
  commits.acknowledge([{ ...at(5000), error: null }])
  commits.want([at(4800)])
  commits.send(0)
  commits.acknowledge([{ ...at(4800), error: null }])
  commits.want([at(4900)])
  commits.send(0)
  assert.deepEqual(sent, [5000, 4800, 4900])
})

test('a broker that does not take notes gets the offsets without them', () => {
  const { sent, notes, commits } = commitsOf(new Map([[1, heldAt(0, 5000)]]))
  commits.want([at(50)])
  commits.send(0)
  commits.acknowledge([{ ...at(50), error: 'OFFSET_METADATA_TOO_LARGE' }])
  commits.send(0)
  assert.deepEqual(sent, [50, 50])
  const said = 'logpipe 0123456789ab topic=none started=none'
  assert.deepEqual(notes, [`${said} read=0@-1 marked=none closed=none test`, null])
})

test('windows of metrics that a broker keeps no mark of end the pipeline, and say why', () => {
  const state = new Map([[1, heldAt(0, 5000)]])
  const { failures, commits } = commitsOf(state)
  const windows = { closedTo: -1, closedAt: -1, closing: null }
  commits.want([{ ...at(50), windows }])
  commits.send(0)
  commits.acknowledge([{ ...at(50), error: 'OFFSET_METADATA_TOO_LARGE' }])
  assert.deepEqual(
    failures.map((one) => /METRICS_INDEX .* raise their offset.metadata.max.bytes/.test(one)),
    [true],
  )
})

test('the group is told how far was read while nothing more is settled', () => {
  const { sent, notes, past, commits } = commitsOf(new Map([[1, heldAt(0, 5000)]]))
  commits.want([at(50)])
  past.now = { epoch: 3, readTo: 60, markFrom: -1 }
  commits.send(0)
  commits.acknowledge([{ ...at(50), error: null }])
  commits.send(0)
  past.now = { epoch: 3, readTo: 80, markFrom: -1 }
  commits.send(0)
  commits.acknowledge([{ ...at(50), error: 'REBALANCE_IN_PROGRESS' }])
  commits.send(0)
  commits.acknowledge([{ ...at(50), error: null }])
  past.now = { epoch: 4, readTo: 80, markFrom: 4 }
  commits.send(0)
  commits.acknowledge([{ ...at(50), error: null }])
  commits.send(0)
  assert.deepEqual(sent, [50, 50, 50, 50])
  assert.deepEqual(
    notes.map((note) => decodeNote(note)?.past),
    [
      { epoch: 3, readTo: 60, markFrom: -1 },
      { epoch: 3, readTo: 80, markFrom: -1 },
      { epoch: 3, readTo: 80, markFrom: -1 },
      { epoch: 4, readTo: 80, markFrom: 4 },
    ],
  )
})

test('a note that was refused is sent again, also when an older commit is answered first', () => {
  const { sent, notes, past, commits } = commitsOf(new Map([[1, heldAt(0, 5000)]]))
  commits.want([at(50)])
  past.now = { epoch: 3, readTo: 60, markFrom: -1 }
  commits.send(0)
  past.now = { epoch: 3, readTo: 80, markFrom: -1 }
  commits.send(0)
  commits.acknowledge([{ ...at(50), error: null }])
  commits.acknowledge([{ ...at(50), error: 'REBALANCE_IN_PROGRESS' }])
  commits.send(0)
  assert.deepEqual(sent, [50, 50, 50])
  assert.equal(decodeNote(notes.at(-1) ?? null)?.past.readTo, 80)
})

const markOf = (closedTo: number): WindowMark => ({ closedTo, closedAt: 1, closing: null })

test('a mark is said to be there once the group has the commit with it, and not before', () => {
  const { sent, notes, told, commits } = commitsOf(new Map([[1, heldAt(0, 5000)]]))
  const [first, second] = [markOf(10), markOf(20)]
  commits.want([{ ...at(50), windows: first }])
  commits.send(0)
  commits.want([{ ...at(50), windows: second }])
  commits.send(0)
  assert.deepEqual(told, [])
  // The answer to the first commit says nothing about the second.
  commits.acknowledge([{ ...at(50), error: null }])
  assert.deepEqual(told, [first])
  commits.acknowledge([{ ...at(50), error: 'REBALANCE_IN_PROGRESS' }])
  assert.deepEqual(told, [first])
  commits.send(0)
  commits.acknowledge([{ ...at(50), error: null }])
  assert.deepEqual(told, [first, second])
  commits.send(0)
  assert.deepEqual(sent, [50, 50, 50])
  const windows = notes.map((note) => decodeNote(note)?.windows)
  assert.deepEqual(windows, [first, second, second])
})

test('an answer about the log before says nothing about the marks of this one', () => {
  const state = new Map([[1, heldAt(0, 5000)]])
  const { told, commits } = commitsOf(state)
  state.delete(1)
  state.set(2, initialState(at(40)))
  commits.want([{ ...at(40), windows: markOf(10) }])
  commits.send(0)
  commits.acknowledge([{ ...at(5000), error: null }])
  assert.deepEqual(told, [])
})
