/** Dead letters: stored durably, found again, dropped and replayed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock, systemClock } from '../../../src/core/clock.ts'
import { LogpipeError } from '../../../src/core/errors.ts'
import type { DeadLetter } from '../../../src/sink/dead-letters/contract.ts'
import { openFileDeadLetters } from '../../../src/sink/dead-letters/file-dead-letters.ts'
import { DeadLetterStore } from '../../../src/sink/dead-letters/dead-letter-store.ts'
import {
  decodeDeadLetter,
  encodeDeadLetter,
  type StoredDeadLetter,
} from '../../../src/sink/dead-letters/dead-letter-files.ts'
import { openTopicDeadLetters } from '../../../src/sink/dead-letters/topic-dead-letters.ts'
import { loadBridge } from '../../../src/bridge/load.ts'
import { parseWhere as parseConditions } from '../../../src/sink/dead-letters/filter.ts'
import { diskError, MemoryDisk } from '../../helpers/memory-disk.ts'
import { randomOf, TestLocks } from '../../helpers/spills.ts'

const FILE = '/data/dead.jsonl'
const bridge = loadBridge(undefined)
const parseWhere = (conditions: readonly string[]) => parseConditions(conditions, bridge)
const ALL = parseWhere([])

function letterOf(offset: number, changes: Partial<DeadLetter> = {}): DeadLetter {
  return {
    reason: `failed to parse field [n] of type [long] in document ${offset}`,
    errorType: 'document_parsing_exception',
    status: 400,
    index: 'logs',
    topic: 'app',
    partition: 0,
    offset,
    timestampMs: 1_700_000_000_000,
    timestampType: 'create',
    payload: Buffer.from(`{"create":{"_id":"app-0-${offset}"}}\n{"n":"ü"}\n`),
    ...changes,
  }
}

interface Options {
  disk?: MemoryDisk
  locks?: TestLocks
  fileBytesMax?: number
  bytesMax?: number
}

async function openBox(options: Options = {}) {
  const disk = options.disk ?? new MemoryDisk()
  const locks = options.locks ?? new TestLocks()
  const clock = new ManualClock(Date.parse('2026-09-01T00:00:00Z'))
  const { fileBytesMax = 1_000_000, bytesMax = 10_000_000 } = options
  const shared = { file: FILE, locks, clock, disk }
  const letters = await openFileDeadLetters({ ...shared, fileBytesMax, bytesMax })
  return { disk, locks, clock, letters, box: new DeadLetterStore(shared) }
}

async function offsetsIn(box: DeadLetterStore, clauses: readonly string[] = []): Promise<number[]> {
  const found: number[] = []
  for await (const letter of box.letters(parseWhere(clauses))) found.push(letter.offset)
  return found
}

test('a letter comes back byte for byte, text or not', async () => {
  const { letters, box, disk } = await openBox()
  const binary = letterOf(2, { payload: Buffer.from([0, 255, 10, 13, 34, 195]) })
  const newline = letterOf(3, { reason: 'two\nlines and "quotes"  ' })
  await letters.put([letterOf(1), binary, newline])
  const read: StoredDeadLetter[] = []
  for await (const letter of box.letters(ALL)) read.push(letter)
  const plain = read.map(({ atMs, payload, ...rest }) => {
    assert.equal(atMs, Date.parse('2026-09-01T00:00:00Z'))
    return { ...rest, payload: Buffer.from(payload) }
  })
  assert.deepEqual(plain, [letterOf(1), binary, newline])
  assert.equal(disk.bytesOf(FILE).toString().split('\n').length, 4)
})

test("letters are found by their record's own time, and by the time they were stored", async () => {
  const { letters, box } = await openBox()
  const atOf = (minute: number) => Date.parse(`2026-08-31T12:0${minute}:00Z`)
  await letters.put([
    letterOf(1, { timestampMs: atOf(1) }),
    letterOf(2, { timestampMs: atOf(2), timestampType: 'append' }),
    letterOf(3, { timestampMs: -1, timestampType: 'none' }),
  ])
  assert.deepEqual(await offsetsIn(box, ['recordSince=2026-08-31T12:02Z']), [2])
  assert.deepEqual(await offsetsIn(box, ['recordUntil=2026-08-31T12:02Z']), [1])
  assert.deepEqual(await offsetsIn(box, ['since=2026-09-01T00:00Z']), [1, 2, 3])
  assert.deepEqual(await offsetsIn(box, ['until=2026-09-01T00:00Z']), [])
  assert.throws(() => parseWhere(['recordSince=soon']), { code: 'USAGE' })
})

test('a letter is on the disk once put resolves, whatever happens then', async () => {
  for (let seed = 0; seed < 50; seed++) {
    const random = randomOf(seed)
    const { letters, disk } = await openBox({ fileBytesMax: 2000 })
    let stored = 0
    for (; stored < 1 + random(30); stored++) await letters.put([letterOf(stored)])
    // One more is under way when the machine stops.
    const last = letters.put([letterOf(stored)])
    for (let turn = random(10); turn > 0; turn--) {
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
    }
    const survivor = await openBox({ disk: disk.crash(random) })
    const found = await offsetsIn(survivor.box)
    const wanted = Array.from({ length: stored }, (_, offset) => offset)
    assert.deepEqual(found.slice(0, stored), wanted, `seed ${seed}`)
    await survivor.letters.put([letterOf(1000)])
    assert.equal((await offsetsIn(survivor.box)).at(-1), 1000)
    await last
  }
})

test('a file cut at any byte loses only the torn line', async () => {
  const { letters, disk } = await openBox()
  await letters.put([letterOf(1), letterOf(2)])
  const bytes = disk.bytesOf(FILE)
  const firstEnd = bytes.indexOf(10) + 1
  for (let size = 0; size < bytes.length; size++) {
    const cut = new MemoryDisk()
    cut.put(FILE, bytes.subarray(0, size))
    const { letters: again, box } = await openBox({ disk: cut })
    await again.put([letterOf(3)])
    assert.deepEqual(await offsetsIn(box), size < firstEnd ? [3] : [1, 3])
  }
})

test('puts at the same time share a sync', async () => {
  const { letters, disk, box } = await openBox()
  let syncs = 0
  disk.before = (operation) => {
    if (operation === 'datasync') syncs++
  }
  await Promise.all(Array.from({ length: 40 }, (_, offset) => letters.put([letterOf(offset)])))
  assert(syncs <= 2, `${syncs} syncs`)
  assert.equal((await offsetsIn(box)).length, 40)
})

test('a disk that is full or refuses rejects the put, and nothing is there twice', async () => {
  const { letters, disk, box } = await openBox()
  await letters.put([letterOf(1)])
  disk.capacity = disk.usedBytes + 100
  await assert.rejects(letters.put([letterOf(2)]), { code: 'DEAD_LETTERS', message: /ENOSPC/ })
  disk.capacity = Number.POSITIVE_INFINITY
  disk.before = (operation) => {
    if (operation === 'datasync') throw diskError('EIO')
  }
  await assert.rejects(letters.put([letterOf(2)]), { code: 'DEAD_LETTERS' })
  disk.before = () => undefined
  await letters.put([letterOf(2)])
  assert.deepEqual(await offsetsIn(box), [1, 2])
})

test('files are numbered when full, and above the bound a put is refused', async () => {
  const { letters, disk, box } = await openBox({ fileBytesMax: 1000, bytesMax: 5000 })
  let offset = 0
  const fill = async () => {
    for (; offset < 100; offset++) await letters.put([letterOf(offset)])
  }
  await assert.rejects(fill(), { code: 'DEAD_LETTERS', message: /logpipe dlq replay/ })
  assert(disk.files.some((name) => name === `${FILE}.000002`))
  assert.equal((await offsetsIn(box)).length, offset)
  await box.drop(ALL)
  await letters.put([letterOf(500)])
  assert.deepEqual(await offsetsIn(box), [500])
})

test('letters are found by each field', async () => {
  const { letters, box, clock } = await openBox()
  await letters.put([letterOf(1), letterOf(2, { partition: 3, index: 'other' })])
  clock.advance(60_000)
  await letters.put([letterOf(30, { errorType: 'too_large', status: 413, topic: 'b' })])
  const cases: readonly (readonly [string, number[]])[] = [
    ['reason~DOCUMENT 2', [2]],
    ['errorType=too_large', [30]],
    ['errorType~TOO', [30]],
    ['index=other', [2]],
    ['topic=app', [1, 2]],
    ['partition=3', [2]],
    ['status=413', [30]],
    ['offset=2', [2]],
    ['offset=1..2', [1, 2]],
    ['since=2026-09-01T00:01:00Z', [30]],
    ['until=2026-09-01T00:01:00Z', [1, 2]],
    // As expressions.
    ['status:413', [30]],
    ['index:(other or x) and partition >= 3', [2]],
    ['reason ~ /DOCUMENT 2/i or @topic:b', [2, 30]],
    ['not index:logs*', [2]],
    ['errorType:too_* and stored >= 0', [30]],
  ]
  for (const [clause, wanted] of cases) assert.deepEqual(await offsetsIn(box, [clause]), wanted)
  assert.deepEqual(await offsetsIn(box, ['topic=app', 'partition=3']), [2])
  for (const wrong of [
    '',
    'offset=x',
    'color=red',
    'since=yesterday',
    // What Date.parse takes for a year, for another day, and for a time of this machine's zone.
    'since=1',
    'since=2026-02-31T00:00Z',
    'since=2026-09-01T00:00',
  ]) {
    assert.throws(() => parseWhere([wrong]), { code: 'USAGE' })
  }
})

test('stats count by error type, index and topic', async () => {
  const { letters, box, disk } = await openBox()
  await letters.put([letterOf(1), letterOf(2), letterOf(3, { errorType: 'other' })])
  disk.put(FILE, Buffer.concat([disk.bytesOf(FILE), Buffer.from('{"damaged\n')]))
  const stats = await box.stats(ALL)
  assert.equal(stats.count, 3)
  assert.equal(stats.damagedCount, 1)
  assert.deepEqual(
    stats.groups.map((group) => [group.errorType, group.count]),
    [
      ['document_parsing_exception', 2],
      ['other', 1],
    ],
  )
})

test('drop removes what it is told, and keeps damaged lines', async () => {
  const { letters, box, disk } = await openBox({ fileBytesMax: 1000 })
  for (let offset = 0; offset < 10; offset++) await letters.put([letterOf(offset)])
  disk.put(FILE, Buffer.concat([disk.bytesOf(FILE), Buffer.from('{"damaged\n')]))
  assert.equal(await box.drop(parseWhere(['offset=2..8'])), 7)
  assert.deepEqual(await offsetsIn(box), [0, 1, 9])
  assert.equal((await box.stats(ALL)).damagedCount, 1)
})

test('drop works on a full disk, and a later edit with room makes the file shorter', async () => {
  const { letters, box, disk } = await openBox({ fileBytesMax: 100_000 })
  for (let offset = 0; offset < 10; offset++) await letters.put([letterOf(offset)])
  const before = disk.bytesOf(FILE).length
  disk.capacity = before + 10
  assert.equal(await box.drop(parseWhere(['offset=2..8'])), 7)
  assert.deepEqual(await offsetsIn(box), [0, 1, 9])
  const stats = await box.stats(ALL)
  assert.deepEqual([stats.count, stats.damagedCount], [3, 0])
  disk.capacity = Number.POSITIVE_INFINITY
  assert.equal(await box.drop(parseWhere(['offset=0'])), 1)
  assert.deepEqual(await offsetsIn(box), [1, 9])
  const [kept] = (await disk.list('/data')).filter((name) => /\.\d+$/.test(name))
  assert.ok(disk.bytesOf(`/data/${kept}`).length < before / 2)
  disk.capacity = 0
  assert.equal(await box.drop(ALL), 2, 'a file of which nothing is left goes')
  assert.deepEqual(await offsetsIn(box), [])
})

test('replay sends each document as it was, and removes only what was taken', async () => {
  const { letters, box } = await openBox({ fileBytesMax: 1000 })
  for (let offset = 0; offset < 10; offset++) await letters.put([letterOf(offset)])
  const index = new Set<string>()
  const result = await box.replay(ALL, async (some) =>
    some.map((letter) => {
      if (letter.offset % 3 === 0) return 'failed'
      index.add(Buffer.from(letter.payload).toString())
      return 'done'
    }),
  )
  assert.deepEqual(result, { doneCount: 6, failedCount: 4, waitingCount: 0 })
  assert.deepEqual(await offsetsIn(box), [0, 3, 6, 9])
  assert(index.has(letterOf(1).payload.toString()))
})

test('replayed twice, by a crash or a failure in between, makes no second document', async () => {
  const { letters, box, disk } = await openBox()
  for (let offset = 0; offset < 5; offset++) await letters.put([letterOf(offset)])
  const index = new Map<string, number>()
  const send = async (some: readonly StoredDeadLetter[]) =>
    some.map((letter) => {
      const [action = ''] = Buffer.from(letter.payload).toString().split('\n')
      index.set(action, (index.get(action) ?? 0) + 1)
      return 'done' as const
    })
  const before = disk.kill()
  await box.replay(ALL, send)
  const again = await openBox({ disk: before })
  await again.box.replay(ALL, send)
  assert.equal(index.size, 5)
  assert.deepEqual(await offsetsIn(again.box), [])
})

test('a replay whose sink fails keeps what was not taken, and says why', async () => {
  const { letters, box } = await openBox({ fileBytesMax: 600 })
  for (let offset = 0; offset < 6; offset++) await letters.put([letterOf(offset)])
  let calls = 0
  const replay = box.replay(ALL, async (some) => {
    calls++
    if (calls === 2) throw new RangeError('the cluster is gone')
    return some.map(() => 'done' as const)
  })
  await assert.rejects(replay, RangeError)
  const left = await offsetsIn(box)
  assert(left.length > 0 && left.length < 6)
  assert.equal(left.at(-1), 5)
})

test('letters that come while a replay runs are kept, and only one replay runs', async () => {
  const { letters, box } = await openBox()
  await letters.put([letterOf(1)])
  await box.replay(ALL, async (some) => {
    await letters.put([letterOf(2)])
    await assert.rejects(box.drop(ALL), { code: 'LOCKED' })
    return some.map(() => 'done' as const)
  })
  assert.deepEqual(await offsetsIn(box), [2])
})

test('a topic gets the document, with what is known of it in headers', async () => {
  const produced: (readonly [string, string, string, Record<string, string>])[] = []
  const letters = openTopicDeadLetters('dead', async (topic, key, value, headers) => {
    const names = Object.fromEntries(headers)
    produced.push([topic, Buffer.from(key).toString(), Buffer.from(value).toString(), names])
    if (names['logpipe.offset'] === '2') throw new LogpipeError('KAFKA_UNREACHABLE', 'late')
  })
  await letters.put([letterOf(1)])
  const [topic, key, value, headers] = produced[0] ?? []
  assert.deepEqual([topic, key], ['dead', 'app-0-1'])
  assert.equal(value, letterOf(1).payload.toString())
  assert.equal(headers?.['logpipe.error_type'], 'document_parsing_exception')
  assert.equal(headers?.['logpipe.partition'], '0')
  await assert.rejects(letters.put([letterOf(2), letterOf(3)]), {
    code: 'DEAD_LETTERS',
    message: /^the dead letter of app-0-2 \(\d+ B\) cannot be written to the topic dead: late$/,
  })
  assert.equal(produced.length, 3)
  await letters.close()
})

test('a letter that a topic refuses is sent alone, then without its payload', async () => {
  const sizes: number[] = []
  const marks: (string | undefined)[] = []
  let underWay = 0
  const letters = openTopicDeadLetters('dead', async (_topic, _key, value, headers) => {
    underWay++
    await Promise.resolve()
    const isBatched = underWay > 1
    underWay--
    // As a broker does: a batch above the limit fails, whichever of its letters is to blame.
    if (value.length > 3000 || isBatched) throw new LogpipeError('KAFKA_TOPIC', 'too large')
    sizes.push(value.length)
    marks.push(Object.fromEntries(headers)['logpipe.payload_bytes'])
  })
  const sized = (offset: number, bytes: number) =>
    letterOf(offset, { payload: Buffer.alloc(bytes, 'ü') })
  await letters.put([sized(1, 2000), sized(2, 8000), sized(3, 2001)])
  assert.deepEqual(sizes, [2001, 2000, 1024])
  assert.deepEqual(marks, [undefined, undefined, '8000'])
})

test('a payload above the limit is left out of its line, with its size in its place', async () => {
  const payload = Buffer.from('ü'.repeat(1000))
  const stored = decodeDeadLetter(
    encodeDeadLetter(letterOf(7, { payload }), 0, 1999).subarray(0, -1),
  )
  assert.equal(stored?.payloadBytes, 2000)
  assert.deepEqual(Buffer.from(stored.payload), payload.subarray(0, 1024))
  assert.equal(
    decodeDeadLetter(encodeDeadLetter(letterOf(7, { payload }), 0, 2000))?.payloadBytes,
    undefined,
  )
})

test('a large payload is encoded in pieces, each byte as it was', () => {
  const text = Buffer.from('"\\ü€\u0000\n'.repeat(300_000))
  for (const payload of [text, text.subarray(1, -1), Buffer.concat([text, Buffer.from([0xff])])]) {
    const line = encodeDeadLetter(letterOf(1, { payload }), 0)
    assert.equal(line.indexOf(10), line.length - 1)
    assert(Buffer.from(decodeDeadLetter(line)?.payload ?? []).equals(payload))
  }
})

test('a real disk takes letters as well', async (t) => {
  const { mkdtempSync, rmSync, statSync } = await import('node:fs')
  const directory = mkdtempSync('/tmp/logpipe-letters-')
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const shared = { file: `${directory}/sub/dead.jsonl`, locks: new TestLocks(), clock: systemClock }
  const letters = await openFileDeadLetters({ ...shared, bytesMax: 1_000_000, fileBytesMax: 1000 })
  for (let offset = 0; offset < 9; offset++) await letters.put([letterOf(offset)])
  await letters.close()
  assert.equal(statSync(shared.file).mode & 0o777, 0o600)
  const box = new DeadLetterStore(shared)
  assert.equal(await box.drop(parseWhere(['offset=0..7'])), 8)
  assert.deepEqual(await offsetsIn(box), [8])
})
