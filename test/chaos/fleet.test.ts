/**
 * Goal: whatever dies in a fleet, documents flow again and none is missing or there twice. Method:
 * a control plane and two workers as a user starts them, on a real Kafka and Elasticsearch, a
 * trickle of matches all the while, and kill -9.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { isRunning, systemProcesses } from '../../src/sync/processes.ts'
import { startControlProgram, startProgram, temporaryFolder, until } from '../helpers/program.ts'
import { sharedElasticsearch, sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing() ?? false
const TRICKLE_MS = 200
/** What is promised: so long after the death of a worker documents flow again from another. */
const FLOW_AGAIN_MS_MAX = 20_000

async function fleetFixture(t: TestContext) {
  const kafka = await sharedKafka(t)
  const es = await sharedElasticsearch(t)
  const [topic, index] = [uniqueName('fleet'), uniqueName('fleet')]
  await kafka.createTopic(topic, 2)
  const folder = temporaryFolder(t)
  const { url, call } = await startControlProgram(t, folder)
  const syncs = new Map(
    ['w1', 'w2'].map((id) => {
      const env = { CONTROL_PLANE_URL: url, WORKER_ID: id }
      return [id, startProgram(t, folder, ['sync'], env)] as const
    }),
  )
  const { status } = await call('POST', '/api/pipelines', {
    name: 'fleet',
    kafka_brokers: kafka.bootstrapServers,
    kafka_topic: topic,
    kafka_group_id: topic,
    es_url: es,
    es_index: index,
    match_pattern: 'ERROR',
    pool_size: 32,
    rust_workers: 2,
    enabled: true,
  })
  assert.equal(status, 201)

  let produced = 0
  const closing = new AbortController()
  const trickle = (async () => {
    for (; !closing.signal.aborted; produced++) {
      const level = produced % 2 === 0 ? 'ERROR' : 'INFO'
      await kafka.produce(topic, [JSON.stringify({ level, number: produced })])
      await new Promise((resolve) => setTimeout(resolve, TRICKLE_MS))
    }
  })()
  const endTrickle = async () => {
    closing.abort()
    await trickle
    return Math.ceil(produced / 2)
  }
  t.after(endTrickle)
  const countFrom = async (number: number): Promise<number> => {
    await fetch(`${es}/${index}/_refresh`, { method: 'POST' })
    const answer = await fetch(`${es}/${index}/_count?q=number:>=${number}`)
    if (!answer.ok) return 0
    return (JSON.parse(await answer.text()) as { count: number }).count
  }
  /** A document that was produced from now on. */
  const flows = async () => {
    const from = produced
    await until('documents', async () => (await countFrom(from)) > 0)
  }
  const runner = async (not?: string) =>
    await until('a worker that runs it', async () => {
      const { body } = await call('GET', '/api/workers')
      const found = body.items.find(
        (worker: { id: string; pid: number | null }) => worker.pid !== null && worker.id !== not,
      )
      return found as { id: string; pid: number } | undefined
    })
  return { syncs, call, flows, runner, endTrickle, countFrom }
}

test(
  'kill -9 of a worker and its child: another goes on within 20 s, with nothing lost',
  { skip },
  async (t) => {
    const { syncs, flows, runner, endTrickle, countFrom, call } = await fleetFixture(t)
    await flows()
    const first = await runner()
    const killedMs = performance.now()
    syncs.get(first.id)?.signal('SIGKILL')
    process.kill(first.pid, 'SIGKILL')
    await flows()
    const tookMs = performance.now() - killedMs
    t.diagnostic(`documents flowed again after ${(tookMs / 1000).toFixed(1)} s`)
    assert.ok(tookMs < FLOW_AGAIN_MS_MAX, `${tookMs} ms`)
    const second = await runner(first.id)
    assert.notEqual(second.id, first.id)
    const matches = await endTrickle()
    await until('every match', async () => (await countFrom(0)) >= matches)
    assert.equal(await countFrom(0), matches, 'each once')
    const { body } = await call('GET', '/api/workers')
    const lost = body.items.find((worker: { id: string }) => worker.id === first.id)
    assert.equal(lost.state, 'lost')
  },
)

test('kill -9 of sync alone leaves no orphan, and another goes on', { skip }, async (t) => {
  const { syncs, flows, runner, endTrickle, countFrom } = await fleetFixture(t)
  await flows()
  const first = await runner()
  const child = systemProcesses.identify(first.pid)
  assert.ok(child !== undefined)
  syncs.get(first.id)?.signal('SIGKILL')
  await until('the end of the child', () => !isRunning(systemProcesses, child))
  await flows()
  assert.notEqual((await runner(first.id)).id, first.id)
  const matches = await endTrickle()
  await until('every match', async () => (await countFrom(0)) >= matches)
  assert.equal(await countFrom(0), matches, 'each once')
})
