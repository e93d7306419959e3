import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HEADER_BYTES } from '../../../src/sink/spill/format.ts'
import { AppendPart, type ReadEntry, Segment } from '../../../src/sink/spill/segment.ts'

const ENTRY_BYTES = 100

/** A segment with one published entry. */
function segmentOfOne() {
  const segment = new Segment(1, Buffer.alloc(8, 1), false)
  segment.grow(HEADER_BYTES)
  const group = segment.groups.of('topic', 0, 'logs')
  const part = new AppendPart(segment)
  segment.encoded(part, group, ENTRY_BYTES)
  segment.grow(ENTRY_BYTES)
  part.endAt(segment.size)
  segment.publish(part)
  const entry: ReadEntry = {
    topic: 'topic',
    partition: 0,
    offset: 7,
    timestampMs: -1,
    timestampType: 'none',
    index: 'logs',
    document: Buffer.from('{}'),
    tag: 0,
    leftover: false,
    segment,
    ordinal: 0,
    group,
    position: HEADER_BYTES,
    bytes: ENTRY_BYTES,
  }
  return { segment, group, entry }
}

test('a segment is done when it has ended, nothing in it is live, and nobody reads it', () => {
  const { segment, group, entry } = segmentOfOne()
  segment.beginRead()
  segment.handOut(0, group, ENTRY_BYTES)
  segment.release(entry)
  assert.equal(segment.isDrained, true)
  assert.equal(segment.isDone, false)
  segment.end()
  assert.equal(segment.isDone, false)
  segment.endRead()
  assert.equal(segment.isDone, true)
})

/** Its one entry was sent, and is reported as damaged besides. */
function releasedWithDamage() {
  const { segment, group, entry } = segmentOfOne()
  segment.end()
  segment.beginRead()
  segment.handOut(0, group, ENTRY_BYTES)
  segment.endRead()
  segment.release(entry)
  segment.pin(0)
  return segment
}

test('a segment with pending damage stays, and its progress stops at the first lost entry', () => {
  const segment = releasedWithDamage()
  assert.deepEqual([segment.isDone, segment.goneBelow], [false, 0])
  segment.unpin()
  assert.deepEqual([segment.isDone, segment.goneBelow], [true, 1])
})

test('a loss that was dealt with does not hold back the progress of a later one', () => {
  const segment = releasedWithDamage()
  segment.unpin()
  segment.pin(1)
  assert.equal(segment.goneBelow, 1)
})

test('a part of an append is published or discarded, once', () => {
  const { segment, group } = segmentOfOne()
  const part = new AppendPart(segment)
  segment.encoded(part, group, ENTRY_BYTES)
  assert.throws(() => part.endAt(segment.size), /blocks lie one behind the other/)
  segment.discard(part)
  assert.throws(() => segment.publish(part), /published or discarded, once/)
  assert.throws(() => segment.encoded(part, group, ENTRY_BYTES), /a part that ended/)
  segment.end()
  const late = new AppendPart(segment)
  assert.throws(() => segment.encoded(late, group, ENTRY_BYTES), /an ended segment/)
})

test('an entry that is given back is read again, and damage is looked at again', () => {
  const { segment, group, entry } = segmentOfOne()
  segment.beginRead()
  segment.readOn(segment.size)
  segment.handOut(0, group, ENTRY_BYTES)
  segment.knowDamage([{ from: HEADER_BYTES, to: segment.size }])
  assert.equal(segment.isKnownDamage({ from: HEADER_BYTES + 1, to: segment.size }), true)
  assert.equal(segment.isKnownDamage({ from: 0, to: segment.size }), false)
  assert.equal(segment.unread(entry), true)
  assert.equal(segment.readPosition, HEADER_BYTES)
  assert.equal(segment.isKnownDamage({ from: HEADER_BYTES + 1, to: segment.size }), false)
})

test('a step that the state does not allow is an assertion', () => {
  const { segment, group, entry } = segmentOfOne()
  assert.throws(() => segment.handOut(0, group, ENTRY_BYTES), /taken by a read/)
  assert.throws(() => segment.setAside(), /set aside before its file goes/)
  assert.throws(() => segment.remove(), /nobody writes it any more/)
  assert.throws(() => segment.release(entry), /released once, after a read/)
  assert.throws(() => segment.endRead(), /a read ends once/)
  assert.throws(() => segment.readOn(segment.size + 1), /a position in the segment/)
  segment.end()
  assert.throws(() => segment.end(), /ended once/)
  segment.remove()
  assert.throws(() => segment.remove(), /removed once/)
  assert.throws(() => segment.beginRead(), /a removed segment is not read/)
  assert.throws(() => segment.setAside(), /set aside before its file goes/)
})
