/** What is kept beside a committed offset. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeNote, encodeNote, METADATA_BYTES_MAX, NO_PAST } from '../../src/kafka/commit-note.ts'
import { LABEL_MAX } from '../../src/kafka/pipeline-identity.ts'

const MARKED = 'read=5@1 marked=none x'
const CLOSED = 'closed=5@1 closing=none x'

test('what a commit says beside its offset is bounded, and read back', () => {
  const plain = { noNullPrototype: true }
  const group = fc.record({ atMs: fc.maxSafeNat(), partitions: fc.maxSafeNat() }, plain)
  const past = fc.record(
    { epoch: fc.integer({ min: -1 }), readTo: fc.maxSafeNat(), markFrom: fc.integer({ min: -1 }) },
    plain,
  )
  const nat = fc.maxSafeNat()
  const windows = fc.record(
    {
      closedTo: fc.oneof(fc.constant(-1), nat),
      closedAt: nat,
      closing: fc.option(fc.record({ to: nat, at: nat }, plain)),
    },
    plain,
  )
  const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`))
  const label = fc.string({ unit: 'grapheme', maxLength: LABEL_MAX }).map((text) => {
    return text.slice(0, LABEL_MAX).toWellFormed()
  })
  const confusing = fc.constantFrom(
    '',
    ' ',
    'started=1 partitions=2 x',
    'partitions=1 x',
    'a\nb',
    MARKED,
    CLOSED,
  )
  const note = fc.record(
    {
      pipeline: fc.record({ fingerprint: hex(12), label: fc.oneof(label, confusing) }, plain),
      topicId: fc.option(hex(32)),
      group: fc.option(group),
      past,
      windows: fc.option(windows),
    },
    plain,
  )
  fc.assert(
    fc.property(note, (given) => {
      const text = encodeNote(given)
      assert.ok(Buffer.byteLength(text) <= METADATA_BYTES_MAX)
      assert.deepEqual(decodeNote(text), given)
    }),
  )
})

test('what others commit beside their offsets is no note', () => {
  fc.assert(fc.property(fc.string(), (text) => assert.equal(decodeNote(text), null)))
  const fingerprint = '0'.repeat(12)
  for (const text of [null, `logpipe ${fingerprint} x`, `logpipe ${fingerprint} topic=app x`]) {
    assert.equal(decodeNote(text), null)
  }
})

test('a note of version 0.2 says nothing about what was read', () => {
  const text = `logpipe ${'0'.repeat(12)} topic=none started=5 partitions=2 read me`
  assert.deepEqual(decodeNote(text), {
    pipeline: { fingerprint: '0'.repeat(12), label: 'read me' },
    topicId: null,
    group: { atMs: 5, partitions: 2 },
    past: NO_PAST,
    windows: null,
  })
})
