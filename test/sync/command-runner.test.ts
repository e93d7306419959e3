/** Orders on the worker: once each, in turn, within bounds, and never a flag of somebody else's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'
import type { Command } from '../../src/sync/assignment.ts'
import type { Exit } from '../../src/sync/child.ts'
import { CommandRunner, type RunTool, type Tool } from '../../src/sync/command-runner.ts'

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const done: Exit = { code: 0, signal: null, error: null }

function order(id: string, kind: string, args: Record<string, unknown> = {}): Command {
  return { id, kind, pipelineId: 1, args, expiresMs: 60_000 }
}

function runnerFixture(tool: RunTool = async () => done) {
  const clock = new ManualClock()
  const ran: (readonly string[])[] = []
  const sent: unknown[] = []
  const filters: Tool['filter'][] = []
  const runner = new CommandRunner(
    clock,
    (pipelineId, given, onLine, timeoutMs) => {
      ran.push(given.args)
      filters.push(given.filter)
      return tool(pipelineId, given, onLine, timeoutMs)
    },
    (command) => sent.push(command) > 0,
  )
  return { clock, runner, ran, sent, filters }
}

test('each order is done once, though it comes with every heartbeat', async () => {
  const { runner, ran } = runnerFixture()
  for (let index = 0; index < 3; index++) runner.accept([order('a', 'check')])
  await settle()
  runner.accept([order('a', 'check')])
  await settle()
  assert.deepEqual(ran, [['check']])
  const results = runner.results()
  assert.deepEqual(
    results.map(({ id, ok }) => ({ id, ok })),
    [{ id: 'a', ok: true }],
  )
  runner.reported(results)
  assert.deepEqual(runner.results(), [])
})

test('what a tool prints is the result, as JSON where it is, and cut if long', async () => {
  const json = runnerFixture(async (_id, _args, onLine) => {
    onLine('{"ok":')
    onLine('true}')
    return done
  })
  json.runner.accept([order('a', 'check')])
  await settle()
  assert.deepEqual(json.runner.results()[0]?.result, { status: 0, output: { ok: true } })
  const long = runnerFixture(async (_id, _args, onLine) => {
    for (let index = 0; index < 1000; index++) onLine('x'.repeat(100))
    return { code: 1, signal: null, error: null }
  })
  long.runner.accept([order('a', 'check')])
  await settle()
  const [result] = long.runner.results()
  assert.equal(result?.ok, false)
  assert.ok(JSON.stringify(result).length < 65_536)
})

test('results that one heartbeat has no room for come with the next', async () => {
  const { runner } = runnerFixture(async (_id, _args, onLine) => {
    for (let index = 0; index < 500; index++) onLine('x'.repeat(100))
    return done
  })
  runner.accept(['a', 'b', 'c', 'd', 'e'].map((id) => order(id, 'check')))
  for (let index = 0; index < 10; index++) await settle()
  const reported: string[][] = []
  while (runner.results().length > 0) {
    const results = runner.results()
    assert.ok(JSON.stringify(results).length < 140_000)
    reported.push(results.map(({ id }) => id))
    runner.reported(results)
  }
  assert.deepEqual(reported, [['a', 'b'], ['c', 'd'], ['e']])
})

test('names of dead letters cannot be flags', async () => {
  const { runner, ran } = runnerFixture()
  runner.accept([
    order('a', 'dlq-replay', { ids: ['--output=file:/etc/passwd'] }),
    order('b', 'dlq-replay', { ids: ['app-0-17', 'app-0-18'], limit: 5 }),
    order('c', 'dlq-list', { limit: '--evil' }),
    order('d', 'rm'),
  ])
  for (let index = 0; index < 5; index++) await settle()
  assert.deepEqual(ran, [
    ['dlq', 'replay', '--limit', '5', 'app-0-17', 'app-0-18'],
    ['dlq', 'ls', '--json'],
  ])
  assert.deepEqual(
    runner.results().map(({ ok }) => ok),
    [false, true, true, false],
  )
})

test('an order whose time is over is not begun', async () => {
  const { runner, ran, clock } = runnerFixture()
  clock.advance(60_000)
  runner.accept([order('a', 'check'), { ...order('b', 'check'), expiresMs: Number.NaN }])
  await settle()
  assert.deepEqual(ran, [])
})

test('the tail goes to the child', async () => {
  const { runner, sent } = runnerFixture()
  runner.accept([order('a', 'tail', { seconds: 10 })])
  await settle()
  assert.deepEqual(sent, [{ id: 'a', kind: 'tail', seconds: 10 }])
})

test('a try has another filter, maybe another topic, and nothing else of its own', async () => {
  const { runner, ran, filters } = runnerFixture()
  const variables = { MATCH_KEEP: 'level:ERROR', MATCH_INVERT: '0' }
  runner.accept([
    order('a', 'try', { variables }),
    order('b', 'try', { variables: { ...variables, ES_URL: 'http://elsewhere' } }),
    order('c', 'try', { variables: { MATCH_KEEP: ['level:ERROR'] } }),
    order('d', 'try', { variables: { PATH: '/tmp' } }),
    order('e', 'try'),
    order('f', 'try', { variables: { KAFKA_BROKERS: 'k2:9092', KAFKA_TOPIC: 'other' } }),
  ])
  for (let index = 0; index < 7; index++) await settle()
  const place = { KAFKA_BROKERS: 'k2:9092', KAFKA_TOPIC: 'other' }
  assert.deepEqual(filters, [variables, {}, place])
  assert.deepEqual(ran[0], ['try', '--each', '--json', '--log-level', 'error'])
  assert.deepEqual(
    runner.results().map(({ ok }) => ok),
    [true, false, false, false, true, true],
  )
})
