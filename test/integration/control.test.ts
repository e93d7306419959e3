/** The control plane as a user starts it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { startControlProgram, startProgram, temporaryFolder, until } from '../helpers/program.ts'

const pipeline = { name: 'x', kafka_topic: 'logs', match_pattern: 'ERROR', enabled: true }

test('the control plane starts, keeps what it is told, and ends in order', async (t) => {
  const folder = temporaryFolder(t)
  const first = await startControlProgram(t, folder)
  assert.deepEqual(await first.call('GET', '/health'), { status: 200, body: { status: 'ok' } })
  assert.equal((await first.call('POST', '/api/pipelines', pipeline)).status, 201)
  const page = await fetch(first.url)
  assert.match(await page.text(), /<title>logpipe<\/title>/)
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/)

  const backup = startProgram(t, folder, ['control', 'backup', 'copy.db'])
  assert.equal(await backup.ended, 0)
  first.control.signal('SIGTERM')
  assert.equal(await first.control.ended, 0)
  const token = readFileSync(path.join(folder, 'data', 'control-token'), 'utf8').trim()
  const said = first.control.said()
  assert.match(said, /database data\/control\.db, token in data\/control-token/)
  assert.ok(!said.includes(token))

  const again = await startControlProgram(t, folder)
  assert.equal((await again.call('GET', '/api/pipelines/1')).body.name, 'x')
  again.control.signal('SIGINT')
  assert.equal(await again.control.ended, 0)
})

test('a port or a database in use ends the second with one line and status 1', async (t) => {
  const folder = temporaryFolder(t)
  const { url, control } = await startControlProgram(t, folder)
  const refusal = async (env: Record<string, string>) => {
    const second = startProgram(t, folder, ['control'], env)
    assert.equal(await second.ended, 1)
    assert.match(second.said(), /^logpipe: [^\n]+\n$/, 'one line')
    return second.said()
  }
  const { host } = new URL(url)
  assert.match(
    await refusal({ CONTROL_LISTEN: host, CONTROL_DB_PATH: 'other/control.db' }),
    new RegExp(`cannot listen on ${host}: another process`),
  )
  assert.match(
    await refusal({ CONTROL_LISTEN: '127.0.0.1:0' }),
    /another control plane is using the database .*data\/control\.db/,
  )
  control.signal('SIGKILL')
  assert.equal(await control.ended, 'SIGKILL')
  // The lock goes with the process, however that ended.
  await startControlProgram(t, folder)
})

test('a control plane with a worker runs what it is given, and ends with it', async (t) => {
  const folder = temporaryFolder(t)
  const { control, call } = await startControlProgram(t, folder, { CONTROL_WITH_WORKER: '1' })
  const isThere = await until('the worker', async () => {
    const [worker] = (await call('GET', '/api/workers')).body.items
    return worker?.id === 'worker-1' && worker.live === true
  })
  assert.ok(isThere)
  process.kill(control.pid, 'SIGTERM')
  assert.equal(await control.ended, 0)
  assert.match(control.said(), /worker worker-1 of http.*worker worker-1 has ended \(status 0\)/s)
})
