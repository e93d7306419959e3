/** The baseline of `logpipe bench`: a plain loop over librdkafka. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { PlainLoopOptions } from '../../../src/bridge/bridge.ts'
import { bridge, openMock, produce } from './rig.ts'

const VALUES = ['an ERROR', 'fine', '', 'ERR', 'ERROR ERROR', 'x'.repeat(1000)]
const BYTES = VALUES.reduce((sum, value) => sum + value.length, 0)

/** Three partitions: two with all the values each, one with none. */
async function filled(t: TestContext): Promise<PlainLoopOptions> {
  const mock = openMock(t, 3)
  const messages = [0, 1].flatMap((partition) => VALUES.map((value) => ({ partition, value })))
  await produce(mock, messages)
  return {
    config: [
      ['bootstrap.servers', mock.bootstrapServers],
      ['group.id', 'plain'],
      ['fetch.wait.max.ms', '10'],
    ],
    topic: 't',
    pattern: Buffer.from('ERROR'),
    isRaw: false,
    recordsMax: 1_000_000,
    secondsMax: 30,
    consumers: 2,
  }
}

test('it reads every partition to its end, and counts what matches', async (t) => {
  const totals = bridge.plainLoop(await filled(t))
  assert.equal(totals.records, 2 * VALUES.length)
  assert.equal(totals.bytes, 2 * BYTES)
  assert.equal(totals.matched, 4)
  assert.ok(totals.seconds >= 0 && totals.cpuSeconds >= 0)
})

test('raw, it counts the records of whole batches and searches nothing', async (t) => {
  const totals = bridge.plainLoop({ ...(await filled(t)), isRaw: true, consumers: 1 })
  assert.equal(totals.records, 2 * VALUES.length)
  assert.equal(totals.matched, 0)
  assert.ok(totals.bytes > 2 * BYTES)
})

test('more consumers than partitions read each record once', async (t) => {
  const totals = bridge.plainLoop({ ...(await filled(t)), consumers: 5 })
  assert.equal(totals.records, 2 * VALUES.length)
})

test('it stops at the wanted number, or when the time is over', async (t) => {
  const options = await filled(t)
  assert.ok(bridge.plainLoop({ ...options, recordsMax: 3 }).records >= 3)
  const none = bridge.plainLoop({ ...options, secondsMax: 0 })
  assert.ok(none.records <= 2 * VALUES.length)
})
