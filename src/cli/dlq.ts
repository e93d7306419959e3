/**
 * `logpipe dlq ls | show | stats | replay | drop`: the documents that Elasticsearch refused for
 * good, in the files of `--dlq file:PATH`.
 *
 * A letter's name is topic-partition-offset. Exits with 1 when a replay leaves some behind.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { systemClock } from '../core/clock.ts'
import { LogpipeError } from '../core/errors.ts'
import type { Config } from '../options/config.ts'
import { resolve } from '../options/resolve.ts'
import { bridgeLocks } from '../bridge/locks.ts'
import { LetterBox } from '../sink/dead-letters/letter-box.ts'
import type { StoredLetter } from '../sink/dead-letters/letter-line.ts'
import { parseWhere, type LetterFilter } from '../sink/dead-letters/where.ts'
import type { CommandContext } from './context.ts'
import {
  describeLetter,
  describeStats,
  letterHead,
  letterId,
  letterRow,
  wholeLetter,
} from './dlq-report.ts'
import { replayLetters } from './dlq-replay.ts'
import { counted, textTable } from './text-table.ts'

export interface DlqDeps {
  /** Loads the add-on; undefined: the one that was built. */
  readonly loadBridge: (file: string | undefined) => Pick<Bridge, 'fileLock' | 'fileUnlock'>
}

/** What an action works with. */
interface Job {
  readonly config: Config
  readonly context: CommandContext
  readonly box: LetterBox
  readonly file: string
  /** --where, and the ids. */
  readonly filter: LetterFilter
  /** Whether the operator said which ones. */
  readonly isNarrowed: boolean
}

type Action = (job: Job) => Promise<number>

const ACTIONS: ReadonlyMap<string, Action> = new Map([
  ['ls', ls],
  ['show', show],
  ['stats', stats],
  ['replay', replay],
  ['drop', drop],
])

/** Rows that are aligned with one another. */
const ROWS_AT_A_TIME = 1000

export async function dlq(
  context: CommandContext,
  deps: DlqDeps = { loadBridge },
): Promise<number> {
  const { config, operands } = resolve({ command: 'dlq', args: context.args, env: context.env })
  const [action, ...ids] = operands
  const run = action === undefined ? undefined : ACTIONS.get(action)
  if (run === undefined) {
    const got = action === undefined ? 'nothing' : `"${action}"`
    const expected = 'expected ls, show, stats, replay or drop'
    throw new LogpipeError('USAGE', `logpipe dlq: ${expected}, got ${got}`)
  }
  const file = fileOf(config)
  const where = parseWhere(config.dlqWhere)
  const wanted = new Set(ids)
  const locks = bridgeLocks(deps.loadBridge(config.bridgeLib ?? undefined))
  return run({
    config,
    context,
    box: new LetterBox({ file, locks, clock: systemClock }),
    file,
    filter: (letter) => (wanted.size === 0 || wanted.has(letterId(letter))) && where(letter),
    isNarrowed: wanted.size > 0 || config.dlqWhere.length > 0,
  })
}

/** @throws LogpipeError USAGE */
function fileOf({ dlq: target }: Config): string {
  if (target === null) {
    throw new LogpipeError('USAGE', 'logpipe dlq needs --dlq file:PATH (or DLQ): where they are')
  }
  if (target.kind === 'topic') {
    const how = 'read it with a consumer; each record is the document, with the reason in headers'
    throw new LogpipeError('USAGE', `--dlq: topic ${target.topic} is no file: ${how}`)
  }
  return target.path
}

/** The oldest that are meant, DLQ_LIMIT at most. */
async function* chosen({ box, filter, config }: Job): AsyncGenerator<StoredLetter> {
  let left = limitOf(config)
  for await (const letter of box.letters(filter)) {
    if (left-- <= 0) return
    yield letter
  }
}

function limitOf({ dlqLimit }: Config): number {
  return dlqLimit === 0 ? Infinity : dlqLimit
}

async function ls(job: Job): Promise<number> {
  const { config, context, file } = job
  if (config.storedJson) return printList(job, letterHead)
  let rows: string[][] = [['ID', 'STORED', 'STATUS', 'TYPE', 'INDEX', 'REASON']]
  let count = 0
  for await (const letter of chosen(job)) {
    rows.push(letterRow(letter))
    count++
    if (rows.length < ROWS_AT_A_TIME) continue
    context.print(textTable(rows))
    rows = []
  }
  context.print(count === 0 ? `no dead letters of these in ${file}\n` : textTable(rows))
  return 0
}

async function show(job: Job): Promise<number> {
  const { config, context, file } = job
  if (config.storedJson) {
    return printList(job, wholeLetter)
  }
  let count = 0
  for await (const letter of chosen(job)) {
    context.print(`${count === 0 ? '' : '\n'}${describeLetter(letter)}`)
    count++
  }
  if (count === 0) context.print(`no dead letters of these in ${file}\n`)
  return 0
}

/** One JSON list, an element a line; never all of it in memory. */
async function printList(job: Job, view: (letter: StoredLetter) => object): Promise<number> {
  let separator = '['
  for await (const letter of chosen(job)) {
    job.context.print(`${separator}${JSON.stringify(view(letter))}`)
    separator = ',\n'
  }
  job.context.print(separator === '[' ? '[]\n' : ']\n')
  return 0
}

async function stats({ config, context, box, file, filter }: Job): Promise<number> {
  const found = await box.stats(filter)
  context.print(config.storedJson ? `${JSON.stringify(found)}\n` : describeStats(file, found))
  return 0
}

async function drop({ config, context, box, file, filter, isNarrowed }: Job): Promise<number> {
  if (!isNarrowed) {
    const advice = "--where 'status=400', for example; since=1970-01-01Z is all of them"
    throw new LogpipeError('USAGE', `logpipe dlq drop needs IDs or --where: ${advice}`)
  }
  if (limitOf(config) !== Infinity) {
    throw new LogpipeError('USAGE', '--limit: logpipe dlq drop does not take it; use --where')
  }
  const droppedCount = hasFolder(file) ? await box.drop(filter) : 0
  context.print(
    config.storedJson
      ? `${JSON.stringify({ droppedCount })}\n`
      : `dropped ${counted(droppedCount, 'dead letter')} from ${file}\n`,
  )
  return 0
}

async function replay({ config, context, box, file, filter }: Job): Promise<number> {
  let left = limitOf(config)
  // Asked once for each letter, in their order.
  const limited: LetterFilter = (letter) => filter(letter) && left-- > 0
  const result = hasFolder(file)
    ? await replayLetters(box, limited, config, context)
    : { doneCount: 0, failedCount: 0, waitingCount: 0, failure: null }
  const { failure, ...counts } = result
  const { doneCount, failedCount, waitingCount } = counts
  const waiting = waitingCount === 0 ? '' : ` and ${waitingCount} not taken`
  const kept = `${failedCount} refused again${waiting} stay in ${file}`
  context.print(
    config.storedJson
      ? `${JSON.stringify(counts)}\n`
      : `sent ${counted(doneCount, 'dead letter')}, ${kept}\n`,
  )
  if (failure !== null) throw failure
  return failedCount + waitingCount > 0 || context.stopSignal().aborted ? 1 : 0
}

/** Without it there are no letters, and no place for a lock. */
function hasFolder(file: string): boolean {
  return existsSync(path.dirname(file))
}
