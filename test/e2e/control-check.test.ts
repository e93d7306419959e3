/** A pipeline that points at what is not there: the API says what, and a change mends it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startControlProgram, startProgram, temporaryFolder, until } from '../helpers/program.ts'
import { sharedElasticsearch, sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing() ?? false

test('a start says what is missing, and the next revision runs', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const es = await sharedElasticsearch(t)
  const topic = uniqueName('check')
  await kafka.createTopic(topic, 1)
  const folder = temporaryFolder(t)
  const { url, call } = await startControlProgram(t, folder)
  const sync = startProgram(t, folder, ['sync'], { CONTROL_PLANE_URL: url, WORKER_ID: 'w1' })
  const pipeline = {
    name: 'check',
    kafka_brokers: kafka.bootstrapServers,
    kafka_topic: 'no-such-topic',
    kafka_group_id: topic,
    es_url: es,
    es_index: topic,
    es_pipeline: 'no-such-pipeline',
    pool_size: 32,
    rust_workers: 2,
    enabled: true,
  }
  assert.equal((await call('POST', '/api/pipelines', pipeline)).status, 201)
  const status = async () => (await call('GET', '/api/pipelines/1')).body.status
  const wrong = await until('what is wrong', async () => {
    const { check } = await status()
    return check?.state === 'failed' ? (check.wrong as string[]) : undefined
  })
  assert.equal(wrong.length, 2, wrong.join('\n'))
  assert.match(wrong.join('\n'), /no-such-topic.*does not exist[^]*no-such-pipeline/)
  await until('the reason', async () => {
    const { state, reason } = await status()
    const tells = /w1: the child exited with status 1; check on w1 failed: .*no-such-topic/
    return (state === 'degraded' || state === 'failed') && tells.test(reason)
  })
  const [worker] = (await call('GET', '/api/workers')).body.items
  assert.match(worker.error.lines.join('\n'), /topic no-such-topic does not exist/)

  const mended = { ...pipeline, kafka_topic: topic, es_pipeline: '' }
  assert.equal((await call('PUT', '/api/pipelines/1', mended)).status, 200)
  await until('the state running', async () => {
    const { state, reason, check } = await status()
    return state === 'running' && reason === null && check.wrong.length === 0
  })
  sync.signal('SIGTERM')
  assert.equal(await sync.ended, 0, sync.said())
})
