/**
 * `logpipe dlq ls | show | stats | drop | replay` as functions, over the files of `--dlq
 * file:PATH`.
 *
 * Reading is lazy and takes no lock. Edits (drop, replay) hold PATH.edit.lock and rewrite numbered
 * files only (dead-letter-files.ts); damaged lines are counted and kept.
 * Replay. A letter's payload holds its action line with the `_id` of the first time, so a letter
 * sent twice makes no second document: Elasticsearch answers 409. Letters are removed only after
 * they were taken, so a crash in between only means that they are sent again.
 * Bound. One line at a time; a replay, BATCH_BYTES and the line numbers of one file.
 */
import path from 'node:path'
import type { Disk, DiskFile, Locks } from '../../core/disk.ts'
import { isFull, nodeDisk } from '../../core/disk.ts'
import type { Clock } from '../../core/clock.ts'
import {
  lettersError,
  linesOf,
  LOCK_WAIT_MS_MAX,
  numberedFiles,
  REMOVED,
  rotate,
  withLock,
  decodeDeadLetter,
  type StoredDeadLetter,
} from './dead-letter-files.ts'
import type { DeadLetterFilter } from './filter.ts'

/** Documents handed to the sink at a time in a replay, and their bytes. */
const BATCH_LETTERS = 1000
const BATCH_BYTES = 8 * 1024 * 1024
/** Written at a time when a file is rewritten. */
const WRITE_BYTES = 1024 * 1024

export interface DeadLetterStoreOptions {
  readonly file: string
  readonly locks: Locks
  readonly clock: Clock
  readonly disk?: Disk
}

export interface DeadLetterGroup {
  readonly errorType: string
  readonly index: string
  readonly topic: string
  readonly count: number
  /** When the first and the last were stored. */
  readonly firstMs: number
  readonly lastMs: number
  /** The reason of the last one, as an example. */
  readonly reason: string
}

export interface DeadLetterStats {
  readonly count: number
  readonly damagedCount: number
  /** Most letters first; the smallest ones are added up in the last one beyond GROUPS_MAX. */
  readonly groups: readonly DeadLetterGroup[]
}

/** Error types, indices and topics are few; a date in an index name makes them many. */
const GROUPS_MAX = 1000

/** Failed: it was refused again. Waiting: it was not taken, and may be later. Both stay. */
export type ReplayOutcome = 'done' | 'failed' | 'waiting'

/** Sends documents; one outcome for each. Unsent ones stay: do not put them again. */
export type ReplaySend = (letters: readonly StoredDeadLetter[]) => Promise<readonly ReplayOutcome[]>

export interface ReplayResult {
  readonly doneCount: number
  readonly failedCount: number
  readonly waitingCount: number
}

export class DeadLetterStore {
  readonly #file: string
  readonly #locks: Locks
  readonly #clock: Clock
  readonly #disk: Disk

  constructor(options: DeadLetterStoreOptions) {
    this.#file = options.file
    this.#locks = options.locks
    this.#clock = options.clock
    this.#disk = options.disk ?? nodeDisk
  }

