/** The states of a slot: every legal way, and every illegal one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  SLOT_FILLING,
  SLOT_FILTERING,
  SLOT_FREE,
  SLOT_READY,
  slotLayout,
} from '../../src/pool/layout.ts'
import { Slots } from '../../src/pool/slots.ts'

const SHAPE = { slotCount: 4, bufferBytes: 1024, recordsMax: 8 }
const newSlots = (readyMax = 4) => new Slots(Slots.allocate(SHAPE, readyMax))

test('a slot goes from FREE through FILLING, READY and FILTERING back to FREE', () => {
  const slots = newSlots()
  const slot = slots.acquire(0)!
  assert.equal(slots.state(slot), SLOT_FILLING)
  assert(slots.trySeal(slot))
  assert.equal(slots.state(slot), SLOT_READY)
  assert.equal(slots.claim(0), slot)
  assert.equal(slots.state(slot), SLOT_FILTERING)
  slots.release(slot)
  assert.equal(slots.state(slot), SLOT_FREE)
  assert.deepEqual(slots.counts(), { free: 4, filling: 0, ready: 0, filtering: 0 })
})

test('a slot that stayed empty is given back, and direct mode claims its own', () => {
  const slots = newSlots()
  const first = slots.acquire(0)!
  slots.giveBack(first)
  const second = slots.acquire(0)!
  slots.claimOwn(second)
  assert.deepEqual(slots.counts(), { free: 3, filling: 0, ready: 0, filtering: 1 })
  slots.release(second)
  assert.equal(slots.freeCount, 4)
})

test('a full queue leaves the slot with the thread that filled it', () => {
  const slots = newSlots(1)
  const first = slots.acquire(0)!
  const second = slots.acquire(0)!
  assert(slots.trySeal(first))
  assert.equal(slots.trySeal(second), false)
  assert.equal(slots.state(second), SLOT_FILLING)
})

test('an empty pool and an empty queue answer with nothing', () => {
  const slots = newSlots()
  for (let index = 0; index < 4; index++) assert.notEqual(slots.acquire(0), undefined)
  assert.equal(slots.acquire(0), undefined)
  assert.equal(slots.acquire(1), undefined)
  assert.equal(slots.claim(1), undefined)
})

test('every transition that the diagram does not show is an assertion', () => {
  const steps = {
    giveBack: [SLOT_FILLING],
    trySeal: [SLOT_FILLING],
    claimOwn: [SLOT_FILLING],
    release: [SLOT_FILTERING],
  } as const
  const { slotBytes } = slotLayout(SHAPE)
  for (const [step, allowed] of Object.entries(steps)) {
    for (const state of [SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_FILTERING]) {
      if ((allowed as readonly number[]).includes(state)) continue
      const slots = newSlots()
      const slot = slots.acquire(0)!
      new Int32Array(slots.memory.slots)[(slot * slotBytes) / 4] = state
      assert.throws(() => slots[step as keyof typeof steps](slot), /should have been in state/)
    }
  }
})

test('slots lie at multiples of 64 bytes and do not overlap', () => {
  for (const recordsMax of [1, 7, 256, 8192]) {
    const { runsAt, recordsAt, payloadAt, slotBytes } = slotLayout({
      bufferBytes: 1000,
      recordsMax,
    })
    assert.equal(slotBytes % 64, 0)
    assert.equal(payloadAt % 64, 0)
    assert(runsAt >= 64 && recordsAt > runsAt && payloadAt >= recordsAt + recordsMax * 40)
    assert(slotBytes >= payloadAt + 1000)
  }
})
