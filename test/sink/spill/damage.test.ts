/**
 * Goal: no damage to a file makes a wrong document or takes an intact one along, and all that it
 * destroys is named by its source.
 * Method: a small segment, sealed or as a crash left it, with each byte changed in turn and cut at
 * each byte; the program and the second reader must find the same entries.
 */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import type { SpillDamage, SpillEntry } from '../../../src/sink/spill/contract.ts'
import type { MemoryDisk } from '../../helpers/memory-disk.ts'
import { readSegment } from '../../helpers/second-spill-reader.ts'
import { entryOf, openTestSpill } from '../../helpers/spills.ts'

const BATCHES: readonly (readonly SpillEntry[])[] = [
  [entryOf(0, 10), entryOf(1, 70), entryOf(0, 17)],
  [entryOf(0, 20, 90)],
  [entryOf(1, 71), entryOf(0, 31)],
]
const ENTRIES = BATCHES.flat()

interface Sample {
  readonly file: string
  readonly bytes: Buffer
  readonly disk: MemoryDisk
  /** Where each entry's block starts and ends. */
  readonly blocks: readonly { readonly entry: SpillEntry; from: number; to: number }[]
}

async function makeSample(sealed: boolean): Promise<Sample> {
  const { spill, disk } = await openTestSpill()
  for (const batch of BATCHES) await spill.append(batch)
  if (sealed) await spill.close()
  const kept = disk.kill()
  const file = kept.files.find((name) => name.endsWith('.spill')) ?? ''
  const bytes = kept.bytesOf(file)
  const blocks = ENTRIES.map((entry) => {
    const to = bytes.indexOf(entry.document) + entry.document.length
    const size = 56 + entry.topic.length + entry.index.length + entry.document.length
    return { entry, from: to - size, to }
  })
  return { file, bytes, disk: kept, blocks }
}

/** Opens with other bytes in the segment. @returns what can be read, and what was reported. */
async function openWith(sample: Sample, bytes: Buffer) {
  const disk = sample.disk.kill()
  disk.put(sample.file, bytes)
  const opened = await openTestSpill({ disk })
  const damage = opened.spill.damageAtOpen
  const read = await opened.spill.read(Number.MAX_SAFE_INTEGER)
  assert.deepEqual(opened.damage, [], 'nothing that the start did not see')
  return { ...opened, read, damageAtOpen: damage }
}

function assertSame(read: readonly SpillEntry[], wanted: readonly SpillEntry[], where: string) {
  const plain = (entry: SpillEntry) =>
    `${entry.topic}/${entry.partition}/${entry.offset}/${entry.timestampMs}/` +
    `${entry.timestampType}/${entry.index}/` +
    Buffer.from(entry.document).toString()
  assert.deepEqual(read.map(plain), wanted.map(plain), where)
}

function assertNamed(lost: readonly SpillEntry[], damage: readonly SpillDamage[], where: string) {
  const ranges = damage.flatMap((one) => one.ranges)
  for (const entry of lost) {
    const isNamed = ranges.some(
      (range) =>
        range.topic === entry.topic &&
        range.partition === entry.partition &&
        range.from <= entry.offset &&
        entry.offset < range.to,
    )
    assert(isNamed, `${where}: ${entry.partition}/${entry.offset} is lost and not named`)
  }
  const lostCount = damage.reduce((sum, one) => sum + one.lostCount, 0)
  assert.equal(lostCount, lost.length, where)
}

for (const sealed of [true, false]) {
  const state = sealed ? 'a finished segment' : 'a segment that a crash left'

  test(`any byte of ${state} changed: the others are read, the lost one is named`, async () => {
    const sample = await makeSample(sealed)
    for (let at = 0; at < sample.bytes.length; at++) {
      // One bit, or all of them.
      const mask = at % 3 === 0 ? 0xff : 1 << (at % 8)
      const bytes = Buffer.from(sample.bytes)
      bytes[at] = (bytes[at] ?? 0) ^ mask
      const where = `byte ${at} changed by ${mask}`
      const hit = (block: { from: number; to: number }) => block.from <= at && at < block.to
      const intact = sample.blocks.filter((block) => !hit(block)).map((block) => block.entry)
      const lost = sample.blocks.filter(hit).map((block) => block.entry)
      const { read, damageAtOpen } = await openWith(sample, bytes)
      assertSame(read, intact, where)
      assertNamed(lost, damageAtOpen, where)
      assert(damageAtOpen.length > 0, where)
      assertSame(second(sample, bytes), intact, where)
    }
  })

  test(`${state} cut at any byte: what lies before is read, the rest is named`, async () => {
    const sample = await makeSample(sealed)
    for (let size = 0; size < sample.bytes.length; size++) {
      const bytes = sample.bytes.subarray(0, size)
      const where = `cut at ${size}`
      const intact = sample.blocks.filter((block) => block.to <= size).map((one) => one.entry)
      const { read, damageAtOpen, spill, disk } = await openWith(sample, bytes)
      assertSame(read, intact, where)
      assertSame(second(sample, bytes), intact, where)
      const lost = ENTRIES.filter((entry) => !intact.includes(entry))
      assertNamed(lost, damageAtOpen, where)
      assert.equal(
        damageAtOpen.every((one) => one.torn),
        lost.length === 0,
        where,
      )
      await spill.resolveDamage()
      const again = await openTestSpill({ disk: disk.kill() })
      assert.deepEqual(again.spill.damageAtOpen, [], `${where}: cut once, not again`)
      assertSame(await again.spill.read(Number.MAX_SAFE_INTEGER), intact, where)
    }
  })
}

