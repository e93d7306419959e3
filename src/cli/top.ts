/**
 * `logpipe top`: once a second what a pipeline on this machine does, or a control plane's fleet.
 *
 * On a terminal it paints over itself, on the screen that editors use too, so that what stood there
 * before comes back at the end.
 */
import path from 'node:path'
import { sleep, systemClock, type Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { readMetricsSnapshot, type MetricsSnapshot } from '../core/metrics-snapshot.ts'
import { printable } from '../core/printable.ts'
import type { Trouble } from '../core/trouble.ts'
import { formatBytes, formatDuration } from '../core/units.ts'
import { resolve, type Resolved } from '../options/resolve.ts'
import { refuseOperands, type CommandContext } from './context.ts'
import { ApiReader } from './api-reader.ts'
import { stateFolder } from './state-folder.ts'
import { textTable } from '../core/text-table.ts'

/** Snapshots and heartbeats come once a second. */
const EVERY_MS = 1000

const SCREEN = { enter: '\x1b[?1049h\x1b[?25l', leave: '\x1b[?25h\x1b[?1049l' }
const HOME = '\x1b[H'
const END_OF_LINE = '\x1b[K'
const BELOW = '\x1b[J'

interface Picture {
  readonly text: string
  /** The same for programs. */
  readonly data: object
}

type Look = () => Promise<Picture>

export async function top(context: CommandContext, clock: Clock = systemClock): Promise<number> {
  const resolved = resolve({ command: 'top', args: context.args, env: context.env })
  refuseOperands(resolved)
  const { topOnce, watchJson } = resolved.config
  const look = await lookOf(resolved, context.env, clock)
  const isLive = context.rows() !== null && !topOnce && !watchJson
  if (!isLive && !(watchJson && !topOnce)) {
    const { text, data } = await look()
    context.print(watchJson ? `${JSON.stringify(data)}\n` : text)
    return 0
  }
  const stop = context.stopSignal()
  if (isLive) context.print(SCREEN.enter)
  try {
    while (!stop.aborted) {
      if (isLive) paint(context, (await seen(look)).text)
      else context.print(`${JSON.stringify((await look()).data)}\n`)
      await sleep(clock, EVERY_MS, stop)
    }
  } finally {
    if (isLive) context.print(SCREEN.leave)
  }
  return 0
}

/** What is away now may be back in a second. */
async function seen(look: Look): Promise<Picture> {
  try {
    return await look()
  } catch (error) {
    if (!(error instanceof LogpipeError)) throw error
    return { text: messageOf(error), data: {} }
  }
}

function paint({ print, rows, columns }: CommandContext, text: string): void {
  const lines = fitted(text, rows() ?? 24, columns).map((line) => `${line}${END_OF_LINE}\n`)
  print(`${HOME}${lines.join('')}${BELOW}`)
}

/** The file that was named, the control plane that was named, or whichever of both is there. */
async function lookOf(
  { config, sources }: Resolved,
  env: CommandContext['env'],
  clock: Clock,
): Promise<Look> {
  const isNamed = (name: 'RUNTIME_METRICS_PATH' | 'CONTROL_PLANE_URL') =>
    (sources.get(name) ?? { kind: 'default' }).kind !== 'default'
  const file = config.runtimeMetricsPath
  const api = new ApiReader(config)
  if (isNamed('RUNTIME_METRICS_PATH')) return pipelineLook(file, clock)
  if (isNamed('CONTROL_PLANE_URL')) return fleetLook(api)
  const state = stateFolder(env)
  const files = [file, ...(state === null ? [] : [path.join(state, path.basename(file))])]
  for (const each of files) {
    const isThere = (await readMetricsSnapshot(each, clock.wallMs())) !== undefined
    if (isThere) return pipelineLook(each, clock)
  }
  return fleetLook(api)
}

function pipelineLook(file: string, clock: Clock): Look {
  let before: MetricsSnapshot | undefined
  const read = async (): Promise<MetricsSnapshot> => {
    const found = await readMetricsSnapshot(file, clock.wallMs())
    if (found !== undefined) return found
    const message = `${file} is not the snapshot of a running pipeline (RUNTIME_METRICS_PATH)`
    throw new LogpipeError('CONTROL', message)
  }
  return async () => {
    if (before === undefined) {
      // Rates need two readings.
      before = await read()
      await sleep(clock, EVERY_MS)
    }
    const now = await read()
    const rates = ratesBetween(before, now)
    before = now
    const at = new Date(now.atMs).toISOString()
    return {
      text: pipelineText(file, now, rates),
      data: { at, metrics: now.metrics, rates, troubles: now.troubles },
    }
  }
}

function fleetLook(api: ApiReader): Look {
  return async () => {
    const [runtime, pipelines, workers] = await Promise.all([
      api.get('/api/metrics/runtime'),
      api.all<FleetAnswers['pipelines'][number]>('/api/pipelines'),
      api.all<FleetAnswers['workers']['items'][number]>('/api/workers'),
    ])
    const answers = { runtime, pipelines, workers: { items: workers } } as FleetAnswers
    return { text: fleetText(api.url, answers), data: answers }
  }
}

/*
 * What `logpipe top` shows, as text: a pipeline out of two readings of its snapshot, or a fleet out
 * of the control plane's answers. Pure functions.
 */

type Numbers = Readonly<Record<string, number>>

const COUNT = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const SMALL = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })

