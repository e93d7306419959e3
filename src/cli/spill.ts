/**
 * `logpipe spill ls | verify | drain`: what waits on disk, for the operator's eyes and hands.
 *
 * Exits with 1 when verify finds damage, or something stays after drain; with 3 when drain met
 * documents that are lost: their files are set aside, so the next drain exits with 0.
 */
import { existsSync } from 'node:fs'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { ERRORS, LogpipeError } from '../core/errors.ts'
import { formatBytes } from '../core/units.ts'
import type { Config } from '../options/config.ts'
import { resolve } from '../options/resolve.ts'
import { bridgeLocks } from '../bridge/locks.ts'
import { openDeadLetters } from '../run/elasticsearch-output.ts'
import { clientProperties, elasticsearchSettings } from '../run/settings-from-config.ts'
import { DocumentSender } from '../sink/elasticsearch/document-sender.ts'
import type { SpillDamage, SourceRange } from '../sink/spill/contract.ts'
import {
  drainSpill,
  inspectSpill,
  type InspectedSegment,
  type InspectedSpill,
} from '../sink/spill/inspect.ts'
import { spillDirectory } from '../sink/spill/open.ts'
import { type CommandContext, openLog } from './context.ts'
import { counted, textTable } from '../core/text-table.ts'
import { progressLog } from './progress-log.ts'

interface SpillDeps {
  /** Loads the add-on; undefined: the one that was built. */
  readonly loadBridge: (file: string | undefined) => Pick<Bridge, 'fileLock' | 'fileUnlock'>
}

/** Requests under way at a time hold this many times ES_BULK_BYTES, before a drain reads more. */
const BATCH_REQUESTS = 4
/** Indices that wait, and are named with their reason. */
const INDICES_TOLD_MAX = 10

export async function spill(
  context: CommandContext,
  deps: SpillDeps = { loadBridge },
): Promise<number> {
  const { config, operands } = resolve({ command: 'spill', args: context.args, env: context.env })
  const [action, ...rest] = operands
  const run = action === undefined ? undefined : ACTIONS.get(action)
  if (run === undefined || rest.length > 0) {
    const got = operands.length === 0 ? 'nothing' : `"${operands.join(' ')}"`
    throw new LogpipeError('USAGE', `logpipe spill: expected ls, verify or drain, got ${got}`)
  }
  return run(config, context, deps)
}

type Action = (config: Config, context: CommandContext, deps: SpillDeps) => Promise<number>

const ACTIONS: ReadonlyMap<string, Action> = new Map([
  ['ls', ls],
  ['verify', verify],
  ['drain', drain],
])

async function ls(config: Config, context: CommandContext, deps: SpillDeps): Promise<number> {
  const found = await inspected(config, deps)
  context.print(config.storedJson ? `${JSON.stringify(found)}\n` : describeSpill(found))
  return 0
}

async function verify(config: Config, context: CommandContext, deps: SpillDeps): Promise<number> {
  const found = await inspected(config, deps)
  context.print(config.storedJson ? `${JSON.stringify(found)}\n` : describeVerdict(found))
  const isForeign = found.segments.some((segment) => segment.foreignVersion !== null)
  return found.damage.length > 0 || isForeign ? 1 : 0
}

async function inspected({ esSpillPath, bridgeLib }: Config, deps: SpillDeps) {
  const directory = spillDirectory(esSpillPath)
  if (!existsSync(directory)) {
    throw new LogpipeError('SPILL', `no spill in ${directory} (ES_SPILL_PATH)`)
  }
  const locks = bridgeLocks(deps.loadBridge(bridgeLib ?? undefined))
  return inspectSpill({ path: esSpillPath, locks })
}

async function drain(config: Config, context: CommandContext, deps: SpillDeps): Promise<number> {
  const directory = spillDirectory(config.esSpillPath)
  if (!existsSync(directory)) {
    // Whoever drains before something else is done wants it empty, and it is.
    return concluded(config, context, directory, NOTHING)
  }
  const log = openLog(config, context)
  const locks = bridgeLocks(deps.loadBridge(config.bridgeLib ?? undefined))
  const settings = elasticsearchSettings(config)
  const kafka = {
    brokers: config.kafkaBrokers.join(','),
    clientProperties: clientProperties(config),
    tokenFile: config.kafkaTokenFile,
  }
  const letters = config.dlq === null ? null : await openDeadLetters(config.dlq, kafka, locks)
  const sender = new DocumentSender(settings, {
    deadLetters: letters?.letters ?? null,
    signal: context.stopSignal(),
    graceMs: config.shutdownDeadlineMs,
  })
  const progress = progressLog(log, () => sender.trouble)
  const stop = new AbortController()
  const waiting = new Set<string>()
  try {
    const result = await drainSpill({
      path: config.esSpillPath,
      locks,
      events: {
        damaged: (damage) => log.warn(describeDamage(damage)),
        trouble: (message) => log.warn(message),
      },
      batchBytes: Math.min(settings.bulkBytes * BATCH_REQUESTS, settings.queueBytes),
      accepts: (index) => sender.whyWaiting(index) === null,
      send: async (entries) => {
        const sent = await sender.send(entries)
        progress.add(sent.filter((outcome) => outcome !== undefined).length)
        if (sender.failure !== null) stop.abort()
        for (const [place, { index }] of entries.entries()) {
          if (sent[place] === undefined) waiting.add(index)
        }
        return sent.map((outcome) => outcome !== undefined)
      },
      signal: AbortSignal.any([context.stopSignal(), stop.signal]),
    })
    for (const index of [...waiting].slice(0, INDICES_TOLD_MAX)) {
      const why = sender.whyWaiting(index)
      if (why !== null) log.warn(`documents wait for the index ${index}: ${why}`)
    }
    const status = concluded(config, context, directory, result)
    if (sender.failure !== null) throw sender.failure
    return status
  } finally {
    progress.end()
    await sender.close()
    await letters?.close()
  }
}

