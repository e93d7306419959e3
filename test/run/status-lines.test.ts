import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_LAG } from '../../src/metrics/lag-meter.ts'
import { Counters } from '../../src/pool/counters.ts'
import { statusLines, statusOf } from '../../src/run/status-lines.ts'

test('nothing filtered and much written is told as the replay that it is', () => {
  const sink = {
    queuedDocuments: 500,
    queuedBytes: 1000,
    spillBytes: 2 * 1024 * 1024,
    writtenDocuments: 1000,
    writtenBytes: 1,
    retries: 0,
    rejected429: 0,
    replaying: true,
    trouble: null,
  }
  const counters = new Counters(Counters.allocate(1)).read()
  const status = statusOf({
    slots: { free: 4, filling: 0, ready: 0, filtering: 0 },
    now: counters,
    before: counters,
    elapsedMs: 1000,
    sink: { ...sink, writtenDocuments: 9000 },
    sinkBefore: sink,
    counted: {},
    countedBefore: {},
    lag: NO_LAG,
    replayRecords: null,
  })
  assert.equal(status.replaying, true)
  const [, line] = statusLines(status)
  assert.match(line, /matched=0 .*written=8000\/s .*spill=2\.0 MiB.* replaying the spill/)
})