/** Whole numbers, but what is small enough for a digit behind the point to matter. */
export function rateText(rate: number): string {
  return (Math.abs(rate) < 10 ? SMALL : COUNT).format(rate)
}

/** Rates per second of every counter, and how long it took. */
export function ratesBetween(before: MetricsSnapshot, now: MetricsSnapshot): Numbers {
  const seconds = (now.atMs - before.atMs) / 1000
  if (!(seconds > 0)) return {}
  return Object.fromEntries(
    Object.entries(now.metrics)
      .filter(([name]) => name.endsWith('_total'))
      // A counter that fell began anew, at zero.
      .map(([name, value]) => {
        const last = before.metrics[name] ?? 0
        const rate = (value < last ? value : value - last) / seconds
        return [name.replace(/_total$/, '_per_second'), rate]
      }),
  )
}

/** A pipeline on this machine. */
export function pipelineText(file: string, snapshot: MetricsSnapshot, rates: Numbers): string {
  const { metrics, troubles, atMs } = snapshot
  const rate = (name: string) => rates[`${name}_per_second`] ?? 0
  const now = (name: string) => metrics[name] ?? 0
  const total = (name: string) => COUNT.format(now(`${name}_total`))
  const flow = [
    ['', 'PER SECOND', 'BYTES/S', 'TOTAL'],
    ['polled', rateText(rate('polled')), perSecond(rate('polled_bytes')), total('polled')],
    ['matched', rateText(rate('matched')), '', total('matched')],
    ['written', rateText(rate('written')), perSecond(rate('written_bytes')), total('written')],
  ]
  const odd = ['dead_letters', 'es_429_proxy_rejected', 'retries', 'fenced', 'dropped']
    .filter((name) => now(`${name}_total`) > 0)
    .map((name) => `${name} ${total(name)}`)
  const lag = metrics['kafka_lag']
  return [
    `${file}   up ${formatDuration(now('uptime_seconds') * 1000)}`,
    '',
    textTable(flow, new Set([1, 2, 3])).trimEnd(),
    '',
    `lag      ${lag === undefined ? 'unknown' : `${COUNT.format(lag)} records`}`,
    `queue    ${COUNT.format(now('es_mem_queue_len'))} documents, ` +
      `${formatBytes(now('es_mem_queue_bytes'))} in memory; ` +
      `${formatBytes(now('es_spill_queue_bytes'))} in the spill`,
    `pool     free ${now('pool_free')}, ready ${now('pool_ready')}, ` +
      `in flight ${now('pool_in_flight')} of ${now('pool_total')}`,
    ...(odd.length === 0 ? [] : [`counted  ${odd.join(', ')}`]),
    `trouble  ${troubles.map((one) => troubleLine(one, atMs)).join('\n         ') || 'none'}`,
    '',
  ].join('\n')
}

/** `Elasticsearch is down: connect ECONNREFUSED (for 12.0 s)`. */
function troubleLine({ text, since }: Pick<Trouble, 'text' | 'since'>, nowMs: number): string {
  return `${printable(text)} (for ${formatDuration(Math.max(0, nowMs - Date.parse(since)))})`
}

