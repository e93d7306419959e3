/** The memory sum, by figures that were measured. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogpipeError } from '../../src/core/errors.ts'
import { checkMemory, memorySum } from '../../src/options/memory.ts'
import { resolve } from '../../src/options/resolve.ts'

const MIB = 1024 * 1024
const configOf = (args: string) =>
  resolve({ command: 'run', args: args === '' ? [] : args.split(' '), env: {} }).config

test('the sum is that of its parts, by their formulas', () => {
  const sum = memorySum(configOf('--es-enabled'), 256 * MIB, 3)
  const byName = new Map(sum.parts.map(({ name, bytes }) => [name, bytes / MIB]))
  assert.equal(byName.get('pool'), 256)
  assert.equal(byName.get('consumers'), 2 * (64 + 3 * 50 * 8))
  assert.equal(byName.get('queue'), 256)
  assert.equal(byName.get('requests'), 8 * 16 * 2)
  assert.equal(byName.get('program'), 200)
  assert.equal(
    sum.bytes,
    sum.parts.reduce((total, { bytes }) => total + bytes, 0),
  )
})

test('without Elasticsearch there is no queue for it', () => {
  const names = memorySum(configOf(''), 0, 1).parts.map(({ name }) => name)
  assert.deepEqual(names, ['pool', 'batches in slots', 'consumers', 'program'])
})

test("the profile's and the user's fetch settings count", () => {
  const consumers = (args: string) =>
    memorySum(configOf(args), 0, 1).parts.find(({ name }) => name === 'consumers')?.bytes
  assert.equal(consumers('--profile aggressive'), 2 * (256 + 64 * 8) * MIB)
  assert.equal(consumers('--kafka-config fetch.max.bytes=1048576'), 2 * (64 + 8) * MIB)
})

test('a sum above four fifths of the limit is refused, naming the largest part', () => {
  const sum = memorySum(configOf(''), 256 * MIB, 1)
  checkMemory(sum, null)
  checkMemory(sum, sum.bytes / 0.8)
  assert.throws(
    () => checkMemory(sum, sum.bytes / 0.8 - 10),
    (error) =>
      error instanceof LogpipeError &&
      error.code === 'MEMORY' &&
      /largest part is consumers/.test(error.message),
  )
})
