/**
 * What becomes of documents that the spill can no longer give: they are read from Kafka again, and
 * sent; what Kafka has no more is counted as lost.
 *
 *   damage --ranges--> Refetcher --documents--> the output --settled--> resolveDamage
 *
 *   --commit-on index   the offsets are not committed and the documents not settled: one that is
 *                       read again is settled in the place of the one that lay in the spill
 *   --commit-on spill   the offsets are committed: this is the only way back. Until all is done the
 *                       damaged files stay, so that the next start goes on
 *
 * Offsets of a log that was cut off, or whose topic was deleted and created again, mean nothing in
 * the new one, so what was damaged of the old one is lost in both modes.
 *
 * Books. What is read again counts as fetched, and the entry that it replaces as fenced.
 * Bound. One range at a time, and of it what one slot gives; the next is read when the output has
 * let go of that. A broker that is away is asked again every RETRY_MS.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { Book, Books } from '../offsets/books.ts'
import {
  batchOf,
  type DocumentKey,
  documentKey,
  type PlacedDocument,
} from '../sink/elasticsearch/batch.ts'
import type { Outcome, Sink } from '../sink/sink.ts'
import type { SourceRange, Spill, SpillDamage } from '../sink/spill/contract.ts'
import type { OffsetRange } from '../core/topic-partition.ts'
import type { Refetched, Refetcher } from './refetch.ts'

/** What the repair needs of the Elasticsearch output. */
export interface RepairedSink extends Pick<Sink, 'write'> {
  /** How to settle documents of a range that moved to the spill and are unsettled. */
  movedOutIn(range: OffsetRange): Map<DocumentKey, (outcome: Outcome) => void>
  /** Where all of those lie. */
  movedOutRanges(): readonly SourceRange[]
}

type RangeReader = Pick<Refetcher, 'read' | 'committed' | 'close'>

export interface RepairParts {
  readonly commitOn: 'index' | 'spill'
  readonly sink: RepairedSink
  readonly spill: Pick<Spill, 'resolveDamage'>
  readonly books: Books
  readonly openRefetcher: () => RangeReader
  readonly warn: (message: string) => void
  /** A bug: the pipeline ends. */
  readonly fail: (error: Error) => void
  readonly clock: Clock
}

interface Task {
  readonly damage: SpillDamage
  /** It was found at the start, in what an earlier process left. */
  readonly isLeftover: boolean
  /** Of the damage's ranges, so many are read and in the books: another try goes on behind them. */
  doneCount: number
}

const RETRY_MS = 5000

export class SpillRepair {
  readonly #parts: RepairParts
  #tasks: Task[] = []
  #refetcher: RangeReader | null = null
  #isClosed = false
  #hasFailed = false
  /** The work under way; it never rejects. */
  #working: Promise<void> | null = null
  #endPause: () => void = () => undefined

  constructor(parts: RepairParts) {
    this.#parts = parts
  }

  /** Nothing is left to be read again. */
  get isDone(): boolean {
    return this.#tasks.length === 0 && this.#working === null
  }

  add(damage: SpillDamage, isLeftover: boolean): void {
    const { file, bytesFrom, bytesTo, lostCount } = damage
    const what = damage.torn
      ? `${file} truncated at byte ${bytesFrom} (interrupted write)`
      : `${file} damaged, bytes ${bytesFrom} to ${bytesTo}, ${lostCount} documents`
    this.#parts.warn(`spill file ${what}; re-reading the affected records from Kafka`)
    this.#tasks.push({ damage, isLeftover, doneCount: 0 })
    this.#working ??= this.#work().finally(() => (this.#working = null))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#endPause()
    this.#refetcher?.close()
    await this.#working
    if (this.#tasks.length === 0) return
    const then = this.#parts.commitOn === 'spill' ? 'continues' : 'reads them anyway'
    this.#parts.warn(
      `stopped before all damaged spill records were re-read: the next start ${then}`,
    )
  }

  async #work(): Promise<void> {
    // Let the caller finish: at the start the output is only just being made.
    await Promise.resolve()
    // More may be found while what was reported is resolved.
    while (this.#tasks.length > 0) {
      await this.#workOff()
      this.#refetcher?.close()
      this.#refetcher = null
      if (this.#isClosed || this.#hasFailed) return
      await this.#parts.spill.resolveDamage()
    }
  }

  async #workOff(): Promise<void> {
    while (this.#tasks.length > 0 && !this.#isClosed) {
      const task = this.#tasks[0]!
      try {
        this.#refetcher ??= this.#parts.openRefetcher()
        await this.#repair(task)
        this.#tasks.shift()
      } catch (thrown) {
        if (this.#isClosed) return
        if (!(thrown instanceof LogpipeError)) {
          this.#hasFailed = true
          this.#parts.fail(thrown instanceof Error ? thrown : assert.fail(String(thrown)))
          return
        }
        this.#parts.warn(`${messageOf(thrown)}; retrying in ${RETRY_MS / 1000} s`)
        await this.#pause()
      }
    }
  }

