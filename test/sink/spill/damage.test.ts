/**
 * Goal: no damage to a file makes a wrong document or takes an intact one along, and all that it
 * destroys is named by its source.
 * Method: a small segment, sealed or as a crash left it, with each byte changed in turn and cut at
 * each byte; the program and the second reader must find the same entries.
 */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import * as fc from 'fast-check'
import type { SpillDamage, SpillEntry, StoredEntry } from '../../../src/sink/spill/contract.ts'
import type { MemoryDisk } from '../../helpers/memory-disk.ts'
import { readSegment } from '../../helpers/second-spill-reader.ts'
import { entryOf, openTestSpill, randomOf } from '../../helpers/spills.ts'

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

/** Changes a byte of an entry's document, as it lies on the disk. */
function flip(disk: MemoryDisk, entry: SpillEntry): void {
  for (const file of disk.files.filter((name) => name.endsWith('.spill'))) {
    const bytes = disk.bytesOf(file)
    const at = bytes.indexOf(entry.document)
    if (at === -1) continue
    bytes[at] = 0
    disk.put(file, bytes)
    return
  }
  assert.fail(`no segment holds ${entry.partition}/${entry.offset}`)
}

test('what was sent before it was damaged is not lost', async () => {
  const { spill, disk, damage } = await openTestSpill()
  await spill.append(ENTRIES)
  const [first, second, third] = ENTRIES
  assert(first !== undefined && second !== undefined && third !== undefined)
  spill.release((await spill.read(1)).slice(0, 1))
  flip(disk, first)
  flip(disk, third)
  const [held] = await spill.read(1)
  assert.equal(held?.offset, second.offset)
  spill.unread([held])
  // From the start of the file, over both.
  await spill.read(Number.MAX_SAFE_INTEGER)
  // Of the same partition, and announced together: only one of them is in the spill still.
  assert.deepEqual([first.partition, third.partition], [0, 0])
  const lost = damage.map(({ lostCount, ranges }) => [lostCount, ranges.map(({ count }) => count)])
  assert.deepEqual(lost, [[1, [1]]])
  await spill.close()
})

test('damage to a segment that was damaged before names only what is newly lost', async () => {
  const { spill, disk, damage } = await openTestSpill()
  for (const batch of BATCHES) await spill.append(batch)
  flip(disk, ENTRIES[0]!)
  spill.unread(await spill.read(Number.MAX_SAFE_INTEGER))
  flip(disk, ENTRIES[3]!)
  await spill.read(Number.MAX_SAFE_INTEGER)
  assert.equal(damage.length, 2)
  assertNamed([ENTRIES[0]!], damage.slice(0, 1), 'first')
  assertNamed([ENTRIES[3]!], damage.slice(1), 'second')
  assert.deepEqual(damage[1]?.ranges, [{ topic: 'app', partition: 0, from: 20, to: 21, count: 1 }])
  await spill.close()
})

test('damage to a leftover that was damaged at the start names only what is new', async () => {
  const sample = await makeSample(true)
  flip(sample.disk, ENTRIES[0]!)
  const { spill, damage } = await openTestSpill({ disk: sample.disk })
  assertNamed([ENTRIES[0]!], spill.damageAtOpen, 'at the start')
  flip(sample.disk, ENTRIES[3]!)
  await spill.read(Number.MAX_SAFE_INTEGER)
  assertNamed([ENTRIES[3]!], damage, 'while running')
  await spill.close()
})

test('what was damaged while it was in hand is told when it is given back', async () => {
  const { spill, disk, damage } = await openTestSpill()
  await spill.append(ENTRIES)
  const held = await spill.read(1)
  flip(disk, ENTRIES[0]!)
  flip(disk, ENTRIES[2]!)
  // From the start again, for an earlier entry comes back.
  held.push(...(await spill.read(1)))
  spill.unread(held.splice(1))
  held.push(...(await spill.read(Number.MAX_SAFE_INTEGER)))
  assertNamed([ENTRIES[2]!], damage.splice(0), 'while it is in hand')
  spill.unread(held.splice(0))
  await spill.read(Number.MAX_SAFE_INTEGER)
  assertNamed([ENTRIES[0]!], damage, 'given back')
  assert.equal(spill.waitingCount, 0)
  await spill.close()
})

