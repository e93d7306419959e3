/** What metrics from logs count a second, as the control plane keeps it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogRates } from '../../src/control/log-rates.ts'
import { ManualClock } from '../../src/core/clock.ts'

const START_MS = 1_800_000_000_000

test('totals of workers become rates of their pipeline, in steps of ten seconds', () => {
  const clock = new ManualClock(START_MS)
  const rates = new LogRates(clock)
  for (let second = 0; second < 30; second++) {
    const uptime = { uptime_seconds: second, polled_total: second }
    rates.record('w1', 1, { ...uptime, log_errors_total: second * 5 }, 5000)
    rates.record('w2', 1, { ...uptime, log_errors_total: second, log_took_sum: second / 2 }, 5000)
    rates.record('w3', 2, uptime, 5000)
    rates.tick()
    clock.advance(1000)
  }
  assert.deepEqual(rates.between(1, START_MS + 10_000, START_MS + 20_000), {
    log_errors_per_second: 6,
    log_took_sum_per_second: 0.5,
  })
  assert.deepEqual(rates.between(2, START_MS, START_MS + 30_000), {}, 'it counts nothing')
  assert.deepEqual(rates.between(1, START_MS + 40_000, START_MS + 50_000), {}, 'no time yet')
  for (let second = 0; second < 20; second++) {
    rates.tick()
    clock.advance(1000)
  }
  assert.deepEqual(rates.between(1, START_MS + 40_000, START_MS + 50_000), {}, 'silent workers')
})

test('names and steps are bounded', () => {
  const clock = new ManualClock(START_MS)
  const rates = new LogRates(clock)
  const names = Array.from({ length: 40 }, (_, index) => `log_m${index}_total`)
  for (let step = 0; step < 2500; step++) {
    rates.record('w1', 1, Object.fromEntries(names.map((name) => [name, step])), 20_000)
    rates.tick()
    clock.advance(10_000)
  }
  const endMs = START_MS + 2500 * 10_000
  assert.equal(Object.keys(rates.between(1, endMs - 20_000, endMs)).length, 12)
  assert.deepEqual(rates.between(1, START_MS, START_MS + 100_000), {}, 'six hours are kept')
})