  /** The letters that `filter` lets pass, oldest first. For `ls` and `show`. */
  async *letters(filter: DeadLetterFilter): AsyncGenerator<StoredDeadLetter> {
    for (const file of [...(await numberedFiles(this.#disk, this.#file)), this.#file]) {
      for await (const line of linesOf(this.#disk, file)) {
        const letter = decodeDeadLetter(line.bytes)
        if (letter !== null && filter(letter)) yield letter
      }
    }
  }

  async stats(filter: DeadLetterFilter): Promise<DeadLetterStats> {
    const groups = new Map<string, DeadLetterGroup>()
    let count = 0
    let damagedCount = 0
    for (const file of [...(await numberedFiles(this.#disk, this.#file)), this.#file]) {
      for await (const line of linesOf(this.#disk, file)) {
        const letter = decodeDeadLetter(line.bytes)
        if (letter === null) damagedCount++
        if (letter === null || !filter(letter)) continue
        count++
        addToGroups(groups, letter)
      }
    }
    const sorted = [...groups.values()].sort((left, right) => right.count - left.count)
    return { count, damagedCount, groups: sorted }
  }

  /** Removes the letters that `filter` lets pass. @returns how many. */
  async drop(filter: DeadLetterFilter): Promise<number> {
    let dropped = 0
    await this.#edit(async (file) => {
      const gone = new Set<number>()
      for await (const line of linesOf(this.#disk, file)) {
        const letter = decodeDeadLetter(line.bytes)
        if (letter !== null && filter(letter)) gone.add(line.number)
      }
      await this.#rewrite(file, gone)
      dropped += gone.size
      return true
    })
    return dropped
  }

  /**
   * Sends the letters that `filter` lets pass, oldest first, and removes those that were taken.
   * @throws the error that `send` rejects with; documents accepted before it are removed anyway.
   */
  async replay(
    filter: DeadLetterFilter,
    send: ReplaySend,
    signal?: AbortSignal,
  ): Promise<ReplayResult> {
    const result = { doneCount: 0, failedCount: 0, waitingCount: 0 }
    let failure: { readonly error: unknown } | null = null
    await this.#edit(async (file) => {
      const done = new Set<number>()
      for await (const batch of this.#batches(file, filter)) {
        if (signal?.aborted === true) break
        let outcomes: readonly ReplayOutcome[]
        try {
          outcomes = await send(batch.map((one) => one.letter))
        } catch (error) {
          failure = { error }
          break
        }
        batch.forEach(({ number }, index) => {
          if (outcomes[index] === 'done') done.add(number)
          else if (outcomes[index] === 'failed') result.failedCount++
          else result.waitingCount++
        })
      }
      await this.#rewrite(file, done)
      result.doneCount += done.size
      return failure === null && signal?.aborted !== true
    })
    // Cast: TypeScript does not see the value that the callback assigned.
    const failed = failure as { readonly error: unknown } | null
    if (failed !== null) throw failed.error
    return result
  }

  async *#batches(
    file: string,
    filter: DeadLetterFilter,
  ): AsyncGenerator<{ readonly letter: StoredDeadLetter; readonly number: number }[]> {
    let batch: { letter: StoredDeadLetter; number: number }[] = []
    let bytes = 0
    for await (const line of linesOf(this.#disk, file)) {
      const letter = decodeDeadLetter(line.bytes)
      if (letter === null || !filter(letter)) continue
      batch.push({ letter, number: line.number })
      bytes += letter.payload.length
      if (batch.length < BATCH_LETTERS && bytes < BATCH_BYTES) continue
      yield batch
      batch = []
      bytes = 0
    }
    if (batch.length > 0) yield batch
  }

  /** Runs for each numbered file, the newest letters among them, until it says false. */
  async #edit(run: (file: string) => Promise<boolean>): Promise<void> {
    const file = this.#file
    try {
      await withLock(this.#locks, `${file}.edit.lock`, this.#clock, 0, async () => {
        await withLock(this.#locks, `${file}.lock`, this.#clock, LOCK_WAIT_MS_MAX, () =>
          rotate(this.#disk, file),
        )
        for (const one of await numberedFiles(this.#disk, file)) {
          if (!(await run(one))) break
        }
      })
    } catch (error) {
      throw lettersError(file, 'be edited', error)
    }
  }

  /**
   * Leaves lines out of a numbered file; all of them: the file goes. A full disk has no room for a
   * copy, and is where letters are most likely to be dropped: then each line is marked as removed
   * by its first byte, which a crash leaves old or new. The next edit with room leaves them out.
   */
  async #rewrite(file: string, gone: ReadonlySet<number>): Promise<void> {
    if (gone.size === 0) return
    const temporary = `${file}.new`
    await this.#disk.remove(temporary)
    let kept: number
    try {
      kept = await this.#copyTo(temporary, file, gone)
    } catch (error) {
      if (!isFull(error)) throw error
      await this.#disk.remove(temporary)
      return await this.#markRemoved(file, gone)
    }
    if (kept > 0) {
      await this.#disk.rename(temporary, file)
    } else {
      await this.#disk.remove(temporary)
      await this.#disk.remove(file)
    }
    await this.#disk.syncDirectory(path.dirname(file))
  }

  async #copyTo(temporary: string, file: string, gone: ReadonlySet<number>): Promise<number> {
    const handle = await this.#disk.open(temporary, 'create')
    try {
      const kept = await this.#copyLines(file, handle, gone)
      await handle.datasync()
      return kept
    } finally {
      await handle.close()
    }
  }

  async #markRemoved(file: string, gone: ReadonlySet<number>): Promise<void> {
    let keptCount = 0
    const positions: number[] = []
    for await (const { number, position } of linesOf(this.#disk, file)) {
      if (gone.has(number)) positions.push(position)
      else keptCount++
    }
    if (keptCount === 0) {
      await this.#disk.remove(file)
      return await this.#disk.syncDirectory(path.dirname(file))
    }
    const handle = await this.#disk.open(file, 'update')
    try {
      for (const position of positions) await handle.write(Uint8Array.of(REMOVED), position)
      await handle.datasync()
    } finally {
      await handle.close()
    }
  }

  async #copyLines(file: string, to: DiskFile, gone: ReadonlySet<number>): Promise<number> {
    let position = 0
    let parts: Buffer[] = []
    let bytes = 0
    const flush = async (): Promise<void> => {
      await to.write(Buffer.concat(parts), position)
      position += bytes
      parts = []
      bytes = 0
    }
    for await (const line of linesOf(this.#disk, file)) {
      if (gone.has(line.number)) continue
      parts.push(line.bytes, LINE_END)
      bytes += line.bytes.length + 1
      if (bytes >= WRITE_BYTES) await flush()
    }
    await flush()
    return position
  }
}

const LINE_END = Buffer.from('\n')

function addToGroups(groups: Map<string, DeadLetterGroup>, letter: StoredDeadLetter): void {
  const { errorType, index, topic, reason, atMs } = letter
  let key = JSON.stringify([errorType, index, topic])
  let names = { errorType, index, topic }
  if (!groups.has(key) && groups.size >= GROUPS_MAX) {
    key = ''
    names = { errorType: '(others)', index: '', topic: '' }
  }
  const known = groups.get(key)
  groups.set(key, {
    ...names,
    count: (known?.count ?? 0) + 1,
    firstMs: Math.min(known?.firstMs ?? atMs, atMs),
    lastMs: Math.max(known?.lastMs ?? atMs, atMs),
    reason,
  })
}
