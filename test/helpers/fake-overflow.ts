/**
 * A spill in memory, with the contract of the real one.
 */
import assert from 'node:assert/strict'
import type { SpillEntry, SpillQueue, StoredEntry } from '../../src/sink/spill/contract.ts'

export class FakeOverflow implements SpillQueue {
  /** In order of arrival; an entry in hand stays in its place. */
  #entries: { readonly entry: StoredEntry; readonly kept: Buffer; isInHand: boolean }[] = []
  /** Bytes it takes. */
  bytesMax = Infinity
  appendedCount = 0
  fault: Error | null = null
  /** What an append waits for, by how many there were before it. */
  gate: (appendIndex: number) => Promise<void> = () => Promise.resolve()
  appendCount = 0
  /** Partitions dropped while an append is under way, by append. */
  readonly #dropped = new Set<Set<string>>()

  get bytes(): number {
    return this.#entries.reduce((sum, { kept }) => sum + kept.length, 0)
  }

  get entryCount(): number {
    return this.#entries.length
  }

  get waitingCount(): number {
    return this.#entries.filter(({ isInHand }) => !isInHand).length
  }

  async append(entries: readonly SpillEntry[]): Promise<'stored' | 'full'> {
    const dropped = new Set<string>()
    this.#dropped.add(dropped)
    await this.gate(this.appendCount++)
    this.#dropped.delete(dropped)
    if (this.fault !== null) throw this.fault
    const size = entries.reduce((sum, entry) => sum + entry.document.length, 0)
    if (this.bytes + size > this.bytesMax) return 'full'
    for (const entry of entries) {
      if (dropped.has(`${entry.topic}/${entry.partition}`)) continue
      // Bytes are copied: the queue's memory is let go afterwards.
      const document = Buffer.from(entry.document)
      const stored = { ...entry, document, tag: entry.tag ?? 0, leftover: false }
      this.#entries.push({ entry: stored, kept: document, isInHand: false })
    }
    this.appendedCount += entries.length
    return 'stored'
  }

  read(maxBytes: number, accepts: (index: string) => boolean = () => true): Promise<StoredEntry[]> {
    const taken: StoredEntry[] = []
    let size = 0
    for (const kept of this.#entries) {
      if (size >= maxBytes) break
      if (kept.isInHand || !accepts(kept.entry.index)) continue
      kept.isInHand = true
      kept.entry.document = kept.kept
      taken.push(kept.entry)
      size += kept.kept.length
    }
    return Promise.resolve(taken)
  }

  release(entries: readonly StoredEntry[]): void {
    const gone = new Set(entries)
    this.#entries = this.#entries.filter(({ entry }) => !gone.has(entry))
  }

  unread(entries: readonly StoredEntry[]): void {
    for (const entry of entries) {
      const kept = this.#entries.find((candidate) => candidate.entry === entry)
      // Its partition was given away meanwhile.
      if (kept === undefined) continue
      assert(kept.isInHand)
      kept.isInHand = false
    }
  }

  bytesOfIndex(index: string): number {
    return this.#entries
      .filter(({ entry }) => entry.index === index)
      .reduce((sum, { kept }) => sum + kept.length, 0)
  }

  dropPartition(topic: string, partition: number): number {
    for (const dropped of this.#dropped) dropped.add(`${topic}/${partition}`)
    const before = this.#entries.length
    this.#entries = this.#entries.filter(
      ({ entry }) => entry.topic !== topic || entry.partition !== partition,
    )
    return before - this.#entries.length
  }
}