  async #repair(task: Task): Promise<void> {
    const { damage, isLeftover } = task
    const { commitOn, sink, books, warn } = this.#parts
    const isAllKnown = damage.unattributedCount === 0
    // What is unsettled and what was lost are known apart from the file only under `index`.
    const isListed = isAllKnown || commitOn === 'spill'
    const ranges = isListed ? damage.ranges.slice(task.doneCount) : sink.movedOutRanges()
    for (const range of ranges) {
      const wanted = damage.torn && isLeftover ? await this.#committedPart(range) : range
      if (wanted !== null) await this.#repairRange(wanted, range.count, isLeftover)
      task.doneCount++
    }
    if (isAllKnown || commitOn === 'index') return
    const { file, unattributedCount } = damage
    warn(`${unattributedCount} documents in ${file} are lost: their offsets are unreadable`)
    books.loseSomewhere('spill', damage.unattributedCount)
  }

  /**
   * Of a log that is gone. Which of its documents were damaged is not known under `index`: all of
   * the range are settled, and those that the spill still gives are sent all the same.
   */
  #loseFormer(range: SourceRange, isLeftover: boolean): void {
    const { commitOn, sink, books, warn } = this.#parts
    const { topic, partition, from, to, count } = range
    const book = books.of(topic, partition)
    book.lose('spill', from, to)
    const where = `${topic} [${partition}]: offsets ${from} to ${to - 1}`
    warn(`${where} are lost: damaged in the spill, and Kafka's log was truncated or recreated`)
    if (commitOn === 'index') {
      for (const settle of sink.movedOutIn(range).values()) settle('fenced')
      return
    }
    if (isLeftover) book.add('carried_in', count)
    else book.leaveSpill(count)
    book.add('fenced', count)
  }

  /** At or above the committed offset records come again by themselves. */
  async #committedPart(range: SourceRange): Promise<SourceRange | null> {
    const committed = await this.#refetcher!.committed(range.topic, range.partition)
    const to = Math.min(range.to, committed ?? 0)
    return to > range.from ? { ...range, to } : null
  }

  async #repairRange(range: SourceRange, lostCount: number, isLeftover: boolean): Promise<void> {
    const { commitOn, warn, books } = this.#parts
    const { topic, partition } = range
    const book = books.of(topic, partition)
    let foundCount = 0
    const unread = await this.#refetcher!.read(range, async (refetched) => {
      foundCount += refetched.documents.length
      await this.#send(range, refetched)
    })
    const replacedCount = unread.length === 0 ? lostCount : Math.min(lostCount, foundCount)
    const former = unread.filter((one) => one.isOtherLog === true)
    const gone = unread.filter((one) => one.isOtherLog !== true)
    for (const one of former) {
      this.#loseFormer({ ...one, count: lostCount - replacedCount }, isLeftover)
    }
    if (commitOn === 'index') {
      // Unsettled as they are, the next start finds that they have expired, and says so.
      return
    }
    for (const { from, to } of gone) {
      book.lose('spill', from, to)
      const where = `${topic} [${partition}]: offsets ${from} to ${to - 1}`
      warn(`${where} are lost: damaged in the spill, and no longer in Kafka`)
    }
    if (isLeftover) book.add('carried_in', replacedCount)
    else book.leaveSpill(replacedCount)
    book.add('fenced', replacedCount)
  }

  /**
   * Resolves when the documents are safe: settled, or (`index`) out of the memory, for then it is
   * Kafka that keeps them.
   */
  async #send(range: OffsetRange, refetched: Refetched): Promise<void> {
    const { commitOn, sink, books } = this.#parts
    const { documents, filteredCount, behindCount } = refetched
    const book = books.of(range.topic, range.partition)
    book.refetch(filteredCount + behindCount)
    book.filtered('pattern', filteredCount)
    book.add('fenced', behindCount)
    const movedOut = commitOn === 'index' ? sink.movedOutIn(range) : null
    const wanted: PlacedDocument[] = []
    for (const one of documents) {
      if (movedOut === null || movedOut.has(documentKey(one))) wanted.push(one)
      else bookReplaced(book)
    }
    if (wanted.length === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    let leftCount = wanted.length
    const batch = batchOf(wanted, (index, outcome) => {
      leftCount--
      if (movedOut === null) {
        book.refetch()
        book.settle(outcome)
        if (leftCount === 0) resolve()
      } else {
        bookReplaced(book)
        movedOut.get(documentKey(wanted[index]!))?.(outcome)
      }
    })
    this.#endPause = resolve
    sink.write({ ...batch, release: () => movedOut !== null && resolve() })
    await promise
    if (this.#isClosed) throw new LogpipeError('DEADLINE', 'stopped before everything was sent')
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(RETRY_MS, resolve)
      this.#endPause = () => {
        cancel()
        resolve()
      }
    })
  }
}

/** Read again for nothing, or in the place of one that is in the books already. */
function bookReplaced(book: Book): void {
  book.refetch()
  book.add('fenced')
}
