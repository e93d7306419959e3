/** What is sent for `dlq replay` and `spill drain`: what is taken, what waits, and when it ends. */
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { ManualClock } from '../../../src/core/clock.ts'
import { DocumentSender } from '../../../src/sink/elasticsearch/document-sender.ts'
import { ELASTICSEARCH_DEFAULTS } from '../../helpers/elasticsearch-defaults.ts'
import { FakeBulk, type FakeItem } from '../../helpers/fake-bulk.ts'

const BLOCKED = {
  status: 403,
  type: 'cluster_block_exception',
  reason: 'index [blocked] blocked by: [FORBIDDEN/8/index write (api)];',
}
const BUSY = { status: 429, type: 'es_rejected_execution_exception', reason: 'queue is full' }
const MALFORMED = { status: 400, type: 'document_parsing_exception', reason: 'no such date' }

function documentOf(index: string, offset: number) {
  const document = Buffer.from(
    `{"create":{"_index":"${index}","_id":"app-0-${offset}"}}\n{"n":${offset}}\n`,
  )
  const time = { timestampMs: 1000, timestampType: 'create' } as const
  return { topic: 'app', partition: 0, offset, ...time, document }
}

function bench(fault: (item: FakeItem) => typeof BLOCKED | null) {
  const clock = new ManualClock()
  const fake = new FakeBulk()
  fake.script = () => ({ kind: 'items', fault })
  const stop = new AbortController()
  const sender = new DocumentSender(ELASTICSEARCH_DEFAULTS, {
    deadLetters: null,
    signal: stop.signal,
    graceMs: 1000,
    clock,
    openTransport: () => fake.transport(clock),
  })
  /** Sends, and moves the time until that has ended. @returns also the time that it took. */
  const send = async (documents: Parameters<typeof sender.send>[0]) => {
    const startMs = clock.monotonicMs()
    let isOver = false
    const sending = sender.send(documents).finally(() => (isOver = true))
    for (let steps = 0; steps < 2000; steps++) {
      for (let turns = 0; turns < 5; turns++) await turn()
      if (isOver) break
      clock.advance(100)
    }
    assert(isOver, 'it ends')
    return { sent: await sending, tookMs: clock.monotonicMs() - startMs }
  }
  return { clock, fake, stop, sender, send }
}

test('all that can be sent is sent, though an index waits, which is asked once', async () => {
  const { fake, sender, send } = bench(({ index }) => (index === 'blocked' ? BLOCKED : null))
  const batchOf = (first: number) =>
    Array.from({ length: 10 }, (_, place) =>
      documentOf(place === 5 ? 'blocked' : 'logs', first + place),
    )
  const first = await send(batchOf(0))
  assert.deepEqual(
    first.sent.map((outcome) => outcome ?? 'waits'),
    batchOf(0).map((_, place) => (place === 5 ? 'waits' : 'indexed')),
  )
  assert(first.tookMs < 20_000, `${first.tookMs} ms`)
  assert.match(sender.whyWaiting('blocked') ?? '', /403 cluster_block_exception: index \[blocked\]/)
  assert.equal(sender.whyWaiting('logs'), null)
  const second = await send(batchOf(10))
  assert.equal(second.sent.filter((outcome) => outcome === 'indexed').length, 9)
  assert(second.tookMs < 1000, `${second.tookMs} ms`)
  assert.equal(sender.failure, null)
  assert.equal(fake.documents.size, 18)
  await sender.close()
})

test('documents of one index of which only some are refused are each tried', async () => {
  // A pipeline may send some of an index elsewhere.
  const { sender, send } = bench(({ id }) => (id?.endsWith('3') === true ? BLOCKED : null))
  for (const tens of [0, 10, 20]) {
    const { sent } = await send([documentOf('logs', tens + 3), documentOf('logs', tens + 4)])
    assert.deepEqual(sent, [undefined, 'indexed'])
  }
  await sender.close()
})

test('what is refused for now is not given up while others wait', async () => {
  let busyTries = 8
  const { sender, send } = bench(({ index }) => {
    if (index === 'blocked') return BLOCKED
    return index === 'busy' && busyTries-- > 0 ? BUSY : null
  })
  const { sent } = await send([documentOf('blocked', 1), documentOf('busy', 2)])
  assert.deepEqual(sent, [undefined, 'indexed'])
  await sender.close()
})

test('where nothing at all is taken for a minute, the sending ends', async () => {
  const { fake, sender, send } = bench(() => null)
  fake.script = () => ({ kind: 'reset', isApplied: false })
  const { sent, tookMs } = await send([documentOf('logs', 1)])
  assert.deepEqual(sent, [undefined])
  assert(tookMs >= 60_000)
  const failure = sender.failure as (Error & { code?: string }) | null
  assert.equal(failure?.code, 'ES_UNREACHABLE')
  await sender.close()
})

test('what was taken before a failure is among the answers', async () => {
  const { sender, send } = bench(({ id }) => (id === 'app-0-2' ? MALFORMED : null))
  const { sent } = await send([documentOf('logs', 1), documentOf('logs', 2)])
  assert.deepEqual(sent, ['indexed', undefined])
  assert.match(sender.failure?.message ?? '', /app-0 offset 2 .*no such date/)
  await sender.close()
})

test('after a stop, what is under way has its time', async () => {
  const { sender, stop, send } = bench(() => BUSY)
  stop.abort()
  const { sent, tookMs } = await send([documentOf('logs', 1)])
  assert.deepEqual(sent, [undefined])
  assert(tookMs < 5000)
  assert.equal((sender.failure as { code?: string } | null)?.code, 'DEADLINE')
  await sender.close()
})