interface Drained {
  readonly sentCount: number
  readonly leftCount: number
  readonly damage: readonly SpillDamage[]
  readonly setAside: readonly string[]
}

const NOTHING: Drained = { sentCount: 0, leftCount: 0, damage: [], setAside: [] }

function concluded(
  { storedJson }: Config,
  { print }: CommandContext,
  directory: string,
  drained: Drained,
): number {
  const { sentCount, leftCount, damage, setAside } = drained
  const lost = damage.filter((one) => !one.torn)
  if (storedJson) print(`${JSON.stringify({ directory, ...drained })}\n`)
  else {
    print(`sent ${counted(sentCount, 'document')}, ${leftCount} left in ${directory}\n`)
    for (const one of damage) print(`${describeDamage(one)}\n`)
    if (lost.length > 0) print('re-read these offsets from Kafka with `logpipe replay`\n')
    if (setAside.length > 0) print(`the damaged files are kept as ${setAside.join(', ')}\n`)
  }
  if (lost.length > 0) return ERRORS.BOOKS
  return leftCount > 0 ? 1 : 0
}

/* What `logpipe spill` prints for people. */

/** Whose it is, a row for each segment, and the offsets that each holds. */
function describeSpill(found: InspectedSpill): string {
  const { segments, manifest, inUse } = found
  const facts = [
    `${found.directory}: ${summary(found)}${inUse ? ', in use by a running process' : ''}`,
    ...(manifest === null
      ? segments.length > 0
        ? ['manifest.json is missing or damaged: the pipeline of these documents is unknown']
        : []
      : [`pipeline "${manifest.pipeline}", target "${manifest.target}", ${modeOf(manifest)}`]),
  ]
  if (segments.length === 0) return `${facts.join('\n')}\n`
  const rows = segments.map((segment) => [
    segment.file,
    formatBytes(segment.bytes),
    String(segment.entryCount),
    String(segment.sentBelow),
    stateOf(segment),
    segment.ranges.map(rangeText).join(', '),
  ])
  const head = ['SEGMENT', 'SIZE', 'ENTRIES', 'SENT', 'STATE', 'OFFSETS']
  return `${facts.join('\n')}\n${textTable([head, ...rows])}`
}

/** Each damage with file, bytes and offsets; or that there is none. */
function describeVerdict(found: InspectedSpill): string {
  const foreign = found.segments.filter((segment) => segment.foreignVersion !== null)
  const lines = [
    ...found.damage.map(describeDamage),
    ...foreign.map(
      ({ file, foreignVersion }) => `${file}: unsupported format version ${foreignVersion}`,
    ),
  ]
  if (lines.length === 0) return `${found.directory}: ${summary(found)}, no damage\n`
  const what = `${counted(lines.length, 'thing is', 'things are')} wrong`
  return `${lines.join('\n')}\n${found.directory}: ${summary(found)}, ${what}\n`
}

function describeDamage(damage: SpillDamage): string {
  const { file, bytesFrom, bytesTo, lostCount, ranges, unattributedCount, torn } = damage
  const parts = [
    `${file}: damaged, bytes ${bytesFrom} to ${bytesTo}`,
    ...(torn ? ['interrupted write'] : []),
    counted(lostCount, 'document'),
    ...(ranges.length > 0 ? [`among ${ranges.map(rangeText).join(', ')}`] : []),
    ...(unattributedCount > 0 ? [`${unattributedCount} with unknown offsets`] : []),
  ]
  return parts.join(', ')
}

function summary({ segments, entryCount, bytes }: InspectedSpill): string {
  const entries = counted(entryCount, 'document')
  return `${entries}, ${formatBytes(bytes)} in ${counted(segments.length, 'segment')}`
}

function modeOf({ commitOn }: { readonly commitOn: 'index' | 'spill' }): string {
  return commitOn === 'spill' ? 'offsets committed' : 'offsets not committed (a cache)'
}

function stateOf({ sealed, damage, foreignVersion }: InspectedSegment): string {
  if (foreignVersion !== null) return `version ${foreignVersion}`
  if (damage.some((one) => !one.torn)) return 'damaged'
  return sealed ? 'sealed' : 'open'
}

/** The last offset is included, as people count. */
function rangeText({ topic, partition, from, to, count }: SourceRange): string {
  return `${topic}-${partition} ${from}..${to - 1} (${count})`
}
