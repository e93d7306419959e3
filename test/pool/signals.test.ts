/** The credit of an output, and the phase of the pipeline. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PHASE_DRAIN, PHASE_END, Signals } from '../../src/pool/signals.ts'

const newSignals = () => new Signals(Signals.allocate())

test('credit comes back in parts, to the last document and byte', () => {
  const signals = newSignals()
  assert.equal(signals.isAllReleased, true)
  signals.take(3, 2500)
  signals.take(1, 1)
  assert.equal(signals.isFull({ documents: 4, bytes: 1e9 }), true)
  signals.release(1, 2048)
  signals.release(2, 452)
  assert.equal(signals.isAllReleased, false)
  signals.release(1, 1)
  assert.equal(signals.isAllReleased, true)
})

test('no more is given back than was taken', () => {
  const signals = newSignals()
  signals.take(2, 2000)
  assert.throws(() => signals.release(3, 2000), /it was taken before/)
  const bytes = newSignals()
  bytes.take(2, 1000)
  assert.throws(() => bytes.release(2, 2000), /it was taken before/)
})

test('the phase only moves on', () => {
  const signals = newSignals()
  signals.setPhase(PHASE_DRAIN)
  signals.setPhase(PHASE_END)
  signals.setPhase(PHASE_END)
  assert.throws(() => signals.setPhase(PHASE_DRAIN), /phase 2 to 1/)
})
