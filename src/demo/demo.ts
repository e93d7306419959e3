/**
 * `logpipe demo`: the embedded broker, the generator and the pipeline, with words around them.
 *
 * The first thing that a newcomer sees, so it explains itself, checks itself (every line that was
 * meant to match must be found), and ends with what to try next. Words go to stderr; stdout has the
 * matches only.
 *
 * Order: broker, pipeline, generator; then generator, what is left unread, pipeline, broker.
 */
import { type Clock, sleep } from '../core/clock.ts'
import { LogpipeError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import type { KafkaConfig } from '../kafka/binding.ts'
import {
  type Embedded,
  EMBEDDED_KAFKA_CONFIG,
  type EmbeddedDeps,
  type EmbeddedSettings,
  openEmbedded,
} from './embedded.ts'

export interface DemoSettings extends EmbeddedSettings {
  /** Ends by itself after so many seconds; 0: when the signal says so. */
  readonly runSeconds: number
  /** What is sought, as the user typed it. */
  readonly patternText: string
  /**
   * Whether a match is a line that contains one of `patterns`, so that the demo can tell how many
   * there must be; false with --ignore-case or --invert-match.
   */
  readonly isExact: boolean
}

/** Defaults of the demo where it has its own: two matches a second, which a person can follow. */
export const DEMO_DEFAULTS = {
  topic: 'demo-logs',
  partitionCount: 4,
  recordsPerSecond: 50_000,
  errorShare: 2 / 50_000,
  recordBytes: null,
  seed: 1,
  runSeconds: 20,
} as const

/** What the demo asks the pipeline to run on. */
export interface DemoPipelineSettings {
  readonly brokers: string
  readonly topic: string
  readonly kafkaConfig: KafkaConfig
}

/** A running pipeline. */
export interface DemoPipeline {
  /** Sums since the start. */
  stats(): { readonly fetched: number; readonly matched: number }
  /** The record that was kept last, as it is written; null: none. */
  lastKept(): string | null
  /** Drains and prints the books; resolves when it has ended. */
  stop(): Promise<void>
  /** Settles when the pipeline has ended, by stop or by itself; rejects with its error. */
  readonly done: Promise<unknown>
}

export interface DemoDeps extends EmbeddedDeps {
  /** Resolves when the pipeline reads. */
  readonly startPipeline: (settings: DemoPipelineSettings) => Promise<DemoPipeline>
  /** One line to stderr. */
  readonly say: (line: string) => void
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** How long the pipeline may take to read what is left when the generator has stopped. */
const DRAIN_MS_MAX = 5000
const DRAIN_LOOK_MS = 10

/**
 * @throws LogpipeError BOOKS when a line that must match was not found; whatever the pipeline and
 * the broker throw.
 */
export async function runDemo(settings: DemoSettings, deps: DemoDeps): Promise<void> {
  const startMs = deps.clock.monotonicMs()
  const embedded = await openEmbedded(settings, deps)
  try {
    introduce(settings, embedded, deps.say)
    const pipeline = await deps.startPipeline({
      brokers: embedded.brokers,
      topic: settings.topic,
      kafkaConfig: EMBEDDED_KAFKA_CONFIG,
    })
    let readMs = startMs
    try {
      readMs = await generate(settings, embedded, pipeline, deps)
      await drain(embedded, pipeline, deps)
    } finally {
      await pipeline.stop()
    }
    await pipeline.done
    const nowMs = deps.clock.monotonicMs()
    const elapsed = { wholeMs: nowMs - startMs, readingMs: nowMs - readMs }
    conclude(settings, embedded, pipeline, elapsed, deps.say)
  } finally {
    await embedded.close()
  }
}

/**
 * Feeds until the time is over, the user says so, or the pipeline ends.
 * @returns when the first line was read: until then the generator waits for the pipeline, which is
 * no fault of the machine.
 */
async function generate(
  settings: DemoSettings,
  embedded: Embedded,
  pipeline: DemoPipeline,
  deps: DemoDeps,
): Promise<number> {
  let firstMs: number | null = null
  const fetched = () => {
    const count = pipeline.stats().fetched
    if (count > 0) firstMs ??= deps.clock.monotonicMs()
    return count
  }
  const stop = new AbortController()
  const end = () => stop.abort()
  const cancelTimer =
    settings.runSeconds > 0 ? deps.clock.after(settings.runSeconds * 1000, end) : () => false
  deps.signal.addEventListener('abort', end)
  if (deps.signal.aborted) end()
  // A pipeline that ends early (a closed pipe, an error) must not leave the generator waiting for
  // it.
  pipeline.done.then(end, end)
  try {
    await embedded.feed(fetched, stop.signal)
  } finally {
    cancelTimer()
    deps.signal.removeEventListener('abort', end)
  }
  return firstMs ?? deps.clock.monotonicMs()
}

async function drain(embedded: Embedded, pipeline: DemoPipeline, deps: DemoDeps): Promise<void> {
  const { clock } = deps
  const ended = new AbortController()
  const end = () => ended.abort()
  pipeline.done.then(end, end)
  const deadlineMs = clock.monotonicMs() + DRAIN_MS_MAX
  const isRead = () => pipeline.stats().fetched >= embedded.totals.records
  while (!ended.signal.aborted && !isRead() && clock.monotonicMs() < deadlineMs) {
    await sleep(clock, DRAIN_LOOK_MS)
  }
}

function introduce(settings: DemoSettings, embedded: Embedded, say: DemoDeps['say']): void {
  const { recordsPerSecond, errorShare, runSeconds } = settings
  const rate = Number.isFinite(recordsPerSecond)
    ? `${group(recordsPerSecond)} lines a second`
    : 'as many lines as logpipe reads'
  const end = runSeconds > 0 ? `for ${runSeconds} s (Ctrl-C stops it earlier)` : 'until Ctrl-C'
  say('logpipe demo: a Kafka broker, a generator of log lines, and the pipeline, in one process.')
  const topic = `topic ${settings.topic} of ${settings.partitionCount} partitions`
  say(`  broker     ${embedded.brokers}, ${topic}`)
  say(`  generator  ${rate} from five services, ERROR in ${shareText(errorShare)}`)
  say(`  pipeline   keeps the lines that match ${settings.patternText}, ${end}`)
  say(
    'Matches go to standard output. This text and two status lines a second go to standard error:',
  )
  say('')
}

function conclude(
  settings: DemoSettings,
  embedded: Embedded,
  pipeline: DemoPipeline,
  elapsed: { readonly wholeMs: number; readonly readingMs: number },
  say: DemoDeps['say'],
): void {
  const { records, matches } = embedded.totals
  const { fetched, matched } = pipeline.stats()
  const seconds = (elapsed.wholeMs / 1000).toFixed(1)
  say('')
  const rate = `${group((records * 1000) / Math.max(1, elapsed.wholeMs))} a second`
  say(
    `In ${seconds} s, ${group(records)} lines were produced, ${rate}, and ${group(fetched)} read.`,
  )
  if (isBehind(settings, records, elapsed.readingMs)) {
    const asked = group(settings.recordsPerSecond)
    say(`${asked} a second were asked for: this machine made no more beside reading them.`)
  }
  const text = settings.patternText
  // The partitions stay with their threads from start to end, so nothing may come twice.
  if (fetched > records) {
    const twice = `${group(fetched - records)} lines were read twice`
    throw new LogpipeError('BOOKS', `${twice}; please report this`)
  }
  if (fetched < records) {
    say(`${group(records - fetched)} lines were still unread when the time to drain was over.`)
  } else if (settings.isExact && matched !== matches) {
    const missing = `${group(matches)} lines contained ${text}, but ${group(matched)} were found`
    throw new LogpipeError('BOOKS', `${missing}; please report this`)
  } else if (settings.isExact) {
    say(
      matches === 0
        ? `No line contained ${text}: --error-share makes more of them.`
        : `${group(matches)} lines contained ${text}, and logpipe found every one.`,
    )
  }
  const last = pipeline.lastKept()
  if (last !== null) {
    say('The last that was kept, whole:')
    say(`  ${printable(last)}`)
  }
  say('')
  for (const line of NEXT_STEPS) say(line)
}

/** A tenth below what was asked for is seen in the rates of the status lines. */
function isBehind({ recordsPerSecond }: DemoSettings, records: number, elapsedMs: number): boolean {
  if (!Number.isFinite(recordsPerSecond)) return false
  return records < 0.9 * ((recordsPerSecond * elapsedMs) / 1000)
}

const NEXT_STEPS = [
  'Try next:',
  '  logpipe demo --pattern "timed out"         another pattern',
  '  logpipe demo 2>/dev/null | head -3         matches only',
  '  logpipe demo --run-seconds 0               run until you stop it',
  '  logpipe run --brokers HOST:9092 --topic TOPIC --pattern ERROR --run-seconds 0',
  '                                             the same on your own Kafka',
  '  logpipe run --help                         everything that can be set',
]

/** 1234567 -> "1,234,567". */
function group(count: number): string {
  return count.toLocaleString('en-US', { maximumFractionDigits: 0 })
}

function shareText(share: number): string {
  if (share <= 0) return 'no line'
  return share >= 1 ? 'every line' : `one line of ${group(1 / share)}`
}
