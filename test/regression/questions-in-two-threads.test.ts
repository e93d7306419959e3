/**
 * librdkafka began a question about offsets on the calling thread. What its metadata cache learned
 * before that step had ended let its main thread make the next one at the same time, and the
 * process ended with SIGSEGV: at starts, and where a damaged spill was read again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OFFSET_END } from '../../src/bridge/bridge.ts'
import { loadBridge } from '../../src/bridge/load.ts'

/** One of a thousand ended the process: red in a run of four, and more often under load. */
const CONSUMERS = 400
/** Over the time in which a new consumer learns of its brokers and topics. */
const QUESTIONS_EACH = 30
const EVERY_MS = 0.3

test('offsets are asked for while the metadata comes, and the process lives on', () => {
  const bridge = loadBridge(undefined)
  const mock = bridge.mockOpen({ brokerCount: 1, topics: [{ topic: 't', partitions: 2 }] })
  let asked = 0
  for (let index = 0; index < CONSUMERS; index++) {
    const consumer = bridge.consumerOpen({
      config: [
        ['bootstrap.servers', mock.bootstrapServers],
        ['group.id', 'g'],
        ['enable.auto.commit', 'false'],
        ['enable.auto.offset.store', 'false'],
        ['auto.offset.reset', 'earliest'],
      ],
      topics: [],
    })
    // Without a pause: a thread that sleeps lets the other one finish.
    const openedMs = performance.now() + (index % 64) * 0.05
    for (let question = 0; question < QUESTIONS_EACH; question++) {
      const partition = question % 2
      bridge.consumerAskOffsets(consumer, [{ topic: 't', partition, offset: OFFSET_END }], 2000)
      asked++
      while (performance.now() < openedMs + question * EVERY_MS);
    }
    bridge.consumerClose(consumer, 2000)
  }
  bridge.mockClose(mock.id)
  assert.equal(asked, CONSUMERS * QUESTIONS_EACH)
})