test('damage that is found while earlier damage is dealt with keeps its file', async () => {
  for (let turns = 0; turns < 20; turns++) {
    const sample = await makeSample(false)
    flip(sample.disk, ENTRIES[0]!)
    const { spill, disk, damage } = await openTestSpill({ disk: sample.disk })
    const later = entryOf(3, 1)
    await spill.append([later])
    flip(disk, later)
    const reading = spill.read(Number.MAX_SAFE_INTEGER)
    for (let turn = 0; turn < turns; turn++) await immediate()
    const wasTold = damage.length === 1
    const resolving = spill.resolveDamage()
    spill.release(await reading)
    await resolving
    await spill.close()
    assert.equal(damage.length, 1)
    const again = await openTestSpill({ disk: disk.kill() })
    const toldAgain = again.spill.damageAtOpen.length
    assert.equal(toldAgain, wasTold ? 0 : 1, `the next start, ${turns} turns`)
  }
})

const step = fc.record({
  do: fc.constantFrom('append', 'append', 'read', 'release', 'unread', 'flip'),
  count: fc.nat(4000),
})

test('of random damage exactly what was in the spill is told, once, with its source', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 80 }),
      fc.nat(),
      async (steps, seed) => {
        const random = randomOf(seed)
        const { spill, disk, damage } = await openTestSpill({ maxBytes: 200_000 })
        const live = new Map<number, SpillEntry>()
        let held: StoredEntry[] = []
        let offset = 0
        for (const { do: action, count } of steps) {
          if (action === 'append') {
            const entries = Array.from({ length: 1 + (count % 12) }, () =>
              entryOf(offset % 3, offset++),
            )
            await spill.append(entries)
            for (const entry of entries) live.set(entry.offset, entry)
          } else if (action === 'read') held.push(...(await spill.read(count)))
          else if (action === 'unread') spill.unread(held.splice(0, count % 8))
          else if (action === 'release') {
            const released = held.splice(0, count % 8)
            spill.release(released)
            for (const one of released) live.delete(one.offset)
          } else flipAny(disk, random)
        }
        for (let before = -1; before < held.length;) {
          before = held.length
          held.push(...(await spill.read(Number.MAX_SAFE_INTEGER)))
        }
        for (const one of held) live.delete(one.offset)
        assertNamed([...live.values()], damage, 'what is not there')
        held = []
        await spill.close()
      },
    ),
    { numRuns: 100 },
  )
})

/** Changes one byte of a random segment. */
function flipAny(disk: MemoryDisk, random: (limit: number) => number): void {
  const files = disk.files.filter((name) => name.endsWith('.spill'))
  const file = files[random(files.length)]
  if (file === undefined) return
  const bytes = disk.bytesOf(file)
  const at = random(bytes.length)
  bytes[at] = (bytes[at] ?? 0) ^ 0x40
  disk.put(file, bytes)
}

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

for (const sealed of [true, false]) {
  const state = sealed ? 'a finished segment' : 'a segment that a crash left'

  test(`an earlier entry copied over one of ${state} costs that one alone`, async () => {
    const sample = await makeSample(sealed)
    for (const [index, from] of sample.blocks.entries()) {
      for (const over of sample.blocks.slice(index + 1)) {
        if (over.to - over.from !== from.to - from.from) continue
        const bytes = Buffer.from(sample.bytes)
        sample.bytes.copy(bytes, over.from, from.from, from.to)
        const where = `${from.entry.offset} over ${over.entry.offset}`
        const { read, damageAtOpen } = await openWith(sample, bytes)
        const intact = ENTRIES.filter((entry) => entry !== over.entry)
        assertSame(read, intact, where)
        assertNamed([over.entry], damageAtOpen, where)
      }
    }
  })
}

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
