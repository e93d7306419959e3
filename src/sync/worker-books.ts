/**
 * The books of each pipeline over all children that this worker has had: of a child that has ended
 * by its last snapshot, of the one that runs by its latest.
 *
 *   PIPELINE_ID/books.json      the sum of the ended ones, and which child is counted last
 *   PIPELINE_ID/runtime_metrics.json   the last child's, until the next one writes its own
 *
 * So nothing is counted twice, and nothing is left out by a restart of sync: the file is written
 * before a child begins, while the snapshot of the one before lies there still. A child that is
 * killed leaves the snapshot of its last second.
 *
 * Bound. ENDED_MAX pipelines whose last books the control plane has not heard.
 */
import { randomUUID } from 'node:crypto'
import path from 'node:path'
import {
  addBooks,
  booksIn,
  endedBooks,
  type LiveBooks,
  NO_BOOKS,
  type RunBooks,
  runBooksIn,
} from '../core/live-books.ts'
import { writeOwnFile } from '../core/own-file.ts'
import { readSmallFile } from '../core/small-file.ts'
import { SNAPSHOT_NAME } from './launch.ts'

/** What the control plane is told of one pipeline. */
export interface BooksReport {
  readonly pipeline_id: number
  /** The same for all reports out of one home: each replaces the one before. */
  readonly id: string
  readonly entries: LiveBooks
}

const ENDED_MAX = 8
const FILE_NAME = 'books.json'

interface Sum {
  readonly id: string
  /** Of those that ended before `last`. */
  readonly ended: LiveBooks
  readonly last: RunBooks | null
}

export class WorkerBooks {
  readonly #pathOf: (pipelineId: number) => string
  readonly #sums = new Map<number, Sum>()
  /** Ended, or saved by an earlier sync, and not heard by the control plane since. */
  readonly #unheard = new Set<number>()
  /** How many children have begun, by pipeline. */
  readonly #begun = new Map<number, number>()

  constructor(pathOf: (pipelineId: number) => string) {
    this.#pathOf = pathOf
  }

  /** To be called before a child begins, and for what an earlier sync was running. */
  begin(pipelineId: number): void {
    this.#begun.set(pipelineId, (this.#begun.get(pipelineId) ?? 0) + 1)
    const folder = this.#pathOf(pipelineId)
    this.observe(pipelineId, runBooksIn(readJson(path.join(folder, SNAPSHOT_NAME), 'books')))
    writeOwnFile(path.join(folder, FILE_NAME), JSON.stringify(this.#sumOf(pipelineId)))
    this.#unheard.delete(pipelineId)
    this.#unheard.add(pipelineId)
    const [oldest] = this.#unheard
    if (this.#unheard.size > ENDED_MAX && oldest !== undefined) this.#unheard.delete(oldest)
  }

  /**
   * To be asked before a snapshot is read.
   * @returns takes in what it said, unless a child has begun meanwhile: then it was of the one
   * before, whose last word is known, and this is an earlier one.
   */
  reading(pipelineId: number): (books: RunBooks | null) => void {
    const begun = this.#begun.get(pipelineId)
    return (books) => {
      if (this.#begun.get(pipelineId) === begun) this.observe(pipelineId, books)
    }
  }

  /** Takes in what a snapshot says now. */
  observe(pipelineId: number, books: RunBooks | null): void {
    if (books === null) return
    const sum = this.#sumOf(pipelineId)
    const isNew = sum.last !== null && sum.last.run !== books.run
    const ended = isNew ? addBooks(sum.ended, endedBooks(sum.last.entries)) : sum.ended
    this.#sums.set(pipelineId, { ...sum, ended, last: books })
  }

  /** Those that the control plane shall hear of. @param runningId what has a child now. */
  reports(runningId: number | null): readonly BooksReport[] {
    return [...this.#unheard].map((pipelineId) => {
      if (pipelineId !== runningId) {
        const snapshot = path.join(this.#pathOf(pipelineId), SNAPSHOT_NAME)
        this.observe(pipelineId, runBooksIn(readJson(snapshot, 'books')))
      }
      const { id, ended, last } = this.#sumOf(pipelineId)
      const now = last === null ? NO_BOOKS : last.entries
      const own = pipelineId === runningId ? now : endedBooks(now)
      return { pipeline_id: pipelineId, id, entries: addBooks(ended, own) }
    })
  }

  /**
   * To be asked before reports are made.
   * @returns takes in that the control plane has heard them; `runningId` is what had a child when
   * they were made. A pipeline whose child began meanwhile has more to tell:
   *
   *   1. sync begins; reports are made while no child runs
   *   2. the child begins
   *   3. the control plane answers: without this, nothing of that child would ever be told
   */
  hearing(): (reports: readonly BooksReport[], runningId: number | null) => void {
    const begun = new Map(this.#begun)
    return (reports, runningId) => {
      for (const { pipeline_id: id } of reports) {
        if (id !== runningId && this.#begun.get(id) === begun.get(id)) this.#unheard.delete(id)
      }
    }
  }

  #sumOf(pipelineId: number): Sum {
    const known = this.#sums.get(pipelineId)
    if (known !== undefined) return known
    const file = path.join(this.#pathOf(pipelineId), FILE_NAME)
    const saved = Object(readJson(file)) as Readonly<Record<string, unknown>>
    const ended = booksIn(saved['ended'])
    const { id } = saved
    const sum: Sum =
      ended === null || typeof id !== 'string'
        ? { id: randomUUID(), ended: NO_BOOKS, last: null }
        : { id, ended, last: runBooksIn(saved['last']) }
    this.#sums.set(pipelineId, sum)
    return sum
  }
}

/** Undefined where there is none, or it is no JSON: a new home, a file of another version. */
function readJson(file: string, member?: string): unknown {
  try {
    const value: unknown = JSON.parse(readSmallFile(file))
    return member === undefined ? value : (Object(value) as Record<string, unknown>)[member]
  } catch {
    return undefined
  }
}
