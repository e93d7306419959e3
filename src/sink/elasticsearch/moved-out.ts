/**
 * Loads with documents that lie in the spill and are unsettled (--commit-on index), found again by
 * the tag of an entry or by its offset. Used by overspill.ts.
 *
 * Bound. Loads without their bodies: as many as the ledger's limit of unresolved offsets allows.
 */
import assert from 'node:assert/strict'
import type { Outcome } from '../sink.ts'
import type { SourceRange } from '../spill/contract.ts'
import { RangeTally } from '../spill/range-tally.ts'
import type { Load } from './load.ts'
import type { Parcel } from './parcel.ts'

/** Offsets [from, to) of one partition. */
export interface OffsetRange {
  readonly topic: string
  /** Which log of that name; absent: any. */
  readonly log?: string | undefined
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** A tag is the load's number times this plus the document's index; 2^53 bounds the product. */
const TAG_LOAD = 2 ** 20

export class MovedOut {
  /** By number; from 1, so that no tag is 0. */
  readonly #loads = new Map<number, Load>()
  readonly #numbers = new Map<Load, number>()
  #lastNumber = 0
  /** Loads of the append under way: their number must stay. */
  readonly #underWay = new Set<Load>()
  /** Partitions given away while it is: what it stores of them is forgotten as soon as it has. */
  #droppedMeanwhile: { readonly topic: string; readonly partition: number }[] = []

  get isEmpty(): boolean {
    return this.#loads.size === 0
  }

  /** An append begins. @returns the tag of the first document of each of its loads. */
  begin(parcels: readonly Parcel[]): Map<Load, number> {
    assert.equal(this.#underWay.size, 0, 'one append at a time')
    this.#droppedMeanwhile = []
    return new Map(parcels.map(({ load }) => [load, this.#numberOf(load) * TAG_LOAD]))
  }

  /** It has ended. @param isStored the documents lie in the spill now, and nowhere else. */
  end(parcels: readonly Parcel[], isStored: boolean): void {
    if (isStored) {
      for (const { load, from, to } of parcels) load.moveOut(from, to)
      for (const { topic, partition } of this.#droppedMeanwhile) {
        for (const load of this.#underWay) load.forgetMovedOut(topic, partition)
      }
    }
    const loads = [...this.#underWay]
    this.#underWay.clear()
    for (const load of loads) this.#forgetIfBack(load)
  }

  settle(tag: number, outcome: Outcome): void {
    const load = this.#loads.get(Math.floor(tag / TAG_LOAD))
    // Its partition was given away while it was under way.
    if (load === undefined) return
    load.settleElsewhere(tag % TAG_LOAD, outcome)
    this.#forgetIfBack(load)
  }

  dropPartition(topic: string, partition: number): void {
    if (this.#underWay.size > 0) this.#droppedMeanwhile.push({ topic, partition })
    for (const load of this.#loads.values()) {
      load.forgetMovedOut(topic, partition)
      this.#forgetIfBack(load)
    }
  }

  /** How to settle the documents of a range, by offset; settled meanwhile, they are left alone. */
  within(range: OffsetRange): Map<number, (outcome: Outcome) => void> {
    const { topic, log, partition, from, to } = range
    const found = new Map<number, (outcome: Outcome) => void>()
    for (const [number, load] of this.#loads) {
      for (const { index, origin } of load.movedOutDocuments()) {
        const { offset } = origin
        if (origin.partition !== partition || origin.topic !== topic) continue
        if (offset < from || offset >= to) continue
        if (log !== undefined && origin.log !== undefined && origin.log !== log) continue
        found.set(offset, (outcome) => this.settle(number * TAG_LOAD + index, outcome))
      }
    }
    return found
  }

  /** Where all of them lie. */
  ranges(): readonly SourceRange[] {
    const tally = new RangeTally()
    for (const load of this.#loads.values()) {
      for (const { origin } of load.movedOutDocuments()) {
        tally.addOne(origin)
      }
    }
    return tally.ranges
  }

  #numberOf(load: Load): number {
    assert(load.documentCount <= TAG_LOAD)
    this.#underWay.add(load)
    const known = this.#numbers.get(load)
    if (known !== undefined) return known
    const number = ++this.#lastNumber
    this.#loads.set(number, load)
    this.#numbers.set(load, number)
    return number
  }

  #forgetIfBack(load: Load): void {
    const number = this.#numbers.get(load)
    if (load.movedOutCount > 0 || this.#underWay.has(load) || number === undefined) return
    this.#numbers.delete(load)
    this.#loads.delete(number)
  }
}
