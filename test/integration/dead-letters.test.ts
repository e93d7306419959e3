/**
 * Dead letters from a running pipeline to the index, with processes as an operator starts them.
 *
 * Goal: what was refused is stored, looked at, sent again with the same _id, and makes no second
 * document however often that is done. Method: the embedded broker, and a _bulk endpoint that
 * refuses some documents at first.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { ARGUMENTS, COMMAND } from '../helpers/program-command.ts'

const REFUSAL = { status: 400, type: 'document_parsing_exception', reason: 'no number' }

test('what was refused is sent again, and twice makes no second document', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-letters-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const fake = new FakeBulk()
  const url = await fake.listen()
  t.after(() => fake.close())
  const letters = path.join(folder, 'dead.ndjson')
  const env = { PATH: process.env['PATH'] ?? '', ES_URL: url, DLQ: `file:${letters}` }
  const logpipe = async (...args: string[]) => {
    const child = spawn(COMMAND, [...ARGUMENTS, ...args], { env, cwd: folder })
    t.after(() => child.kill('SIGKILL'))
    let out = ''
    let error = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')))
    child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString('utf8')))
    const [status] = (await once(child, 'close')) as [number | null]
    assert.equal(status, 0, error)
    return out
  }

  fake.script = () => ({
    kind: 'items',
    fault: ({ id }) => ((id ?? '').endsWith('7') ? REFUSAL : null),
  })
  // One ingress thread: a second joins a moment later, and what it reads again is refused again.
  const few = [
    '--ingress-threads',
    '1',
    '--filter-threads',
    '1',
    '--pool-size',
    '16',
    '--run-seconds',
    '8',
  ]
  await logpipe('run', '--embedded', '--es-enabled', '--pattern', 'INFO', ...few)
  const indexedCount = fake.documents.size
  const stats = JSON.parse(await logpipe('dlq', 'stats', '--json')) as { count: number }
  assert.ok(indexedCount > 0 && stats.count > 0)
  const [oldest] = JSON.parse(await logpipe('dlq', 'ls', '--json', '--limit', '1')) as object[]
  assert.match(
    JSON.stringify(oldest),
    /"errorType":"document_parsing_exception","reason":"no number/,
  )
  assert.match(JSON.stringify(oldest), /"timestampMs":1\d{12},"timestampType":"create"/)

  fake.script = () => ({ kind: 'items' })
  const before = [...globSync(`${letters}.0*`), letters].map((file) => readIfThere(file)).join('')
  assert.match(await logpipe('dlq', 'replay'), new RegExp(`^sent ${stats.count} dead letters?, 0`))
  assert.equal(fake.documents.size, indexedCount + stats.count)
  assert.match(await logpipe('dlq', 'ls'), /^no matching dead letters/)

  // As after a crash between the sending and the removing: all of them are there again.
  appendFileSync(letters, before)
  assert.match(await logpipe('dlq', 'replay'), new RegExp(`^sent ${stats.count} dead letters?, 0`))
  assert.equal(fake.documents.size, indexedCount + stats.count)
  assert.ok([...fake.writes.values()].every((count) => count === 1))
  assert.match(await logpipe('spill', 'ls'), /: 0 documents, 0 B in 0 segments$/m)
})

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // The letters were rotated.
  }
}