const perSecond = (bytes: number) => `${formatBytes(bytes)}/s`

/** What the control plane answers, as far as it is shown. */
interface FleetAnswers {
  readonly runtime: {
    readonly at: string
    readonly fleet: { readonly rates: Numbers }
    readonly pipelines: readonly {
      readonly pipeline_id: number
      readonly workers: readonly string[]
      readonly metrics: Numbers
      readonly rates: Numbers
    }[]
  }
  readonly pipelines: readonly {
    readonly id: number
    readonly name: string
    readonly status: {
      readonly state: string
      readonly reason: string | null
      /** Absent: the control plane is of an older version. */
      readonly reasons?: readonly (Trouble & { readonly worker_id: string })[]
    }
  }[]
  readonly workers: {
    readonly items: readonly {
      readonly id: string
      readonly state: string
      readonly live: boolean
      readonly pipeline_id: number | null
      readonly error: { readonly message: string } | null
    }[]
  }
}

/** Every pipeline, the busiest first, and what is wrong beneath. */
export function fleetText(url: string, { runtime, pipelines, workers }: FleetAnswers): string {
  const running = new Map(runtime.pipelines.map((each) => [each.pipeline_id, each]))
  const polled = (id: number) => running.get(id)?.rates['polled_per_second'] ?? 0
  const items = pipelines.toSorted((a, b) => polled(b.id) - polled(a.id) || a.id - b.id)
  const rows = items.map(({ id, name, status }) => {
    const { rates = {}, metrics = {}, workers: by = [] } = running.get(id) ?? {}
    return [
      String(id),
      printable(name),
      status.state,
      by.length === 0 ? '-' : by.length <= 2 ? by.join(' ') : `${by.length} workers`,
      rateText(rates['polled_per_second'] ?? 0),
      perSecond(rates['polled_bytes_per_second'] ?? 0),
      rateText(rates['matched_per_second'] ?? 0),
      rateText(rates['written_per_second'] ?? 0),
      COUNT.format(metrics['kafka_lag'] ?? 0),
      formatBytes(metrics['es_spill_queue_bytes'] ?? 0),
      rateText(rates['es_429_proxy_rejected_per_second'] ?? 0),
    ]
  })
  const live = workers.items.filter((worker) => worker.live).length
  const idle = workers.items.filter((worker) => worker.live && worker.pipeline_id === null).length
  const heading = ['ID', 'PIPELINE', 'STATE', 'WORKERS', 'POLLED/S', 'BYTES/S'].concat([
    'MATCHED/S',
    'WRITTEN/S',
    'LAG',
    'SPILL',
    '429/S',
  ])
  return [
    `${url}   ${live} of ${workers.items.length} workers live, ${idle} idle   ` +
      `${running.size} of ${pipelines.length} pipelines run`,
    '',
    textTable([heading, ...rows], new Set([0, 4, 5, 6, 7, 8, 9, 10])),
    ...reasons(items, Date.parse(runtime.at)),
  ].join('\n')
}

/** One line for each thing that is wrong; where a pipeline has several, each with since when. */
function reasons(items: FleetAnswers['pipelines'], nowMs: number): string[] {
  return items
    .flatMap(({ id, name, status: { reason, reasons: all = [] } }) => {
      const of = `${id} ${printable(name)}`
      const told = all.map((one) => `${of}: ${one.worker_id}: ${troubleLine(one, nowMs)}`)
      const isToldByAll = reason !== null && all.some(({ text }) => reason.includes(text))
      return [...(reason === null || isToldByAll ? [] : [`${of}: ${printable(reason)}`]), ...told]
    })
    .concat('')
}

/** The part of a text that a screen holds, and how much is below it. */
export function fitted(text: string, rows: number, columns: number): string[] {
  const lines = text.trimEnd().split('\n')
  const cut = (line: string) => line.slice(0, columns)
  if (lines.length < rows) return lines.map(cut)
  const shown = lines.slice(0, Math.max(1, rows - 2)).map(cut)
  return [...shown, `... and ${lines.length - shown.length} more lines`]
}
