/** `logpipe spill` on real directories, sending to a _bulk endpoint that does what it is told. */
import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { spill } from '../../src/cli/spill.ts'
import type { SpillEntry } from '../../src/sink/spill/contract.ts'
import { openSpill } from '../../src/sink/spill/open.ts'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { TestLocks } from '../helpers/spills.ts'
import { recordedHost, testLocks } from './recorded-host.ts'

function entry(partition: number, offset: number): SpillEntry {
  const action = `{"create":{"_index":"logs","_id":"app-${partition}-${offset}"}}`
  const document = Buffer.from(`${action}\n{"message":"${offset}"}\n`)
  const time = { timestampMs: offset, timestampType: 'append' } as const
  return { topic: 'app', partition, offset, ...time, index: 'logs', document }
}

/** A directory with three documents, left by a pipeline that has ended. */
async function left(t: TestContext) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-spill-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const locks = new TestLocks()
  const file = path.join(folder, 'es_spill.bin')
  const filled = await openSpill({
    path: file,
    maxBytes: 1024 * 1024,
    commitOn: 'spill',
    pipeline: 'g app',
    target: 'http://localhost:9200 logs',
    locks,
    events: { damaged: () => assert.fail(), trouble: () => assert.fail() },
  })
  assert.equal(await filled.append([entry(0, 1), entry(0, 5), entry(1, 3)]), 'stored')
  await filled.close()
  const fake = new FakeBulk()
  const url = await fake.listen()
  t.after(() => fake.close())
  const env = { ES_SPILL_PATH: file, ES_URL: url, DLQ: `file:${path.join(folder, 'dead')}` }
  const host = recordedHost(env)
  const held = testLocks()
  const run = (...args: string[]) => spill(host.context(args), { loadBridge: () => held })
  return { folder, directory: `${file}.d`, fake, env, host, held, run }
}

function damage(directory: string): void {
  const [file] = globSync(path.join(directory, '*.spill'))
  assert(file !== undefined)
  const bytes = readFileSync(file)
  bytes[bytes.length >> 1]! ^= 1
  writeFileSync(file, bytes)
}

test('ls shows the segments, whose they are, and the offsets in them', async (t) => {
  const { host, run } = await left(t)
  assert.equal(await run('ls'), 0)
  const text = host.printed()
  assert.match(text, /es_spill\.bin\.d: 3 documents, \d+ B in 1 segment$/m)
  assert.match(text, /^pipeline "g app", target "http:.* logs", offsets committed$/m)
  assert.match(text, /^SEGMENT +SIZE +ENTRIES +SENT +STATE +OFFSETS$/m)
  assert.match(text, /\.spill +\d+ B +3 +0 +\w+ +app-0 1\.\.5 \(2\), app-1 3\.\.3 \(1\)$/m)
  assert.equal(await run('ls', '--json'), 0)
  const found = JSON.parse(host.printed()) as { entryCount: number; inUse: boolean }
  assert.deepEqual([found.entryCount, found.inUse], [3, false])
})

test('verify exits with 1 on damage, and names file, bytes and offsets', async (t) => {
  const { host, run, directory } = await left(t)
  assert.equal(await run('verify'), 0)
  assert.match(host.printed(), /3 documents, .*, no damage$/m)
  damage(directory)
  assert.equal(await run('verify'), 1)
  const text = host.printed()
  assert.match(
    text,
    /^\S+\.spill: damaged, bytes \d+ to \d+, .*1 document.* among app-\d \d+\.\.\d+/m,
  )
  assert.match(text, /1 thing is wrong$/m)
  assert.equal(await run('verify', '--json'), 1)
  assert.equal((JSON.parse(host.printed()) as { damage: unknown[] }).damage.length, 1)
})

test('drain sends everything once, and the second time there is nothing', async (t) => {
  const { host, run, fake } = await left(t)
  assert.equal(await run('drain'), 0)
  assert.match(host.printed(), /^sent 3 documents, 0 left in /)
  assert.deepEqual(fake.ids, ['app-0-1', 'app-0-5', 'app-1-3'])
  assert.equal(await run('drain', '--json'), 0)
  assert.equal((JSON.parse(host.printed()) as { sentCount: number }).sentCount, 0)
  assert.ok([...fake.writes.values()].every((count) => count === 1))
})

test('drain tries again what is refused for now; the rest becomes dead letters', async (t) => {
  const { folder, host, run, fake } = await left(t)
  const bad = { status: 400, type: 'document_parsing_exception', reason: 'no' }
  const busy = { status: 429, type: 'es_rejected_execution_exception', reason: 'busy' }
  fake.script = ({ number }) => ({
    kind: 'items',
    fault: ({ id }) => (number === 1 && id !== 'app-1-3' ? busy : id === 'app-1-3' ? bad : null),
  })
  assert.equal(await run('drain'), 0)
  assert.match(host.printed(), /^sent 3 documents, 0 left in /)
  assert.deepEqual(fake.ids, ['app-0-1', 'app-0-5'])
  assert.match(readFileSync(path.join(folder, 'dead'), 'utf8'), /app-1-3/)
})

test('without dead letters a refused document stops the drain, and it stays', async (t) => {
  const { host, held, env, fake } = await left(t)
  const bad = { status: 400, type: 'document_parsing_exception', reason: 'no such field' }
  fake.script = () => ({ kind: 'items', fault: ({ id }) => (id === 'app-0-5' ? bad : null) })
  const bare = recordedHost({ ES_URL: env.ES_URL, ES_SPILL_PATH: env.ES_SPILL_PATH })
  const run = (host_: typeof host, ...args: string[]) =>
    spill(host_.context(args), { loadBridge: () => held })
  await assert.rejects(run(bare, 'drain'), { code: 'ES_REFUSED', message: /no such field/ })
  fake.script = () => ({ kind: 'items' })
  assert.equal(await run(host, 'drain'), 0)
  assert.deepEqual(fake.ids, ['app-0-1', 'app-0-5', 'app-1-3'])
  assert.ok([...fake.writes.values()].every((count) => count === 1))
})

test('drain of a damaged spill sends the rest and exits with 3, and the next with 0', async (t) => {
  const { host, run, fake, directory } = await left(t)
  damage(directory)
  assert.equal(await run('drain'), 3)
  assert.equal(fake.ids.length, 2)
  const text = host.printed()
  assert.match(text, /damaged, bytes .* among app-.*\nre-read these offsets from Kafka/)
  assert.match(text, /^the damaged files are kept as segment-\S+\.spill\.damaged$/m)
  assert.equal(globSync(path.join(directory, '*.spill.damaged')).length, 1)
  assert.equal(await run('drain'), 0)
  assert.match(host.printed(), /^sent 0 documents, 0 left in .*\n$/)
})

test('drain beside a running pipeline is refused', async (t) => {
  const { directory, held, run } = await left(t)
  held.fileLock(path.join(directory, 'lock'))
  await assert.rejects(run('drain'), { code: 'LOCKED' })
})

test('a directory that does not exist is said in one line; drain is content', async (t) => {
  const { host, held } = await left(t)
  const nowhere = (action: string) =>
    spill(host.context([action, '--es-spill-path', '/nonexistent/x']), { loadBridge: () => held })
  for (const action of ['ls', 'verify']) {
    const message = 'no spill in /nonexistent/x.d (ES_SPILL_PATH)'
    await assert.rejects(nowhere(action), { code: 'SPILL', message })
  }
  assert.equal(await nowhere('drain'), 0)
  await assert.rejects(nowhere('empty'), { code: 'USAGE', message: /expected ls, verify or drain/ })
})
