/** Bugs that there were. The first line of each test says what was wrong. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OFFSET_END } from '../../src/bridge/bridge.ts'
import { endOf, initialState, recordAskedEnd } from '../../src/kafka/partition-state.ts'
import { rangesOf } from '../../src/kafka/offset-ranges.ts'
import { Books } from '../../src/offsets/books.ts'
import { Ledger } from '../../src/offsets/ledger.ts'
import { Signals } from '../../src/pool/signals.ts'
import { Coordinator } from '../../src/run/coordinator.ts'
import { NoneSink } from '../../src/sink/none-sink.ts'
import { consumerOn } from '../helpers/consumer-on.ts'

test('a replay ended at the first record that was later than its span', () => {
  // One host's clock was ten years ahead: what lay behind its record was not read, exit 0.
  const times = [10, 20, 9000, 30, 40]
  const consumer = consumerOn({
    consumerMetadata: () => ({
      brokers: [],
      topics: [{ topic: 'app', partitions: 1, error: null }],
    }),
    consumerOffsetsForTimes: (_consumer, rows) =>
      rows.map((row) => {
        const found = times.findIndex((time) => time >= row.offset)
        return { ...row, offset: row.offset === OFFSET_END ? times.length : found, error: null }
      }),
  })
  const query = { topics: ['app'], partitions: null, fromMs: 15 }
  const ranges = rangesOf(consumer, query, { nowMs: () => 0, atMs: 0 })
  assert.deepEqual(ranges, [{ topic: 'app', partition: 0, from: 1, to: 5 }])
})

test('what brokers answered about the end of a partition did not count in its lag', () => {
  // A response that is too large to receive says nothing of the end, and the lag was 0.
  const held = initialState({ topic: 'app', partition: 0, offset: 1 })
  recordAskedEnd(held, 3, 0)
  assert.equal(endOf(held, 1), 3)
})

test('there was no way past a batch that cannot be read', () => {
  // Its offsets are resolved, counted as lost, and the exit status says so.
  const ledger = new Ledger({ unresolvedMax: 100 })
  const books = new Books()
  const warnings: string[] = []
  const coordinator = new Coordinator({
    ledger,
    books,
    sink: new NoneSink(),
    signals: new Signals(Signals.allocate()),
    commits: true,
    revokeDrainMs: 0,
    nowMs: () => 0,
    idPrefixOf: () => '',
    toIngress: () => undefined,
    toFilters: () => undefined,
    warn: (message) => warnings.push(message),
  })
  const place = { topic: 'app', partition: 0 }
  const partitions = [{ ...place, offset: 20 }]
  coordinator.assign({ kind: 'assign', ingressIndex: 0, partitions, lost: [], topicIds: {} })
  const skipped = { ...place, kind: 'skipped', ingressIndex: 0, assignmentId: 0 } as const
  coordinator.skipped({ ...skipped, from: 20, to: 30, reason: 'failed CRC32C check' })
  assert.equal(ledger.watermark(0), 30)
  assert.deepEqual(books.of('app', 0).lost('unreadable'), {
    count: 10,
    ranges: [{ from: 20, to: 30 }],
  })
  assert.equal(books.state(() => 0).exitStatus, 3)
  assert.match(warnings[0] ?? '', /^app \[0\]: skipped offsets 20 to 29, .*failed CRC32C check$/)
  // Its partition has been given away: whoever has it now meets the batch, and counts it.
  coordinator.unassigned({ kind: 'unassigned', ingressIndex: 0, assignmentIds: [0] })
  coordinator.skipped({ ...skipped, from: 30, to: 40, reason: 'failed CRC32C check' })
  assert.equal(books.of('app', 0).lost('unreadable').count, 10)
})
