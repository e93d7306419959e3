/**
 * `logpipe run`: resolves the options, refuses what cannot fit, runs the pipeline.
 */
import os from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import { loadBridge } from '../bridge/load.ts'
import { systemClock, type Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { DEMO_DEFAULTS } from '../demo/demo.ts'
import { EMBEDDED_KAFKA_CONFIG, openEmbedded } from '../demo/embedded.ts'
import type { MatchedBatch } from '../filter/matches.ts'
import { openBulkProducer } from '../kafka/producer.ts'
import { type Config, fieldOf, redactorOf } from '../options/config.ts'
import { patternsOf, refuseRegexes } from '../options/filter.ts'
import { refuseMetricRegexes } from '../options/metrics.ts'
import { checkMemory } from '../options/memory.ts'
import { resolve, type Resolved } from '../options/resolve.ts'
import type { OptionSpec } from '../options/spec.ts'
import { ROWS } from '../options/table.ts'
import type { Pipeline } from '../run/pipeline.ts'
import { type RunDeps, runPipeline } from '../run/run-pipeline.ts'
import {
  embeddedSettings,
  pipelineSettings,
  type Surroundings,
} from '../run/settings-from-config.ts'
import { openLog, refuseOperands, type CommandContext } from './context.ts'
import { fittedConfig, memoryLimit, planMemory, startNotices } from './run-plan.ts'
import { underLock } from './file-lock.ts'
import { statePaths } from './state-folder.ts'
import { controlledPipeline, openParentLink } from './parent-link.ts'

export async function run(context: CommandContext): Promise<number> {
  const resolved = resolve({ command: 'run', args: context.args, env: context.env })
  refuseOperands(resolved)
  const paths = statePaths(resolved, context.env)
  const fitted = fittedConfig(resolved, os.availableParallelism())
  const config = { ...fitted, esSpillPath: paths.spill }
  const bridge = loadBridge(config.bridgeLib ?? undefined)
  refuseRegexes(config, bridge)
  refuseMetricRegexes(config, bridge)
  checkMemory(planMemory(config, null), memoryLimit())
  const log = openLog(config, context)
  return underLock(config, async () => {
    const surroundings = surroundingsOf(context)
    const settings = pipelineSettings(config, surroundings)
    for (const notice of startNotices(config, os.availableParallelism())) log.info(notice)
    if (settings.kafka.membership === 'alone' && !config.kafkaEmbedded) log.info(ALONE)
    if (config.pipelineOutput.kind === 'elasticsearch') void askElasticsearch(config, log)
    const parent = followParent(context, log)
    const onStart = followHangups(context, resolved, log)
    const signal = AbortSignal.any([context.stopSignal(), parent.gone])
    const { snapshot: snapshotPath } = paths
    if (config.kafkaEmbedded) return runEmbedded({ config, log, signal, snapshotPath }, onStart)
    return runPipeline(settings, {
      log,
      signal,
      snapshotPath,
      metricsListen: config.metricsListen,
      onMatched: parent.onMatched,
      onStart,
    })
  })
}

/** Once, beside the start: what is wrong there would show with the first match only. */
async function askElasticsearch(config: Config, log: Log): Promise<void> {
  try {
    const { probeElasticsearch } = await import('./probes.ts')
    for (const { subject, state, detail } of await probeElasticsearch(config)) {
      if (state === 'wrong') log.warn(`${subject}: ${detail}`)
    }
  } catch (error) {
    // The pipeline meets it too, and says more.
    log.debug(`Elasticsearch was not asked: ${messageOf(error)}`)
  }
}

const ALONE = 'matches go to the terminal: joins no group, commits nothing, starts at --start'

function surroundingsOf({ env, rows }: CommandContext): Surroundings {
  return { isTerminal: rows() !== null, controlled: controlledPipeline(env) }
}

/** What sync asks of its child: matches to show, and to end when sync has gone. */
function followParent(
  { env }: CommandContext,
  log: Log,
): { readonly gone: AbortSignal; readonly onMatched: RunDeps['onMatched'] } {
  const gone = new AbortController()
  const link = openParentLink(env, {
    onTail: (seconds) => tail.show(seconds),
    onGone: () => {
      log.warn('sync has ended: draining')
      gone.abort()
    },
  })
  const tail = new TailSampler(systemClock, (entries) => link?.sendTail(entries))
  return {
    gone: gone.signal,
    onMatched: link === null ? undefined : (batch) => tail.accept(batch),
  }
}

/** `--embedded`: a Kafka in this process, fed while the pipeline runs. */
async function runEmbedded(
  {
    config,
    log,
    signal,
    snapshotPath,
  }: Pick<RunDeps, 'log' | 'signal' | 'snapshotPath'> & { readonly config: Config },
  started: (pipeline: Pipeline) => void,
): Promise<number> {
  const [topic = DEMO_DEFAULTS.topic] = config.kafkaTopic
  const embedded = await openEmbedded(
    {
      ...DEMO_DEFAULTS,
      topic,
      recordsPerSecond: config.demoRate,
      errorShare: config.demoErrorShare,
      patterns: patternsOf(config),
    },
    {
      bridge: loadBridge(config.bridgeLib ?? undefined),
      clock: systemClock,
      openProducer: openBulkProducer,
    },
  )
  log.info(`embedded broker at ${embedded.brokers}, topic ${topic}`)
  const feeding = new AbortController()
  let fed: Promise<void> = Promise.resolve()
  const onStart = (pipeline: Pipeline) => {
    started(pipeline)
    const fetched = () => pipeline.stats().counters.records
    fed = embedded.feed(fetched, feeding.signal)
    // An error of the generator ends the run; it is met again below.
    fed.catch(() => pipeline.stop())
  }
  try {
    const settings = embeddedSettings(config, topic, embedded.brokers, EMBEDDED_KAFKA_CONFIG)
    return await runPipeline(settings, {
      log,
      signal,
      snapshotPath,
      metricsListen: config.metricsListen,
      onStart,
    })
  } finally {
    feeding.abort()
    try {
      await fed
    } finally {
      await embedded.close()
    }
  }
}

/*
 * SIGHUP: the options are resolved again, from the same arguments and variables, the config file
 * and the files of secrets as they are now. What a running pipeline can be told anew is told; it
 * does not leave its group. A wrong configuration changes nothing.
 */

/** Properties of librdkafka that its clients can be told while they run. */
const RELOADED_PROPERTIES = ['sasl.username', 'sasl.password']

/**
 * From here on SIGHUP re-reads the options.
 * @returns what a pipeline is handed to when it runs; until then a SIGHUP is kept for it.
 */
function followHangups(
  context: CommandContext,
  first: Resolved,
  log: Log,
): (pipeline: Pick<Pipeline, 'reload'>) => void {
  let config = first.config
  let running: Pick<Pipeline, 'reload'> | null = null
  let isWaiting = false
  context.onHangup(reload)
  return (pipeline) => {
    running = pipeline
    if (isWaiting) reload()
  }

  function reload(): void {
    isWaiting = running === null
    if (running === null) return
    try {
      const next = resolve({ command: 'run', args: context.args, env: context.env }).config
      refuseRegexes(next, loadBridge(next.bridgeLib ?? undefined))
      const taken = takenOf(config, next)
      running.reload(pipelineSettings(taken))
      log.setLevel(next.logLevel)
      log.setRedact(redactorOf(next))
      logReload(log, config, next)
      config = taken
    } catch (error) {
      if (!(error instanceof LogpipeError)) throw error
      log.warn(`SIGHUP: ${error.message}; keeping the old configuration`)
    }
  }
}

/** The new values where the running pipeline can take them, and the old ones everywhere else. */
function takenOf(old: Config, next: Config): Config {
  const kept = ROWS.filter((row) => row.env !== 'KAFKA_CONFIG' && !isTaken(row, old))
  const fields = kept.map((row) => fieldOf(row.env))
  return { ...next, ...Object.fromEntries(fields.map((field) => [field, old[field]])) }
}

function logReload(log: Log, old: Config, next: Config): void {
  const changed = ROWS.filter((row) => !isDeepStrictEqual(valueOf(old, row), valueOf(next, row)))
  const taken = changed.filter((row) => isTaken(row, old)).map((row) => row.env)
  const secrets = 'reloaded secrets'
  log.info(`SIGHUP: ${taken.length === 0 ? secrets : `${taken.join(', ')} changed; ${secrets}`}`)
  const waiting = changed.filter((row) => !isTaken(row, old)).map((row) => row.env)
  if (waiting.length > 0) log.warn(`SIGHUP: ${waiting.join(', ')} changed: needs a restart`)
}

/** Counts go on under the patterns with which they began. */
function isTaken(row: OptionSpec, { productLine }: Config): boolean {
  return row.reloads === true && !(productLine === 'metrics' && row.group === 'filter')
}

function valueOf(config: Config, row: OptionSpec): unknown {
  if (row.env !== 'KAFKA_CONFIG') return config[fieldOf(row.env)]
  return config.kafkaConfig.filter(([name]) => !RELOADED_PROPERTIES.includes(name))
}

/*
 * The live tail: a few of the matches, as text, while somebody watches.
 *
 * Bound. At most SAMPLES_MAX a second, each cut at SAMPLE_BYTES_MAX, for TAIL_MS_MAX after each
 * order; while nobody watches, a batch costs one comparison.
 */

/** What a person can follow. */
const SAMPLES_MAX = 5
const SECOND_MS = 1000
/** What sync passes on of one. */
const SAMPLE_BYTES_MAX = 16_000
/** Orders come every few seconds; what forgets to end them must not be served for ever. */
const TAIL_MS_MAX = 60_000
const LINE_END = 0x0a

export class TailSampler {
  readonly #clock: Clock
  readonly #send: (entries: readonly string[]) => void
  #endMs = -Infinity
  #secondMs = -Infinity
  #count = 0

  constructor(clock: Clock, send: (entries: readonly string[]) => void) {
    this.#clock = clock
    this.#send = send
  }

  /** Shows matches for so long from now. */
  show(seconds: number): void {
    this.#endMs = this.#clock.monotonicMs() + Math.min(seconds * SECOND_MS, TAIL_MS_MAX)
  }

  /** Takes a batch on its way to the output: its first document stands for all. */
  accept(batch: MatchedBatch): void {
    const nowMs = this.#clock.monotonicMs()
    if (!(nowMs < this.#endMs)) return
    if (nowMs - this.#secondMs >= SECOND_MS) {
      this.#secondMs = nowMs
      this.#count = 0
    }
    if (this.#count >= SAMPLES_MAX) return
    this.#count++
    this.#send([firstDocument(batch)])
  }
}

/** Its last line; for Elasticsearch, the line before it is what to do with it. */
function firstDocument({ body, ends }: MatchedBatch): string {
  const bytes = Buffer.from(body.buffer, body.byteOffset, ends[0] ?? 0)
  const end = bytes.at(-1) === LINE_END ? bytes.length - 1 : bytes.length
  const start = end === 0 ? 0 : bytes.lastIndexOf(LINE_END, end - 1) + 1
  return bytes.toString('utf8', start, Math.min(end, start + SAMPLE_BYTES_MAX))
}
