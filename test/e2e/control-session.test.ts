/**
 * Goal: a user with curl alone gets from nothing to documents in Elasticsearch, and can watch, stop
 * and place the pipeline. Method: the README's commands, one after another as they stand there with
 * only the ports replaced, on a real Kafka and Elasticsearch, a control plane and two workers.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { startControlProgram, startProgram, temporaryFolder, until } from '../helpers/program.ts'
import { curlShell, readmeCurls } from '../helpers/readme-curl.ts'
import { sharedElasticsearch, sharedKafka } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing() ?? false
/** Lines of one round, and how many of them say ERROR. */
const LINES = 200
const MATCHES = 40
/** As the README's pipeline names them. */
const TOPIC = 'test'
const INDEX = 'app-json-generic'
const INGEST = 'parse_message_json_generic'

const lineOf = (index: number) => {
  const level = index % (LINES / MATCHES) === 0 ? 'ERROR' : 'INFO'
  return JSON.stringify({ level, index })
}

test('the README session leads from nothing to documents by curl alone', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const es = await sharedElasticsearch(t)
  const folder = temporaryFolder(t)
  const { control, url } = await startControlProgram(t, folder)
  const syncs = ['worker-1', 'worker-2'].map((id) =>
    startProgram(t, folder, ['sync'], { CONTROL_PLANE_URL: url, WORKER_ID: id }),
  )
  const esPort = new URL(es).port
  const ports = {
    8088: new URL(url).port,
    29092: kafka.bootstrapServers.split(':')[1] ?? '',
    9200: esPort,
  }
  const curl = curlShell(folder, ports)
  const ask = async (command: string) => JSON.parse(await curl(command))
  const onEs = (method: string, path: string, body = '{}') =>
    `curl -X ${method} http://localhost:9200${path} -H 'Content-Type: application/json' -d '${body}'`
  const processor = `{"set": {"field": "parsed", "value": true}}`
  await ask(onEs('PUT', `/_ingest/pipeline/${INGEST}`, `{"processors": [${processor}]}`))
  await kafka.createTopic(TOPIC, 2)
  let produced = 0
  const produce = async () => {
    const lines = Array.from({ length: LINES }, (_, index) => lineOf(produced + index))
    produced += LINES
    await kafka.produce(TOPIC, lines)
  }
  const indexed = async () =>
    Number(
      (
        await ask(`curl -X POST http://localhost:9200/${INDEX}/_refresh`).then(
          () => ask(`curl http://localhost:9200/${INDEX}/_count`),
          () => ({ count: 0 }),
        )
      ).count,
    )
  const documents = async (count: number) =>
    await until(`${count} documents`, async () => (await indexed()) >= count)

  const [
    health,
    create,
    list,
    start,
    tail,
    stop,
    runtime,
    history,
    metrics,
    workers,
    assign,
    ...more
  ] = readmeCurls() as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  assert.deepEqual(more, [])

  await produce()
  assert.deepEqual(await ask(health), { status: 'ok' })
  const made = await ask(create)
  assert.equal(made.id, 1)
  assert.equal(made.enabled, true)
  await documents(MATCHES)
  assert.equal((await ask(list)).items[0].name, 'topic-test-to-es')
  const found = await ask(`curl "http://localhost:9200/${INDEX}/_search?size=1"`)
  const { level, parsed } = found.hits.hits[0]._source
  assert.deepEqual({ level, parsed }, { level: 'ERROR', parsed: true }, 'by the ingest pipeline')
  assert.equal((await ask(start)).desired_state, 'running')

  const watching = spawn('sh', ['-c', tail.replace(':8088', `:${ports[8088]}`)])
  t.after(() => watching.kill('SIGKILL'))
  let shown = ''
  watching.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text))
  await until('a match in the live tail', async () => {
    // What was written before the order to show matches reached the worker is not shown.
    await produce()
    return /^data: .*ERROR/m.test(shown)
  })
  watching.kill('SIGKILL')
  const matches = () => (produced / LINES) * MATCHES
  await documents(matches())

  assert.equal((await ask(stop)).enabled, false)
  await until('the end of the pipeline', async () => {
    const { status } = await ask('curl http://127.0.0.1:8088/api/pipelines/1')
    return status.state === 'stopped'
  })
  const fleet = (await ask(runtime)).fleet
  assert.deepEqual(fleet.workers, [], 'nobody runs it any more')
  const { points } = await ask(history)
  assert.ok(points.some((point: { polled_per_second: number }) => point.polled_per_second > 0))
  const state = await ask(metrics)
  assert.equal(state.es_spill_queue_bytes, 0)
  assert.equal(state.elasticsearch.reachable, true)
  assert.equal(state.elasticsearch.index.docs, matches())
  const ids = (await ask(workers)).items.map((worker: { id: string }) => worker.id)
  assert.deepEqual(ids, ['worker-1', 'worker-2'])

  const assigned = await ask(assign)
  assert.deepEqual(assigned.assignment, { pipeline_id: 1, desired_state: 'running', pinned: true })
  await produce()
  await documents(matches())
  await until('the word of the worker that was named', async () => {
    const [one] = (await ask(workers)).items
    return one.pipeline_id === 1
  })
  assert.equal(await indexed(), matches(), 'and each once')

  for (const program of [...syncs, control]) {
    program.signal('SIGTERM')
    assert.equal(await program.ended, 0, program.said())
  }
})
