/** Control plane, sync and the pipeline it runs: three processes, as users start them. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { loadBridge } from '../../src/bridge/load.ts'
import { EMBEDDED_KAFKA_CONFIG } from '../../src/demo/embedded.ts'
import { openBulkProducer } from '../../src/kafka/producer.ts'
import { systemProcesses } from '../../src/sync/processes.ts'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { startControlProgram, startProgram, temporaryFolder, until } from '../helpers/program.ts'

const TOPIC = 'logs'
const RECORDS = 2000
const MATCHES = 20
const PARTITIONS = 2
const PRODUCE_MS = 20_000
const SYNC_KILLS = process.env['LOGPIPE_TEST_FULL'] === '1' ? 20 : 3

/** What the mock's clock needs; sync passes its environment on. */
const KAFKA_ENV = Object.fromEntries(
  EMBEDDED_KAFKA_CONFIG.map(([name, value]) => [
    `KAFKA_CONFIG_${name.toUpperCase().replaceAll('.', '_')}`,
    value,
  ]),
)

async function fleetFixture(t: TestContext) {
  const folder = temporaryFolder(t)
  const bridge = loadBridge(undefined)
  const topics = [{ topic: TOPIC, partitions: PARTITIONS }]
  const mock = bridge.mockOpen({ brokerCount: 1, topics })
  t.after(() => bridge.mockClose(mock.id))
  const fake = new FakeBulk()
  t.after(() => fake.close())
  const esUrl = await fake.listen()
  const { control, url, call } = await startControlProgram(t, folder)
  const startSync = () =>
    startProgram(
      t,
      folder,
      ['sync', '--worker-id', 'w1', '--control-plane-url', url, '--worker-poll-ms', '200'],
      KAFKA_ENV,
    )
  const producer = await openBulkProducer({
    brokers: mock.bootstrapServers,
    config: [],
    timeoutMs: PRODUCE_MS,
  })
  t.after(() => producer.close())
  let sent = 0
  const produce = async () => {
    for (let count = 0; count < RECORDS; count++, sent++) {
      const level = count % (RECORDS / MATCHES) === 0 ? 'ERROR' : 'INFO'
      const line = Buffer.from(`${level} record ${sent} ${'x'.repeat(150)}`)
      assert.ok(producer.send(TOPIC, sent % PARTITIONS, null, line), 'the queue has room')
    }
    await producer.flush(PRODUCE_MS)
  }
  const createPipeline = async (name = 'app', more: object = {}) => {
    const { status, body } = await call('POST', '/api/pipelines', {
      name,
      kafka_brokers: mock.bootstrapServers,
      kafka_topic: TOPIC,
      kafka_group_id: name,
      es_url: esUrl,
      es_index: name,
      es_username: 'u',
      es_password: 'hunter2',
      match_pattern: 'ERROR',
      ingress_threads: 1,
      rust_workers: 1,
      pool_size: 8,
      enabled: true,
      ...more,
    })
    assert.equal(status, 201, JSON.stringify(body))
  }
  const childPid = async () =>
    await until('a child', async () => {
      const { body } = await call('GET', '/api/workers')
      return body.items[0]?.pid as number | null | undefined
    })
  const documents = async (count: number) =>
    await until(`${count} documents`, () => fake.documents.size >= count)
  return {
    folder,
    fake,
    control,
    url,
    call,
    startSync,
    produce,
    createPipeline,
    childPid,
    documents,
  }
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
}

/** A zombie has ended: whoever should ask for its status is not our business. */
const isGone = (pid: number) => systemProcesses.identify(pid) === undefined

test('what the API is told to run runs, is watched, and is stopped', async (t) => {
  const fleet = await fleetFixture(t)
  const { fake, call, control, folder } = fleet
  await fleet.produce()
  const sync = fleet.startSync()
  await fleet.createPipeline()
  await fleet.documents(MATCHES)
  const pid = await fleet.childPid()
  const [request] = fake.requests
  const basic = `Basic ${Buffer.from('u:hunter2').toString('base64')}`
  assert.equal(request?.headers['authorization'], basic, 'the secret came by its pipe')
  for (const process of [pid, sync.pid, control.pid]) {
    for (const file of ['environ', 'cmdline']) {
      assert.doesNotMatch(readFileSync(`/proc/${process}/${file}`, 'latin1'), /hunter2/, file)
    }
  }

  const checked = await until('the check', async () => {
    const { body } = await call('GET', '/api/pipelines/1')
    const { id, state } = body.status.check ?? {}
    return ['done', 'failed'].includes(state) ? call('GET', `/api/commands/${id}`) : undefined
  })
  assert.match(JSON.stringify(checked), /ES_PASSWORD/, 'the check shows every option')
  assert.doesNotMatch(JSON.stringify(checked), /hunter2/)

  const answer = await fetch(`${fleet.url}/api/pipelines/1/tail`)
  const reader = answer.body?.getReader()
  assert.ok(reader !== undefined)
  const decoder = new TextDecoder()
  let shown = ''
  const isShown = () => /^data: .*ERROR record/m.test(shown)
  const reading = (async () => {
    while (!isShown()) shown += decoder.decode((await reader.read()).value)
  })()
  let rounds = 1
  await until('a match in the live tail', async () => {
    // The order to show matches reaches the child with a heartbeat: what was written before that
    // is not shown, so there is more to come until one is.
    await fleet.produce()
    rounds++
    return isShown()
  })
  await reading
  await reader.cancel()
  await fleet.documents(rounds * MATCHES)

  assert.equal((await call('POST', '/api/pipelines/1/stop')).status, 200)
  await until('the end of the child', () => isGone(pid))
  const stopped = async () =>
    (await call('GET', '/api/pipelines/1')).body.status.state === 'stopped'
  await until('the state stopped', stopped)
  assert.equal(fake.documents.size, rounds * MATCHES)
  const snapshot = path.join(folder, 'data', 'w1', '1', 'runtime_metrics.json')
  assert.ok(readFileSync(snapshot, 'utf8').startsWith('{'))
  for (const program of [sync, control]) {
    program.signal('SIGTERM')
    assert.equal(await program.ended, 0, program.said())
  }
  assert.match(sync.said(), /books balance$/m)
  assert.doesNotMatch(sync.said(), /free=/, 'no status lines of the child')
  const holders = filesOf(folder).filter((file) => readFileSync(file).includes('hunter2'))
  assert.deepEqual(
    holders.map((file) => path.basename(file)),
    [],
    'the secret lies nowhere as it is',
  )
  assert.doesNotMatch(control.said() + sync.said(), /hunter2/)
})

