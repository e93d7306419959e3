/**
 * `logpipe dlq ls | show | stats | replay | drop`: the documents that Elasticsearch refused for
 * good, in the files of `--dlq file:PATH`.
 *
 * A letter's name is topic-partition-offset. Exits with 1 when a replay leaves some behind.
 */
import { isUtf8 } from 'node:buffer'
import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { systemClock } from '../core/clock.ts'
import { LogpipeError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { formatBytes } from '../core/units.ts'
import type { Config } from '../options/config.ts'
import { resolve } from '../options/resolve.ts'
import { bridgeLocks } from '../bridge/locks.ts'
import { elasticsearchSettings } from '../run/settings-from-config.ts'
import {
  DeadLetterStore,
  type DeadLetterStats,
  type ReplayOutcome,
  type ReplayResult,
} from '../sink/dead-letters/dead-letter-store.ts'
import type { StoredDeadLetter } from '../sink/dead-letters/dead-letter-files.ts'
import { parseWhere, type DeadLetterFilter } from '../sink/dead-letters/filter.ts'
import { DocumentSender } from '../sink/elasticsearch/document-sender.ts'
import { type CommandContext, openLog } from './context.ts'
import { counted, textTable } from '../core/text-table.ts'
import { progressLog } from './progress-log.ts'

type DlqBridge = Pick<
  Bridge,
  'fileLock' | 'fileUnlock' | 'matcherOpen' | 'matcherTest' | 'regexCheck'
>

interface DlqDeps {
  /** Loads the add-on; undefined: the one that was built. */
  readonly loadBridge: (file: string | undefined) => DlqBridge
}

/** What an action works with. */
interface Job {
  readonly config: Config
  readonly context: CommandContext
  readonly store: DeadLetterStore
  readonly file: string
  /** --where, and the ids. */
  readonly filter: DeadLetterFilter
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
  const bridge = deps.loadBridge(config.bridgeLib ?? undefined)
  const where = parseWhere(config.dlqWhere, bridge)
  const wanted = new Set(ids)
  const locks = bridgeLocks(bridge)
  return run({
    config,
    context,
    store: new DeadLetterStore({ file, locks, clock: systemClock }),
    file,
    filter: (letter) => (wanted.size === 0 || wanted.has(letterId(letter))) && where(letter),
    isNarrowed: wanted.size > 0 || config.dlqWhere.length > 0,
  })
}

/** @throws LogpipeError USAGE */
function fileOf({ dlq: target }: Config): string {
  if (target === null) {
    throw new LogpipeError('USAGE', 'logpipe dlq requires --dlq file:PATH (or DLQ)')
  }
  if (target.kind === 'topic') {
    const how = 'read the topic with a consumer; each record is a document, its headers the reason'
    throw new LogpipeError('USAGE', `--dlq: logpipe dlq reads files, not ${target.topic}: ${how}`)
  }
  return target.path
}

/** The oldest that are meant, DLQ_LIMIT at most. */
async function* chosen({ store, filter, config }: Job): AsyncGenerator<StoredDeadLetter> {
  let left = limitOf(config)
  for await (const letter of store.letters(filter)) {
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
  context.print(count === 0 ? `no matching dead letters in ${file}\n` : textTable(rows))
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
  if (count === 0) context.print(`no matching dead letters in ${file}\n`)
  return 0
}

/** One JSON list, an element a line; never all of it in memory. */
async function printList(job: Job, view: (letter: StoredDeadLetter) => object): Promise<number> {
  let separator = '['
  for await (const letter of chosen(job)) {
    const text = JSON.stringify(view(letter))
    job.context.print(separator + (job.context.rows() === null ? text : printable(text)))
    separator = ',\n'
  }
  job.context.print(separator === '[' ? '[]\n' : ']\n')
  return 0
}

async function stats({ config, context, store, file, filter }: Job): Promise<number> {
  const found = await store.stats(filter)
  context.print(config.storedJson ? `${JSON.stringify(found)}\n` : describeStats(file, found))
  return 0
}

async function drop({ config, context, store, file, filter, isNarrowed }: Job): Promise<number> {
  if (!isNarrowed) {
    const advice = "for example --where 'status=400'; since=1970-01-01Z selects all"
    throw new LogpipeError('USAGE', `logpipe dlq drop requires IDs or --where: ${advice}`)
  }
  if (limitOf(config) !== Infinity) {
    throw new LogpipeError('USAGE', 'logpipe dlq drop does not accept --limit; use --where')
  }
  const droppedCount = hasFolder(file) ? await store.drop(filter) : 0
  context.print(
    config.storedJson
      ? `${JSON.stringify({ droppedCount })}\n`
      : `dropped ${counted(droppedCount, 'dead letter')} from ${file}\n`,
  )
  return 0
}

async function replay({ config, context, store, file, filter }: Job): Promise<number> {
  let left = limitOf(config)
  // Asked once for each letter, in their order.
  const limited: DeadLetterFilter = (letter) => filter(letter) && left-- > 0
  const result = hasFolder(file)
    ? await replayLetters(store, limited, config, context)
    : { doneCount: 0, failedCount: 0, waitingCount: 0, failure: null }
  const { failure, ...counts } = result
  const { doneCount, failedCount, waitingCount } = counts
  const waiting = waitingCount === 0 ? '' : ` and ${waitingCount} not sent`
  const kept = `${failedCount} rejected again${waiting} stay in ${file}`
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

/* What is printed: letters and their sums, for people and for programs. */

/** In one row; `show` has all of it. */
const REASON_CHARS_MAX = 160

/** The name of a letter: where its record lies in Kafka. */
function letterId({
  topic,
  partition,
  offset,
}: Pick<StoredDeadLetter, 'topic' | 'partition' | 'offset'>): string {
  return `${topic}-${partition}-${offset}`
}

/** All but the payload, for JSON. */
function letterHead(letter: StoredDeadLetter): object {
  const { atMs, errorType, reason, status, index, topic, partition, offset } = letter
  const { timestampMs, timestampType, payloadBytes } = letter
  const at = new Date(atMs).toISOString()
  const id = letterId(letter)
  const place = { index, topic, partition, offset, timestampMs, timestampType }
  const cut = payloadBytes === undefined ? {} : { payloadBytes }
  return { id, at, errorType, reason, status, ...place, ...cut }
}

/** With the payload: in base64 where it is not valid UTF-8, as in the file. */
function wholeLetter(letter: StoredDeadLetter): object {
  const payload = Buffer.from(letter.payload)
  return isUtf8(payload)
    ? { ...letterHead(letter), payload: payload.toString('utf8') }
    : { ...letterHead(letter), payloadBase64: payload.toString('base64') }
}

function letterRow(letter: StoredDeadLetter): string[] {
  const { atMs, status, errorType, index, reason } = letter
  const cut = reason.length > REASON_CHARS_MAX ? `${reason.slice(0, REASON_CHARS_MAX)}...` : reason
  const cells = [letterId(letter), new Date(atMs).toISOString(), `${status}`, errorType, index, cut]
  return cells.map(printable)
}

function describeLetter(letter: StoredDeadLetter): string {
  const facts = Object.entries(letterHead(letter)).map(([name, value]) => [
    `${name}:`,
    printable(String(value)),
  ])
  const lines = Buffer.from(letter.payload).toString('utf8').split('\n').map(printable)
  return `${textTable(facts)}${lines.join('\n').trimEnd()}\n`
}

function describeStats(file: string, { count, damagedCount, groups }: DeadLetterStats): string {
  const damaged = damagedCount === 0 ? '' : `, and ${counted(damagedCount, 'damaged line')}`
  const total = `${counted(count, 'dead letter')} in ${file}${damaged}\n`
  if (groups.length === 0) return total
  const rows = groups.map((group) =>
    [
      String(group.count),
      group.errorType,
      group.index,
      group.topic,
      new Date(group.firstMs).toISOString(),
      new Date(group.lastMs).toISOString(),
      group.reason.slice(0, REASON_CHARS_MAX),
    ].map(printable),
  )
  const head = ['COUNT', 'TYPE', 'INDEX', 'TOPIC', 'FIRST', 'LAST', 'LAST REASON']
  return `${total}${textTable([head, ...rows])}`
}

/*
 * `logpipe dlq replay`: sends dead letters through the pipeline's own output, as they were sent the
 * first time.
 */

/** Reasons that are told; the rest is counted. */
const REASONS_TOLD_MAX = 10
const LINE_END = 0x0a

/** What came of a replay, and why it ended early; null: it did not. */
interface Replayed extends ReplayResult {
  readonly failure: Error | null
}

/** @throws LogpipeError LOCKED or DEAD_LETTERS. */
async function replayLetters(
  store: DeadLetterStore,
  filter: DeadLetterFilter,
  config: Config,
  context: CommandContext,
): Promise<Replayed> {
  const log = openLog(config, context)
  const stop = new AbortController()
  const signal = AbortSignal.any([context.stopSignal(), stop.signal])
  let toldCount = 0
  const report = (letter: Parameters<typeof letterId>[0], reason: string): void => {
    if (toldCount++ < REASONS_TOLD_MAX) log.warn(printable(`${letterId(letter)}: ${reason}`))
  }
  const sender = new DocumentSender(elasticsearchSettings(config), {
    // What is refused again is where it belongs already.
    deadLetters: {
      put: (letters) => {
        for (const letter of letters) report(letter, `rejected again: ${letter.reason}`)
        return Promise.resolve()
      },
    },
    signal: context.stopSignal(),
    graceMs: config.shutdownDeadlineMs,
  })
  const progress = progressLog(log, () => sender.trouble)
  const send = async (letters: readonly StoredDeadLetter[]): Promise<readonly ReplayOutcome[]> => {
    const reasons = letters.map(whyNotSendable)
    const sendable = letters.filter((_, index) => reasons[index] === null)
    const sent = await sender.send(
      sendable.map(({ payload: document, ...letter }) => ({ ...letter, document })),
    )
    progress.add(sent.filter((outcome) => outcome !== undefined).length)
    if (sender.failure !== null) stop.abort()
    let next = 0
    return letters.map((letter, index) => {
      const reason = reasons[index] ?? null
      if (reason !== null) {
        report(letter, reason)
        return 'failed'
      }
      const outcome = sent[next++]
      if (outcome !== undefined) return outcome === 'dead_lettered' ? 'failed' : 'done'
      const why = sender.whyWaiting(letter.index) ?? sender.failure?.message ?? 'no answer'
      report(letter, `not sent: documents wait for the index ${letter.index}: ${why}`)
      return 'waiting'
    })
  }
  try {
    const result = await store.replay(filter, send, signal)
    return { ...result, failure: sender.failure }
  } finally {
    progress.end()
    await sender.close()
  }
}

/** Two lines, as they were stored: a file edited by hand must not break a whole request. */
function whyNotSendable({ payload, payloadBytes, topic, offset }: StoredDeadLetter): string | null {
  if (payloadBytes !== undefined) {
    const size = formatBytes(payloadBytes)
    return `its payload of ${size} was not stored; read offset ${offset} of ${topic} from Kafka`
  }
  const first = payload.indexOf(LINE_END)
  const end = payload.indexOf(LINE_END, first + 1)
  const action = Buffer.from(payload.subarray(0, Math.max(first, 0))).toString('latin1')
  const isWhole = end === payload.length - 1 && first !== -1
  if (isWhole && /^\{"(create|index)":\{"_index":"[^"]/.test(action)) return null
  return 'its payload is not an action and a document'
}