test('damage is reported again, and its file stays, until it was dealt with', async () => {
  const sample = await makeSample(true)
  const bytes = Buffer.from(sample.bytes)
  const block = sample.blocks[3]
  assert(block !== undefined)
  bytes[block.from + 60] = 0
  const first = await openWith(sample, bytes)
  first.spill.release(first.read)
  await first.spill.close()
  const secondTime = await openTestSpill({ disk: first.disk.kill() })
  assert.equal(secondTime.spill.damageAtOpen.length, 1)
  assert.equal(secondTime.spill.damageAtOpen[0]?.lostCount, 1)
  await secondTime.spill.resolveDamage()
  // The progress must not pass what is lost, so what lies behind it comes again.
  const behind = await secondTime.spill.read(Number.MAX_SAFE_INTEGER)
  assertSame(behind, ENTRIES.slice(4), 'behind the lost one')
  secondTime.spill.release(behind)
  await secondTime.spill.close()
  assert.deepEqual(
    secondTime.disk.files.filter((name) => name.endsWith('.spill')),
    [],
  )
})

test('damage while the program runs is reported once, and the rest is read', async () => {
  const { spill, disk, damage } = await openTestSpill()
  for (const batch of BATCHES) await spill.append(batch)
  const file = disk.files.find((name) => name.endsWith('.spill')) ?? ''
  const bytes = disk.bytesOf(file)
  const target = ENTRIES[2]
  assert(target !== undefined)
  const at = bytes.indexOf(target.document)
  bytes[at] = 0
  disk.put(file, bytes)
  const read = await spill.read(Number.MAX_SAFE_INTEGER)
  assertSame(
    read,
    ENTRIES.filter((entry) => entry !== target),
    'read',
  )
  assertNamed([target], damage, 'while running')
  assert.equal(spill.waitingCount, 0)
  assert.equal(spill.entryCount, ENTRIES.length - 1)
  spill.unread(read.slice(0, 1))
  assert.equal((await spill.read(1000)).length, 1)
  assert.equal(damage.length, 1)
  spill.release(read.slice(1))
  await spill.close()
})

test('a whole page lost with its ranges is named by the seal', async () => {
  const sample = await makeSample(true)
  const bytes = Buffer.from(sample.bytes)
  const [from, to] = [sample.blocks[2]?.to ?? 0, sample.blocks[3]?.to ?? 0]
  bytes.fill(0, from, to)
  const { read, damageAtOpen } = await openWith(sample, bytes)
  assertSame(
    read,
    ENTRIES.filter((_, index) => index !== 3),
    'page',
  )
  assertNamed(ENTRIES.slice(3, 4), damageAtOpen, 'page')
  assert.equal(damageAtOpen[0]?.unattributedCount, 0)
})

test('an unfinished batch that is damaged and torn is named for both', async () => {
  const { spill, disk } = await openTestSpill()
  await spill.append([entryOf(0, 1), entryOf(0, 2), entryOf(0, 3)])
  const kept = disk.kill()
  const file = kept.files.find((name) => name.endsWith('.spill')) ?? ''
  // The machine crashed: what the segment had stored was not noted any more.
  await kept.remove(`${file}.stored`)
  const bytes = kept.bytesOf(file).subarray(0, -1)
  bytes[bytes.indexOf(entryOf(0, 1).document)] = 0
  kept.put(file, bytes)
  const again = await openTestSpill({ disk: kept })
  const ranges = [{ topic: 'app', partition: 0, from: 1, to: 4, count: 2 }]
  const found = again.spill.damageAtOpen.map((one) => [one.torn, one.ranges])
  assert.deepEqual(found, [
    [false, ranges],
    [true, ranges],
  ])
  assert.deepEqual(
    (await again.spill.read(1000)).map((entry) => entry.offset),
    [2],
  )
})

test('a document that looks like an entry is never taken for one', async () => {
  const sample = await makeSample(true)
  const block = sample.blocks[0]
  assert(block !== undefined)
  // An attacker knows the format, but not this segment's sync.
  const forged = Buffer.from(sample.bytes.subarray(block.from, block.to))
  const { spill, disk } = await openTestSpill()
  const evil = { ...entryOf(5, 1), document: Buffer.concat([Buffer.from('{}\n{"'), forged]) }
  await spill.append([evil, entryOf(5, 2)])
  const file = disk.files.find((name) => name.endsWith('.spill')) ?? ''
  const bytes = disk.bytesOf(file)
  const at = bytes.indexOf(forged)
  assert(at > 0)
  bytes[at - 10] = 0
  disk.put(file, bytes)
  const read = await spill.read(Number.MAX_SAFE_INTEGER)
  assert.deepEqual(
    read.map((entry) => entry.offset),
    [2],
  )
  await spill.close()
})

test('what the second reader finds is what was written', async () => {
  const sample = await makeSample(true)
  const segment = readSegment(path.basename(sample.file), sample.bytes)
  assert.equal(segment.headerIntact, true)
  assert.equal(segment.sealedCount, ENTRIES.length)
  assert.deepEqual(
    segment.entries.map((entry) => entry.ordinal),
    ENTRIES.map((_, index) => index),
  )
  assert.deepEqual(Object.fromEntries(segment.announced), {
    'app/0': { from: 10n, to: 32n, count: 4 },
    'app/1': { from: 70n, to: 72n, count: 2 },
  })
})

function second(sample: Sample, bytes: Buffer): SpillEntry[] {
  return readSegment(path.basename(sample.file), bytes).entries.map((entry) => ({
    ...entry,
    offset: Number(entry.offset),
    timestampMs: Number(entry.timestampMs),
    timestampType: (['none', 'create', 'append'] as const)[entry.timestampType] ?? assert.fail(),
  }))
}
