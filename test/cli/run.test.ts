/** The live tail's samples: few, whole, and only while they are asked for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'
import { TailSampler } from '../../src/cli/run.ts'

function batchOf(...documents: readonly string[]) {
  const body = new Uint8Array(Buffer.from(documents.join('')))
  let end = 0
  const ends = new Uint32Array(documents.map((text) => (end += Buffer.byteLength(text))))
  return { body, ends, runs: [] }
}

function sampler() {
  const clock = new ManualClock()
  const sent: string[] = []
  return { clock, sent, tail: new TailSampler(clock, (entries) => sent.push(...entries)) }
}

test('nothing is shown unless asked for, and no longer than that', () => {
  const { clock, sent, tail } = sampler()
  tail.accept(batchOf('a\n'))
  tail.show(2)
  tail.accept(batchOf('b\n'))
  clock.advance(2000)
  tail.accept(batchOf('c\n'))
  assert.deepEqual(sent, ['b'])
  tail.show(1e9)
  clock.advance(60_000)
  tail.accept(batchOf('d\n'))
  for (const seconds of [-1, NaN, 0]) {
    tail.show(seconds)
    tail.accept(batchOf('e\n'))
  }
  assert.deepEqual(sent, ['b'], 'an order has an end, whatever it says')
})

test('a second has five samples at most', () => {
  const { clock, sent, tail } = sampler()
  tail.show(10)
  for (let second = 0; second < 3; second++) {
    for (let count = 0; count < 100; count++) tail.accept(batchOf('x\n'))
    clock.advance(1000)
  }
  assert.equal(sent.length, 15)
})

test('a sample is the document, without what says where it goes', () => {
  const { sent, tail } = sampler()
  tail.show(10)
  tail.accept(batchOf('{"create":{}}\n{"message":"é ERROR"}\n', '{"create":{}}\n{}\n'))
  tail.accept(batchOf('no line end'))
  tail.accept(batchOf('\n'))
  tail.accept(batchOf(`${'x'.repeat(20_000)}\n`))
  assert.deepEqual(sent.slice(0, 3), ['{"message":"é ERROR"}', 'no line end', ''])
  assert.equal(sent[3]?.length, 16_000)
})
