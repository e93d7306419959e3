/** What makes a pipeline not ready. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lagsOf } from '../../src/run/lags.ts'
import { faultsOf } from '../../src/run/metrics-endpoint.ts'
import { NoneSink } from '../../src/sink/none-sink.ts'

const WELL = { isMember: true, isStopping: false, sink: new NoneSink().gauges() }

test('a pipeline is ready when it is in its group and its output works', () => {
  assert.deepEqual(faultsOf(WELL), [])
  assert.deepEqual(faultsOf(null), ['starting'])
  assert.match(faultsOf({ ...WELL, isMember: false }).join(), /^kafka: .*partitions yet$/)
  assert.deepEqual(faultsOf({ ...WELL, isStopping: true }), ['stopping'])
  const sink = { ...WELL.sink, trouble: 'no Elasticsearch node answers' }
  assert.deepEqual(faultsOf({ ...WELL, sink }), ['output: no Elasticsearch node answers'])
})

test('the lag leaves out partitions whose end is not known', () => {
  const at = (partition: number, position: number, endOffset: number) => ({
    topic: 'app',
    partition,
    position,
    endOffset,
  })
  assert.deepEqual(lagsOf([at(0, 5, -1)]), { lagRecords: null, partitionLags: [] })
  // A position runs ahead of an end that was asked for earlier.
  const { lagRecords, partitionLags } = lagsOf([at(0, 5, -1), at(1, 9, 8), at(2, 1, 4)])
  assert.equal(lagRecords, 3)
  assert.deepEqual(
    partitionLags.map((one) => [one.partition, one.lagRecords]),
    [
      [2, 3],
      [1, 0],
    ],
  )
})
