/**
 * Goal: whatever happens in whatever order, what was stored and not released is never lost, never
 * altered, and never read twice by the same process.
 * Method: random commands against the spill on a disk in memory and against a model (a map of what
 * must be there). Crashes lose what was not synced, wholly or in part. At the end everything is
 * read: under `spill` it must be all that the model holds; more than that only what an earlier
 * process released or failed to store.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { SpillEntry, StoredEntry } from '../../../src/sink/spill/contract.ts'
import type { MemoryDisk } from '../../helpers/memory-disk.ts'
import { entryOf, openTestSpill, randomOf, type TestSpill } from '../../helpers/spills.ts'

const MAX_BYTES = 60_000

const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('append'), count: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('overlap'), count: fc.nat(8) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('read'), count: fc.nat(9000) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('release'), count: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unread'), count: fc.nat(10) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop'), count: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash'), count: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crashInAppend'), count: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart'), count: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fillDisk'), count: fc.nat(3000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lane'), count: fc.nat(2) }) },
)

test('random appends, reads, releases, restarts and crashes lose and alter nothing', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { minLength: 1, maxLength: 60 }),
      fc.nat(),
      async (commands, seed) => {
        const world = new World(await openTestSpill({ maxBytes: MAX_BYTES }), randomOf(seed))
        for (const one of commands) await world.run(one.do, one.count)
        await world.finish()
      },
    ),
    { numRuns: 60 },
  )
})

class World {
  #at: TestSpill
  readonly #random: (limit: number) => number
  #nextOffset = 0
  /** Stored, not released. */
  readonly #live = new Map<number, SpillEntry>()
  /** May come back after a restart: released before it, or never reported as stored. */
  readonly #maybe = new Map<number, SpillEntry>()
  #held: StoredEntry[] = []
  #blocked: string | null = null

  constructor(at: TestSpill, random: (limit: number) => number) {
    this.#at = at
    this.#random = random
  }

  async run(name: string, count: number): Promise<void> {
    const { spill, disk } = this.#at
    if (name === 'append') await this.#append(count)
    if (name === 'overlap') {
      await Promise.all(Array.from({ length: count }, () => this.#append(this.#random(6))))
    }
    if (name === 'read') await this.#read(count)
    if (name === 'release') this.#release(count)
    if (name === 'unread') spill.unread(this.#held.splice(0, count))
    if (name === 'drop') this.#drop(count)
    if (name === 'crash') await this.#reopen(disk.crash(this.#random))
    if (name === 'crashInAppend') await this.#crashInAppend(count)
    if (name === 'restart') {
      await spill.close()
      await this.#reopen(disk.kill())
    }
    if (name === 'fillDisk') disk.capacity = disk.usedBytes + count
    if (name === 'lane') this.#blocked = [null, 'logs-0', 'logs-1'][count] ?? null
    this.#check()
  }

  async finish(): Promise<void> {
    const { spill, damage } = this.#at
    this.#blocked = null
    spill.unread(this.#held.splice(0))
    for (;;) {
      const before = this.#held.length
      await this.#read(10_000)
      if (this.#held.length === before) break
    }
    const found = new Set(this.#held.map((entry) => entry.offset))
    for (const offset of this.#live.keys()) assert(found.has(offset), `${offset} is lost`)
    spill.release(this.#held.splice(0))
    await spill.close()
    assert.equal(spill.bytes, 0)
    assert.deepEqual(damage, [])
  }

  async #append(count: number): Promise<void> {
    const entries = this.#makeEntries(count)
    if ((await this.#at.spill.append(entries)) === 'stored') this.#stored(entries)
  }

  async #crashInAppend(turns: number): Promise<void> {
    const entries = this.#makeEntries(20)
    let outcome: string | null = null
    const append = this.#at.spill.append(entries).then((value) => {
      outcome = value
    })
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    const disk = this.#at.disk.crash(this.#random)
    if (outcome === 'stored') this.#stored(entries)
    await append
    await this.#reopen(disk)
  }

  #makeEntries(count: number): SpillEntry[] {
    const entries = Array.from({ length: count }, () => {
      const offset = this.#nextOffset++
      return entryOf(offset % 3, offset, 50 + this.#random(400), `logs-${this.#random(2)}`)
    })
    // What is written and not yet reported may survive a crash; nobody relies on it.
    for (const entry of entries) this.#maybe.set(entry.offset, entry)
    return entries
  }

  #stored(entries: readonly SpillEntry[]): void {
    for (const entry of entries) {
      this.#maybe.delete(entry.offset)
      this.#live.set(entry.offset, entry)
    }
  }

  async #read(maxBytes: number): Promise<void> {
    const blocked = this.#blocked
    const read = await this.#at.spill.read(maxBytes, (index) => index !== blocked)
    const held = new Set(this.#held.map((entry) => entry.offset))
    for (const entry of read) {
      const { offset } = entry
      const wanted =
        this.#live.get(offset) ?? (entry.leftover ? this.#maybe.get(offset) : undefined)
      assert(wanted !== undefined, `${offset} should not be there`)
      assert(!held.has(offset), `${offset} was read twice`)
      assert.notEqual(entry.index, blocked)
      assert.deepEqual(Buffer.from(entry.document), Buffer.from(wanted.document))
      assert.deepEqual(
        [entry.partition, entry.index, entry.timestampMs],
        [wanted.partition, wanted.index, wanted.timestampMs],
      )
    }
    this.#held.push(...read)
  }

  #release(count: number): void {
    const from = this.#random(Math.max(1, this.#held.length))
    const released = this.#held.splice(from, count)
    this.#at.spill.release(released)
    for (const entry of released) this.#forget(entry)
  }

  #drop(partition: number): void {
    this.#at.spill.dropPartition('app', partition)
    for (const entry of this.#live.values()) {
      if (entry.partition === partition) this.#forget(entry)
    }
  }

  #forget(entry: SpillEntry): void {
    this.#live.delete(entry.offset)
    this.#maybe.set(entry.offset, entry)
  }

  async #reopen(disk: MemoryDisk): Promise<void> {
    this.#held = []
    this.#at = await openTestSpill({ maxBytes: MAX_BYTES, disk })
    for (const damage of this.#at.spill.damageAtOpen) {
      assert(damage.torn, 'a crash damages only the end')
    }
    await this.#at.spill.resolveDamage()
  }

  #check(): void {
    const { spill, disk } = this.#at
    const segments = disk.files.filter((name) => name.endsWith('.spill'))
    const used = segments.reduce((sum, name) => sum + disk.bytesOf(name).length, 0)
    assert(used <= MAX_BYTES, `${used} bytes on disk`)
    assert(used <= spill.bytes, `${used} bytes on disk, ${spill.bytes} reported`)
    assert(spill.waitingCount <= spill.entryCount)
  }
}
