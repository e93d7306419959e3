/** Connecting, joining, catching up, up to date: which it is, and in what words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { LagEstimate } from '../../src/metrics/lag-meter.ts'
import { headline, type Phase, Phases, phaseText } from '../../src/run/phases.ts'
import type { Status } from '../../src/run/status.ts'

const STATUS: Status = {
  free: 0,
  ready: 0,
  in_flight: 0,
  total: 0,
  polled_per_second: 85_000,
  polled_bytes_per_second: 86_302_720,
  matched: 0,
  drop_filter: 0,
  dropped: 0,
  written_per_second: 0,
  queued: 0,
  spill_bytes: 0,
  lag: 1_200_000,
  lag_bytes: 2 ** 30,
  lag_seconds: 303,
  lag_drain_seconds: 12,
  spill_drain_seconds: null,
  progress: null,
  counted: {},
  metrics: {},
  replaying: false,
  trouble: null,
  waiting: [],
  stuck: [],
}

function lagOf(lagRecords: number, lagSeconds: number | null): LagEstimate {
  return { lagRecords, lagSeconds, lagBytes: null, drainSeconds: null }
}

/** Looks once a second. @returns the phases that were news. */
function phasesFixture() {
  const phases = new Phases()
  let nowMs = 0
  const told: Phase[] = []
  const look = (reading: 'connecting' | 'joining' | 'standby' | 'reading', lag?: LagEstimate) => {
    nowMs += 1000
    const found = phases.look({ reading, lag: lag ?? null, recordsPerSecond: 100 }, nowMs)
    if (found?.isNew === true) told.push(found.phase)
    return found?.phase ?? null
  }
  return { look, told }
}

test('a start goes through its phases, each told once', () => {
  const { look, told } = phasesFixture()
  look('connecting')
  look('connecting')
  look('joining')
  assert.equal(look('reading'), 'joining', 'until an end of a partition is known')
  look('reading', lagOf(5000, 400))
  look('reading', lagOf(3000, 30))
  look('reading', lagOf(100, 9))
  look('reading', lagOf(0, 0))
  assert.deepEqual(told, ['connecting', 'joining', 'catching_up', 'up_to_date'])
})

test('a burst, or a record a day, is no news; to fall behind is, and so is a lost broker', () => {
  const { look, told } = phasesFixture()
  look('reading', lagOf(0, 0))
  for (let second = 0; second < 5; second++) look('reading', lagOf(1, 86_400))
  look('reading', lagOf(0, 0))
  for (let second = 0; second < 60; second++) look('reading', lagOf(9000, 30))
  assert.deepEqual(told, ['up_to_date'])
  for (let second = 0; second < 7; second++) look('reading', lagOf(9000, 61))
  look('connecting')
  look('standby')
  assert.deepEqual(told, ['up_to_date', 'catching_up', 'connecting', 'standby'])
})

test('who has partitions, and gets nothing more in a rebalance, does not stand by', () => {
  const { look, told } = phasesFixture()
  look('reading', lagOf(0, 0))
  look('standby', lagOf(3, 0))
  look('standby')
  assert.deepEqual(told, ['up_to_date', 'standby'])
})

test('without timestamps it counts how long the rest takes at this rate', () => {
  const { look, told } = phasesFixture()
  look('reading', lagOf(100_000, null))
  look('reading', lagOf(900, null))
  assert.deepEqual(told, ['catching_up', 'up_to_date'])
})

test('whatever comes, news is another phase than the one before', () => {
  const step = fc.record({
    reading: fc.constantFrom('connecting', 'joining', 'standby', 'reading'),
    records: fc.nat(1_000_000),
    seconds: fc.option(fc.nat(1000)),
    isKnown: fc.boolean(),
    rate: fc.nat(10),
  })
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const phases = new Phases()
      let before: Phase | null = null
      for (const [at, { reading, records, seconds, isKnown, rate }] of steps.entries()) {
        const lag = isKnown ? lagOf(records, seconds) : null
        const found = phases.look({ reading, lag, recordsPerSecond: rate }, at * 1000)
        assert.equal(found?.isNew ?? false, found !== null && found.phase !== before)
        if (reading === 'connecting' || reading === 'joining') assert.equal(found?.phase, reading)
        if (reading === 'standby' && !isKnown) assert.equal(found?.phase, reading)
        before = found?.phase ?? null
      }
    }),
  )
})

test('a phase is told with what matters in it, the first line of a terminal with trouble', () => {
  assert.equal(
    phaseText('catching_up', STATUS),
    'catching up: 1,200,000 records behind, 1.0 GiB, reading what is 5m 3s old, done in 12.0 s',
  )
  assert.equal(phaseText('up_to_date', STATUS), 'up to date')
  const calm = { ...STATUS, lag: 0 }
  assert.equal(
    headline('up_to_date', calm, []),
    'up to date | 85,000 records/s, 82.3 MiB/s | nothing left to read',
  )
  assert.match(headline('up_to_date', STATUS, []), / \| 1,200,000 records behind$/)
  assert.match(headline('catching_up', STATUS, []), / behind, 1\.0 GiB, .* old, done in 12\.0 s$/)
  const trouble = { kind: 'elasticsearch_down', place: null, since: '' }
  const troubles = [{ ...trouble, text: 'Elasticsearch is down: refused' }]
  const unknown = { ...STATUS, polled_per_second: 0, polled_bytes_per_second: 0, lag: null }
  assert.equal(
    headline('joining', unknown, troubles),
    'joining the group | Elasticsearch is down: refused | 0 records/s, 0 B/s',
  )
})
