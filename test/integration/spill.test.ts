/**
 * The spill of a pipeline whose Elasticsearch is away, with processes as an operator starts them:
 * what was left on disk is verified, and drained when Elasticsearch is back.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { ARGUMENTS, COMMAND } from '../helpers/program-command.ts'

test('what a pipeline left in the spill is drained once', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-drain-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const fake = new FakeBulk()
  const url = await fake.listen()
  t.after(() => fake.close())
  const env = { PATH: process.env['PATH'] ?? '', ES_URL: url }
  const logpipe = async (...args: string[]) => {
    const child = spawn(COMMAND, [...ARGUMENTS, ...args], { env, cwd: folder })
    t.after(() => child.kill('SIGKILL'))
    let out = ''
    let error = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')))
    child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString('utf8')))
    const [status] = (await once(child, 'close')) as [number | null]
    return { status, out, error }
  }

  fake.script = () => ({ kind: 'status', status: 503 })
  const few = ['--filter-threads', '1', '--pool-size', '16', '--run-seconds', '6']
  const to = ['--es-enabled', '--commit-on', 'spill', '--shutdown-deadline', '5s']
  const ran = await logpipe('run', '--embedded', '--pattern', 'INFO', ...few, ...to)
  const listed = await logpipe('spill', 'ls', '--json')
  const { entryCount } = JSON.parse(listed.out) as { entryCount: number }
  assert.ok(entryCount > 0, ran.error)
  const verified = await logpipe('spill', 'verify')
  assert.deepEqual([verified.status, verified.error], [0, ''])
  assert.match(verified.out, new RegExp(`${entryCount} documents?, .*no damage$`, 'm'))

  const refusedCount = fake.requests.length
  fake.script = () => ({ kind: 'items' })
  const drained = await logpipe('spill', 'drain')
  assert.equal(drained.status, 0, drained.error)
  assert.match(drained.out, new RegExp(`^sent ${entryCount} documents?, 0 left`))
  const sent = fake.requests.filter(({ number }) => number > refusedCount)
  assert.equal(sent.flatMap(({ items }) => items).length, entryCount)
  // On a loaded machine the group may have let a member go: it then read some records twice.
  assert.ok(fake.documents.size > 0 && fake.documents.size <= entryCount)
  const again = await logpipe('spill', 'drain', '--json')
  assert.equal((JSON.parse(again.out) as { sentCount: number }).sentCount, 0)
  assert.ok([...fake.writes.values()].every((count) => count === 1))
})
