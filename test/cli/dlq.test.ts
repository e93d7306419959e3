/** `logpipe dlq` on real files, sending to a _bulk endpoint that does what it is told. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { loadBridge } from '../../src/bridge/load.ts'
import { dlq } from '../../src/cli/dlq.ts'
import { ManualClock } from '../../src/core/clock.ts'
import type { DeadLetter } from '../../src/sink/dead-letters/contract.ts'
import { openFileDeadLetters } from '../../src/sink/dead-letters/file-dead-letters.ts'
import { encodeDeadLetter } from '../../src/sink/dead-letters/dead-letter-files.ts'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { TestLocks } from '../helpers/spills.ts'
import { recordedHost, testLocks } from './recorded-host.ts'

const AT_MS = Date.parse('2026-01-01T00:00:00Z')

function letter(offset: number, index = 'logs'): DeadLetter {
  const payload = `{"create":{"_index":"${index}","_id":"app-0-${offset}"}}\n{"n":${offset}}\n`
  return {
    reason: `failed to parse field [n] of ${offset}`,
    errorType: 'document_parsing_exception',
    status: 400,
    index,
    topic: 'app',
    partition: 0,
    offset,
    timestampMs: 1000 + offset,
    timestampType: 'create',
    payload: Buffer.from(payload),
  }
}

async function withLetters(t: TestContext, letters: readonly DeadLetter[]) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-dlq-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'dead.ndjson')
  const clock = new ManualClock(AT_MS)
  const stored = await openFileDeadLetters({
    file,
    bytesMax: 1024 * 1024,
    locks: new TestLocks(),
    clock,
  })
  await stored.put(letters)
  await stored.close()
  const fake = new FakeBulk()
  const url = await fake.listen()
  t.after(() => fake.close())
  const host = recordedHost({ DLQ: `file:${file}`, ES_URL: url })
  // Files are locked in the process, and conditions are met by the add-on.
  const bridge = { ...loadBridge(undefined), ...testLocks() }
  const run = (...args: string[]) => dlq(host.context(args), { loadBridge: () => bridge })
  const ids = async (...args: string[]) => {
    host.printed()
    assert.equal(await run('ls', '--json', ...args), 0)
    return (JSON.parse(host.printed()) as { id: string }[]).map(({ id }) => id)
  }
  return { file, fake, host, run, ids }
}

test('ls prints a row for each letter, narrowed by ids, conditions and a limit', async (t) => {
  const { host, run, ids } = await withLetters(t, [letter(1), letter(2), letter(3, 'other')])
  assert.equal(await run('ls'), 0)
  assert.match(host.printed(), /^ID +STORED +STATUS +TYPE +INDEX +REASON\napp-0-1 +2026-01-01T/)
  assert.deepEqual(await ids(), ['app-0-1', 'app-0-2', 'app-0-3'])
  assert.deepEqual(await ids('--limit', '2'), ['app-0-1', 'app-0-2'])
  assert.deepEqual(await ids('--where', 'index=logs', '--where', 'offset=2..9'), ['app-0-2'])
  assert.deepEqual(await ids('app-0-3', 'app-0-9'), ['app-0-3'])
  assert.deepEqual(await ids('--where', 'status=500'), [])
  assert.deepEqual(await ids('--where', 'document.n >= 2 and not index:other'), ['app-0-2'])
  await assert.rejects(run('ls', '--where', 'reason ~ /(/'), { message: /does not compile/ })
  await assert.rejects(run('ls', '--where', 'colour=red'), { code: 'USAGE' })
})

test('what a server wrote moves no cursor', async (t) => {
  const { host, run } = await withLetters(t, [{ ...letter(1), reason: 'a\u001b[2Jb\nc' }])
  for (const action of ['ls', 'show', 'stats']) {
    assert.equal(await run(action), 0)
    assert.match(host.printed(), /a\\u001b\[2Jb\\nc/)
  }
})

test('show prints the payload, in base64 where it is no text', async (t) => {
  const raw = Buffer.from([0x7b, 0xff, 0x0a])
  const { host, run } = await withLetters(t, [letter(1), { ...letter(2), payload: raw }])
  assert.equal(await run('show', 'app-0-1'), 0)
  assert.match(host.printed(), /^status: +400$[^]*^\{"create".*\n\{"n":1\}$/m)
  assert.equal(await run('show', '--json', 'app-0-2'), 0)
  const [shown] = JSON.parse(host.printed()) as { payloadBase64: string }[]
  assert.equal(shown?.payloadBase64, raw.toString('base64'))
})

test('stats adds up by type, index and topic, and counts damaged lines', async (t) => {
  const { file, host, run } = await withLetters(t, [letter(1), letter(2), letter(3, 'other')])
  appendFileSync(file, 'not a letter\n')
  assert.equal(await run('stats'), 0)
  const text = host.printed()
  assert.match(text, /^3 dead letters in .*, and 1 damaged line$/m)
  assert.match(text, /^2 +document_parsing_exception +logs +app /m)
})

test('a letter that is replayed twice makes no second document', async (t) => {
  const { file, fake, host, run, ids } = await withLetters(t, [letter(1), letter(2)])
  assert.equal(await run('replay'), 0)
  assert.match(host.printed(), /^sent 2 dead letters, 0 rejected again/)
  assert.deepEqual(fake.ids, ['app-0-1', 'app-0-2'])
  assert.deepEqual(await ids(), [])
  // As after a crash between the sending and the removing.
  appendFileSync(file, encodeDeadLetter(letter(1), AT_MS))
  assert.equal(await run('replay', '--json'), 0)
  assert.deepEqual(JSON.parse(host.printed()), { doneCount: 1, failedCount: 0, waitingCount: 0 })
  assert.equal(fake.documents.size, 2)
  assert.ok([...fake.writes.values()].every((count) => count === 1))
  assert.deepEqual(await ids(), [])
})

test('what is refused again stays, with its reason told, and the status is 1', async (t) => {
  const { file, fake, host, run, ids } = await withLetters(t, [letter(1), letter(2)])
  appendFileSync(file, encodeDeadLetter({ ...letter(3), payload: Buffer.from('{"n":3}') }, AT_MS))
  const bad = { status: 400, type: 'document_parsing_exception', reason: 'still no number' }
  fake.script = () => ({ kind: 'items', fault: ({ id }) => (id === 'app-0-2' ? bad : null) })
  assert.equal(await run('replay'), 1)
  const told = host.told()
  assert.match(told, /app-0-2: rejected again: .*still no number/)
  assert.match(told, /app-0-3: its payload is not an action and a document/)
  assert.match(host.printed(), /^sent 1 dead letter, 2 rejected again stay/)
  assert.deepEqual(await ids(), ['app-0-2', 'app-0-3'])
  assert.deepEqual(fake.ids, ['app-0-1'])
})

test('replay takes ids and a limit', async (t) => {
  const { fake, run, ids } = await withLetters(
    t,
    [1, 2, 3, 4].map((offset) => letter(offset)),
  )
  assert.equal(await run('replay', '--limit', '1'), 0)
  assert.equal(await run('replay', 'app-0-3'), 0)
  assert.deepEqual(fake.ids, ['app-0-1', 'app-0-3'])
  assert.deepEqual(await ids(), ['app-0-2', 'app-0-4'])
})

test('drop removes what was named, and nothing without a name', async (t) => {
  const { host, run, ids } = await withLetters(t, [letter(1), letter(2, 'other'), letter(3)])
  await assert.rejects(run('drop'), { code: 'USAGE', message: /requires IDs or --where/ })
  assert.equal(await run('drop', '--where', 'index=other'), 0)
  assert.match(host.printed(), /^dropped 1 dead letter from /)
  assert.deepEqual(await ids(), ['app-0-1', 'app-0-3'])
})

test('no letters, no folder, no target: each is said in one line', async (t) => {
  const { host, run, ids } = await withLetters(t, [])
  assert.equal(await run('ls'), 0)
  assert.match(host.printed(), /^no matching dead letters in /)
  assert.deepEqual(await ids('--dlq', 'file:/nonexistent/x'), [])
  for (const args of [['replay'], ['drop', 'app-0-1'], ['stats']]) {
    assert.equal(await run(...args, '--dlq', 'file:/nonexistent/x'), 0)
  }
  await assert.rejects(run('ls', '--dlq', 'topic:dead'), {
    message: /reads files, not dead: read the topic with a consumer/,
  })
  await assert.rejects(run('burn'), { code: 'USAGE', message: /expected ls, show, stats/ })
  const bare = recordedHost()
  // Files are locked in the process, and conditions are met by the add-on.
  const bridge = { ...loadBridge(undefined), ...testLocks() }
  await assert.rejects(dlq(bare.context(['ls']), { loadBridge: () => bridge }), {
    code: 'USAGE',
    message: /requires --dlq/,
  })
})
