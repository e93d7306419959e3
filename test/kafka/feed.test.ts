/** The feed: rate, lead, back-pressure, and what it counts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'
import { feed, turnOf, type FeedOptions, type FeedTotals } from '../../src/kafka/feed.ts'

/** Runs a feed whose clock moves `stepMs` whenever the feed waits, until it ends. */
async function run(given: Partial<FeedOptions>, aborts: (totals: FeedTotals) => boolean) {
  const clock = new ManualClock()
  const abort = new AbortController()
  const totals: FeedTotals = { records: 0, bytes: 0, matches: 0 }
  const sent: { partition: number | null; id: number }[] = []
  let made = 0
  const options: FeedOptions = {
    producer: {
      send(_topic, partition, _key, value) {
        sent.push({ partition, id: value[0] ?? -1 })
        return true
      },
    },
    topic: 't',
    partitionCount: 3,
    next: () => ({ bytes: Uint8Array.of(made++ % 256), key: null, isMatch: made % 10 === 0 }),
    recordsMax: Infinity,
    recordsPerSecond: Infinity,
    sentMax: () => Infinity,
    signal: abort.signal,
    clock,
    ...given,
  }
  const done = feed(options, totals)
  const state = { isDone: false }
  const watched = done.finally(() => (state.isDone = true))
  for (let turn = 0; !state.isDone && turn < 100_000; turn++) {
    if (aborts(totals) || clock.monotonicMs() >= 1000) abort.abort()
    clock.advance(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await watched
  return { totals, sent, clock }
}

test('a feed without limits sends the records asked for, in turns over partitions', async () => {
  const { totals, sent } = await run({ recordsMax: 5000 }, () => false)
  assert.deepEqual(totals, { records: 5000, bytes: 5000, matches: 500 })
  assert.deepEqual(
    sent.slice(0, 4).map((each) => each.partition),
    [0, 1, 2, 0],
  )
})

test('a rate is kept', async () => {
  const { totals, clock } = await run({ recordsPerSecond: 5000 }, () => false)
  assert.equal(clock.monotonicMs() >= 1000, true)
  assert.ok(Math.abs(totals.records - 5000) < 50, `${totals.records} records in a second`)
})

test('a rate below one a second still sends its first record', async () => {
  const { totals } = await run({ recordsPerSecond: 0.5 }, () => false)
  assert.equal(totals.records, 1)
})

test('the feed never goes further ahead than it may', async () => {
  let read = 0
  const { totals } = await run(
    {
      sentMax: () => read + 100,
    },
    (now) => {
      assert.ok(now.records <= read + 100)
      read = Math.max(read, now.records - 40)
      return now.records > 3000
    },
  )
  assert.ok(totals.records > 3000)
})

test('a record that a full producer refused is sent again, and none is skipped', async () => {
  let calls = 0
  const taken: number[] = []
  const producer: FeedOptions['producer'] = {
    send(_topic, _partition, _key, value) {
      if (++calls % 3 === 0) return false
      taken.push(value[0] ?? -1)
      return true
    },
  }
  const { totals } = await run({ producer, recordsMax: 200 }, () => false)
  assert.equal(totals.records, 200)
  assert.deepEqual(
    taken,
    Array.from({ length: 200 }, (_unused, index) => index),
  )
})

test('an aborted feed ends although nobody reads', async () => {
  const { totals } = await run({ sentMax: () => 0 }, () => true)
  assert.equal(totals.records, 0)
})

test('matches at a fixed distance go to every partition, and partitions get as much', () => {
  for (const distance of [100, 1000, 25_000]) {
    const numbers = Array.from({ length: 40 }, (_, index) => (index + 1) * distance - 1)
    const partitions = new Set(numbers.map((number) => turnOf(number, 4)))
    assert.equal(partitions.size, 4, `each ${distance}th`)
  }
  const counts = [0, 0, 0, 0]
  for (let number = 0; number < 100_000; number++) counts[turnOf(number, 4)]!++
  assert.deepEqual(counts, [25_000, 25_000, 25_000, 25_000])
})
