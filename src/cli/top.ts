/**
 * `logpipe top`: once a second what a pipeline on this machine does, or a control plane's fleet.
 *
 * On a terminal it paints over itself, on the screen that editors use too, so that what stood there
 * before comes back at the end.
 */
import { systemClock, type Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { readMetricsSnapshot, type MetricsSnapshot } from '../core/metrics-snapshot.ts'
import { resolve, type Resolved } from '../options/resolve.ts'
import { refuseOperands, type CommandContext } from './context.ts'
import { ControlApi } from './control-api.ts'
import { fitted, fleetText, pipelineText, ratesBetween, type FleetAnswers } from './top-view.ts'

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
  const look = await lookOf(resolved, clock)
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
      await pause(clock, stop)
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

async function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((done) => {
    const cancel = clock.after(EVERY_MS, done)
    const end = (): void => {
      cancel()
      done()
    }
    signal.addEventListener('abort', end, { once: true })
  })
}

/** The file that was named, the control plane that was named, or whichever of both is there. */
async function lookOf({ config, sources }: Resolved, clock: Clock): Promise<Look> {
  const isNamed = (name: 'RUNTIME_METRICS_PATH' | 'CONTROL_PLANE_URL') =>
    (sources.get(name) ?? { kind: 'default' }).kind !== 'default'
  const file = config.runtimeMetricsPath
  const api = new ControlApi(config)
  if (isNamed('RUNTIME_METRICS_PATH')) return pipelineLook(file, clock)
  if (isNamed('CONTROL_PLANE_URL')) return fleetLook(api)
  const isThere = (await readMetricsSnapshot(file, clock.wallMs())) !== undefined
  return isThere ? pipelineLook(file, clock) : fleetLook(api)
}

function pipelineLook(file: string, clock: Clock): Look {
  let before: MetricsSnapshot | undefined
  const read = async (): Promise<MetricsSnapshot> => {
    const found = await readMetricsSnapshot(file, clock.wallMs())
    if (found !== undefined) return found
    const message = `${file} is no snapshot of a pipeline that runs (RUNTIME_METRICS_PATH)`
    throw new LogpipeError('CONTROL', message)
  }
  return async () => {
    if (before === undefined) {
      // Rates need two readings.
      before = await read()
      await new Promise<void>((done) => void clock.after(EVERY_MS, done))
    }
    const now = await read()
    const rates = ratesBetween(before, now)
    before = now
    const at = new Date(now.atMs).toISOString()
    return {
      text: pipelineText(file, now, rates),
      data: { at, metrics: now.metrics, rates },
    }
  }
}

function fleetLook(api: ControlApi): Look {
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
