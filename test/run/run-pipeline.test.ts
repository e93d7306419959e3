/** How a pipeline starts while something is missing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { faultsOf, openWithRoom } from '../../src/run/run-pipeline.ts'
import { NoneSink } from '../../src/sink/none-sink.ts'

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

const onFullDisk = (code: string) => {
  const cause = Object.assign(new Error(`${code}: no space left on device`), { code })
  return new LogpipeError('SPILL', 'the spill in s cannot be opened', { cause })
}

function fixture(answers: readonly (Error | string)[]) {
  const clock = new ManualClock()
  const warnings: string[] = []
  const stop = new AbortController()
  let calls = 0
  const open = async () => {
    const answer = answers[Math.min(calls++, answers.length - 1)]
    if (answer instanceof Error) throw answer
    return answer
  }
  const warn = (message: string) => warnings.push(message)
  const opened = openWithRoom(open, { signal: stop.signal, warn, clock })
  return { opened, warnings, stop, clock, calls: () => calls }
}

test('a full disk is looked at every five seconds, and told once a minute', async () => {
  const { opened, warnings, clock } = fixture([
    ...Array.from({ length: 13 }, () => onFullDisk('ENOSPC')),
    onFullDisk('EDQUOT'),
    'open',
  ])
  for (let look = 0; look < 14; look++) {
    await settle()
    clock.advance(5000)
  }
  assert.equal(await opened, 'open')
  assert.equal(warnings.length, 2)
  assert.match(warnings[0] ?? '', /^the spill in s cannot be opened; retrying until there is room$/)
})

test('a stop ends the wait, and every other error too', async () => {
  const { opened, stop, calls } = fixture([onFullDisk('ENOSPC')])
  await settle()
  stop.abort()
  assert.deepEqual([await opened, calls()], [null, 1])
  await assert.rejects(fixture([onFullDisk('EROFS')]).opened, { code: 'SPILL' })
})

/* What makes a pipeline not ready. */

const WELL = {
  groupFault: null,
  canReachKafka: true,
  waiting: [],
  isStopping: false,
  sink: new NoneSink().gauges(),
}

test('a pipeline is ready when it is in its group and its output works', () => {
  assert.deepEqual(faultsOf(WELL), [])
  assert.deepEqual(faultsOf(null), ['starting'])
  assert.deepEqual(faultsOf({ ...WELL, groupFault: 'fenced' }), ['group'])
  assert.deepEqual(faultsOf({ ...WELL, isStopping: true }), ['stopping'])
  assert.deepEqual(faultsOf({ ...WELL, canReachKafka: false }), ['brokers'])
  const waiting = [{ topic: 'app', partition: 2, problem: 'first offset: LEADER_NOT_AVAILABLE' }]
  assert.deepEqual(faultsOf({ ...WELL, waiting }), ['partitions'])
  const sink = { ...WELL.sink, trouble: 'no Elasticsearch node answers' }
  assert.deepEqual(faultsOf({ ...WELL, sink }), ['output'])
})