test('kill -9 of sync leaves no orphan, and the next one goes on', async (t) => {
  const fleet = await fleetFixture(t)
  await fleet.produce()
  const first = fleet.startSync()
  await fleet.createPipeline()
  await fleet.documents(MATCHES)
  const pid = await fleet.childPid()
  first.signal('SIGKILL')
  assert.equal(await first.ended, 'SIGKILL')
  await until('the end of the orphan', () => isGone(pid))
  await fleet.produce()
  const second = fleet.startSync()
  await fleet.documents(2 * MATCHES)
  second.signal('SIGINT')
  assert.equal(await second.ended, 0, second.said())
  assert.equal(fleet.fake.documents.size, 2 * MATCHES)
  assert.doesNotMatch(second.said(), /not settled/)
})

/** Pipelines that run with a home below this folder, whoever started them. */
function pipelinesBelow(folder: string): number[] {
  const textOf = (file: string): string => {
    try {
      return readFileSync(file, 'latin1')
    } catch {
      return '' // It has ended.
    }
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => textOf(`/proc/${pid}/environ`).includes(`RUNTIME_METRICS_PATH=${folder}`))
    .filter((pid) => textOf(`/proc/${pid}/cmdline`).endsWith('\0run\0'))
    .map(Number)
}

// Goal: no orphan and no second child, whenever sync dies. Method: it is killed at random instants,
// the start of its child included; beside that, what runs is counted all the while.
test('kill -9 of sync at any instant leaves one pipeline at most, and then none', async (t) => {
  const fleet = await fleetFixture(t)
  await fleet.produce()
  await fleet.createPipeline()
  let most = 0
  const counting = setInterval(() => {
    most = Math.max(most, pipelinesBelow(fleet.folder).length)
  }, 50)
  t.after(() => clearInterval(counting))
  for (let kills = 0; kills < SYNC_KILLS; kills++) {
    const sync = fleet.startSync()
    await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 2000))
    sync.signal('SIGKILL')
    await sync.ended
  }
  await until('the end of all', () => pipelinesBelow(fleet.folder).length === 0)
  assert.equal(most, 1)
  const last = fleet.startSync()
  // The documents may all be there already: then it has hardly begun, and hears no signal yet.
  await last.heard(/files in/)
  await fleet.documents(MATCHES)
  last.signal('SIGTERM')
  assert.equal(await last.ended, 0, last.said())
})

// Goal: what was committed and lies in the spill alone is not left behind. Method: Elasticsearch is
// away until the worker has been given another pipeline.
test('under commit-on spill the worker sends what is left before it takes another', async (t) => {
  const fleet = await fleetFixture(t)
  const { fake, call } = fleet
  fake.script = () => ({ kind: 'status', status: 503 })
  await fleet.produce()
  const sync = fleet.startSync()
  await fleet.createPipeline('first', {
    commit_on: 'spill',
    shutdown_deadline_ms: 2000,
    es_queue_cap: 10,
    es_bulk_actions: 5,
  })
  const worker = async () => (await call('GET', '/api/workers')).body.items[0]
  await until('documents in the spill', async () => {
    const { metrics } = (await worker()) ?? {}
    return metrics?.matched_total === MATCHES && metrics.es_spill_queue_bytes > 0
  })
  await fleet.createPipeline('second', { enabled: false })
  const assignment = { pipeline_id: 2, desired_state: 'running' }
  assert.equal((await call('PUT', '/api/workers/w1/assignment', assignment)).status, 200)
  const told = await until('what holds it up', async () => (await worker()).error?.message)
  assert.match(told, /^sending the spill of pipeline 1 first: .*503/)
  assert.equal((await worker()).pipeline_id, null, 'the second waits')

  fake.script = () => ({ kind: 'items' })
  await until('the second pipeline', async () => (await worker()).pipeline_id === 2)
  const of = (index: string) => [...fake.documents.keys()].filter((key) => key.startsWith(index))
  assert.ok(of('first/').length > 0, 'before the second began')
  await until('its documents', () => of('second/').length === MATCHES)
  // What was in memory alone was not committed: whoever runs the first again reads it again.
  const back = { ...assignment, pipeline_id: 1 }
  assert.equal((await call('PUT', '/api/workers/w1/assignment', back)).status, 200)
  await until('every document', () => of('first/').length === MATCHES)
  sync.signal('SIGTERM')
  assert.equal(await sync.ended, 0, sync.said())
})
