/** What check says of a Kafka, asked through the add-on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadBridge } from '../../src/bridge/load.ts'
import { check } from '../../src/cli/check.ts'
import { QUIET_HOST } from '../cli/quiet-host.ts'

test('check finds the topics that are there and names those that are not', async (t) => {
  const bridge = loadBridge(undefined)
  const mock = bridge.mockOpen({ brokerCount: 2, topics: [{ topic: 'logs', partitions: 3 }] })
  t.after(() => bridge.mockClose(mock.id))
  const printed: string[] = []
  const checked = (topics: string) =>
    check(
      {
        ...QUIET_HOST,
        args: ['--brokers', mock.bootstrapServers, '--topic', topics, '--output', 'none'],
        print: (text) => printed.push(text),
      },
      { loadBridge: () => bridge, memoryLimit: () => null },
    )
  assert.equal(await checked('logs,^lo.*'), 0)
  assert.match(printed.join(''), /^ok +kafka topic logs: 3 partitions$/m)
  assert.match(printed.join(''), /x \(64\.0 MiB \+ 2 brokers x/)
  assert.equal(await checked('logs,missing'), 1)
  assert.match(printed.join(''), /^WRONG +kafka topic missing: does not exist/m)
})
