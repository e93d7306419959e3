/** What makes a pipeline not ready. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultsOf } from '../../src/run/metrics-endpoint.ts'
import { NoneSink } from '../../src/sink/none-sink.ts'

const WELL = {
  groupFault: null,
  canReachKafka: true,
  waiting: [],
  isStopping: false,
  sink: new NoneSink().gauges(),
}

test('a pipeline is ready when it is in its group and its output works', () => {
  assert.deepEqual(faultsOf(WELL), [])
  assert.deepEqual(faultsOf({ ...WELL, groupFault: 'fenced' }), ['kafka: fenced'])
  assert.deepEqual(faultsOf({ ...WELL, isStopping: true }), ['stopping'])
  assert.deepEqual(faultsOf({ ...WELL, canReachKafka: false }), ['kafka: no broker can be reached'])
  const waiting = [{ topic: 'app', partition: 2, problem: 'first offset: LEADER_NOT_AVAILABLE' }]
  assert.deepEqual(faultsOf({ ...WELL, waiting }), [
    'kafka: app [2] is not read: first offset: LEADER_NOT_AVAILABLE',
  ])
  const sink = { ...WELL.sink, trouble: 'no Elasticsearch node answers' }
  assert.deepEqual(faultsOf({ ...WELL, sink }), ['output: no Elasticsearch node answers'])
})
