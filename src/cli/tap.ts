/**
 * `logpipe tap [PIPELINE]`: matches of a running pipeline as they come, through the control plane.
 * What keeps the pipeline from its work is told beside them: a silent tap must not read as calm.
 */
import { sleep, systemClock, type Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { loadBridge } from '../bridge/load.ts'
import type { Config } from '../options/config.ts'
import { filterPlan, refuseRegexes } from '../options/filter.ts'
import { resolve } from '../options/resolve.ts'
import { FilterJudge } from '../run/try.ts'
import type { CommandContext } from './context.ts'
import { ApiReader } from './api-reader.ts'
import { printable } from '../core/printable.ts'
import { counted } from '../core/text-table.ts'

interface Pipeline {
  readonly id: number
  readonly name: string
  readonly status: { readonly state: string; readonly reason: string | null }
}

interface Batch {
  readonly worker_id: string
  readonly entries: readonly string[]
  readonly dropped: number
}

/** The control plane is away: pauses of a second, for half a minute. */
const FAILURES_MAX = 30
const RETRY_MS = 1000
/** Heartbeats come once a second. */
const LOOK_MS = 2000

export async function tap(context: CommandContext, clock: Clock = systemClock): Promise<number> {
  const { config, operands } = resolve({ command: 'tap', args: context.args, env: context.env })
  const api = new ApiReader(config)
  const pipeline = await pipelineOf(api, operands[0])
  const stop = context.stopSignal()
  const ended = new AbortController()
  const signal = AbortSignal.any([stop, ended.signal])
  const isKept = filterBy(config)
  let left = config.tapCount === 0 ? Infinity : config.tapCount
  const show = ({ worker_id: worker, entries, dropped }: Batch): void => {
    if (dropped > 0) context.stderr.write(`${counted(dropped, 'match', 'matches')} not shown\n`)
    for (const entry of entries.filter(isKept).slice(0, left)) {
      const text = config.watchJson ? JSON.stringify({ worker_id: worker, entry }) : entry
      context.print(`${context.rows() === null ? text : printable(text)}\n`)
      left--
    }
    if (left === 0) ended.abort()
  }
  context.stderr.write(
    `sample of the matches of pipeline ${pipeline.id}, ${printable(pipeline.name)}\n`,
  )
  const watching = tellStates({ context, api, clock, signal }, pipeline)
  for (let failures = 0; !signal.aborted;) {
    try {
      for await (const { event, data } of api.events(
        `/api/pipelines/${pipeline.id}/tail`,
        signal,
      )) {
        failures = 0
        if (event === 'match') show(JSON.parse(data) as Batch)
        if (signal.aborted) break
      }
    } catch (error) {
      if (++failures > FAILURES_MAX || !(error instanceof LogpipeError)) throw error
      if (failures === 1) context.stderr.write(`${printable(messageOf(error))}; retrying\n`)
    }
    if (!signal.aborted) await sleep(clock, RETRY_MS, signal)
  }
  await watching
  return 0
}

/** Which of the documents are shown. @throws LogpipeError USAGE */
function filterBy(config: Config): (entry: string) => boolean {
  const { matchKeep, matchDrop } = config
  if (matchKeep.length + matchDrop.length === 0) return () => true
  // What the pipeline looks for was found.
  const none = { matchPattern: [], matchPatternHex: [], matchRegex: [], matchInvert: false }
  const filter = { ...config, ...none, rules: null }
  const bridge = loadBridge(config.bridgeLib ?? undefined)
  refuseRegexes(filter, bridge)
  const judge = new FilterJudge(bridge, filterPlan(filter))
  return (entry) => judge.keeps({ ...NOWHERE, value: Buffer.from(entry) })
}

const NOWHERE = {
  topic: '',
  partition: 0,
  offset: 0,
  timestampMs: -1,
  key: null,
  headers: Buffer.alloc(0),
} as const

interface Watch {
  readonly context: CommandContext
  readonly api: ApiReader
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** One line for each change: degraded, and why; running again. */
async function tellStates({ context, api, clock, signal }: Watch, first: Pipeline): Promise<void> {
  let told = 'running'
  for (let now = first; !signal.aborted;) {
    const { state, reason } = now.status
    const line = reason === null ? state : `${state}: ${printable(reason)}`
    if (line !== told) context.stderr.write(`pipeline ${first.id} is ${line}\n`)
    told = line
    await sleep(clock, LOOK_MS, signal)
    if (signal.aborted) return
    try {
      now = (await api.get(`/api/pipelines/${first.id}`)) as Pipeline
    } catch (error) {
      // That the control plane is away is told by who reads the matches.
      if (!(error instanceof LogpipeError)) throw error
    }
  }
}

/** By id or name; without either, the one that runs. @throws LogpipeError USAGE */
async function pipelineOf(api: ApiReader, asked: string | undefined): Promise<Pipeline> {
  const items = await api.all<Pipeline>('/api/pipelines')
  if (asked !== undefined) {
    const found =
      items.find(({ name }) => name === asked) ?? items.find(({ id }) => String(id) === asked)
    if (found !== undefined) return found
    throw usage(`there is no pipeline ${asked}`, items)
  }
  const running = items.filter(({ status }) => /^(running|degraded)$/.test(status.state))
  const [only] = running
  if (only !== undefined && running.length === 1) return only
  throw only === undefined
    ? usage('no pipeline runs', items)
    : usage(`${running.length} pipelines run: name one`, running)
}

const NAMED_MAX = 10

function usage(what: string, items: readonly Pipeline[]): LogpipeError {
  const names = items.slice(0, NAMED_MAX).map(({ id, name }) => `${id} (${name})`)
  const more = items.length > NAMED_MAX ? `, and ${items.length - NAMED_MAX} more` : ''
  const known = names.length === 0 ? '' : `; there are ${names.join(', ')}${more}`
  return new LogpipeError('USAGE', `logpipe tap: ${what}${known}`)
}
