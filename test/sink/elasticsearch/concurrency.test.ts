import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Concurrency } from '../../../src/sink/elasticsearch/concurrency.ts'

const MIB = 1024 * 1024

/** A controller, and a server that answers one request after another. */
class Trial {
  readonly control = new Concurrency({
    requestsMax: 8,
    bytesMax: 16 * MIB,
    timeoutMs: 3000,
    timeoutMaxMs: 60_000,
  })
  nowMs = 0

  answer(count: number, roundTripMs = 100, rejectedCount = 0, wasAtLimit = true): void {
    for (let at = 0; at < count; at++) {
      const startedMs = this.nowMs
      this.nowMs += roundTripMs
      this.control.answered({
        startedMs,
        endedMs: this.nowMs,
        tookMs: roundTripMs,
        documentCount: 100,
        byteCount: MIB,
        rejectedCount,
        wasAtLimit,
      })
    }
  }
}

test('good answers add one request a round, up to the bound', () => {
  const trial = new Trial()
  assert.equal(trial.control.limit, 2)
  trial.answer(3)
  assert.equal(trial.control.limit, 3)
  trial.answer(100)
  assert.equal(trial.control.limit, 8)
})

test('idleness proves nothing', () => {
  const trial = new Trial()
  trial.answer(100, 100, 0, false)
  assert.equal(trial.control.limit, 2)
})

test('refusals cut at once, and once for a round', () => {
  const trial = new Trial()
  trial.answer(100)
  trial.answer(1, 100, 10)
  assert.equal(trial.control.limit, 6)
  trial.answer(1, 100, 90)
  assert.equal(trial.control.limit, 6, 'it had started before the cut')
  trial.answer(1, 100, 90)
  assert.equal(trial.control.limit, 3)
  trial.answer(100, 100, 100)
  assert.equal(trial.control.limit, 1)
})

test('slow answers end the growth, and answers near the time-out cut', () => {
  const trial = new Trial()
  trial.answer(10)
  const before = trial.control.limit
  trial.answer(3, 500)
  assert.equal(trial.control.limit, before)
  trial.answer(1, 2000)
  assert(trial.control.limit < before)
})

test('a time-out halves requests and bytes; good answers bring the bytes back', () => {
  const trial = new Trial()
  trial.answer(100)
  trial.control.timedOut(trial.nowMs + 1, trial.nowMs + 3000)
  assert.equal(trial.control.limit, 4)
  assert.equal(trial.control.bytes, 8 * MIB)
  trial.nowMs += 3000
  trial.answer(8)
  assert.equal(trial.control.bytes, 16 * MIB)
})

test('what a 413 taught is remembered, and tried again after a while', () => {
  const trial = new Trial()
  trial.control.tooLarge(10 * MIB, trial.nowMs)
  trial.answer(100)
  assert.equal(trial.control.bytes, 5 * MIB)
  trial.answer(700)
  assert.equal(trial.control.bytes, 10 * MIB)
  trial.control.tooLarge(10 * MIB, trial.nowMs)
  assert.equal(trial.control.bytes, 5 * MIB)
  trial.answer(5000)
  assert.equal(trial.control.bytes, 16 * MIB)
})

test('the time-out grows to twice the time that an answer took, and shrinks again', () => {
  const trial = new Trial()
  trial.answer(1, 2500)
  assert.equal(trial.control.timeoutMs, 5000)
  trial.answer(1, 4900)
  assert.equal(trial.control.timeoutMs, 9800)
  trial.answer(1000)
  assert.equal(trial.control.timeoutMs, 3000)
})

test('documents that are there at their second try double the time-out, up to its bound', () => {
  const { control } = new Trial()
  control.arrivedLate(3000)
  assert.equal(control.timeoutMs, 6000)
  control.arrivedLate(3000)
  assert.equal(control.timeoutMs, 6000, 'it knew that already')
  control.arrivedLate(48_000)
  assert.equal(control.timeoutMs, 60_000)
})

test('patience lasts until the first answer', () => {
  const trial = new Trial()
  for (let count = 0; count < 10; count++) trial.control.beMorePatient()
  assert.equal(trial.control.timeoutMs, 60_000)
  trial.answer(1)
  assert.equal(trial.control.timeoutMs, 3000)
})
