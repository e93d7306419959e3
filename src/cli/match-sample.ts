/**
 * Whether what is looked for is in the topics at all: the last records of each partition through
 * the filter of `logpipe run` itself, without the group and without an output.
 *
 * Bound. SAMPLE_RECORDS of all partitions together, and SAMPLE_SECONDS.
 */
import { type Bridge, OFFSET_BEGINNING } from '../bridge/bridge.ts'
import { Log } from '../core/log.ts'
import type { Config } from '../options/config.ts'
import { hasExpressions, patternsOf } from '../options/filter.ts'
import { Pipeline } from '../run/pipeline.ts'
import { replaySettings } from '../run/replay.ts'
import { pipelineSettings } from '../run/settings-from-config.ts'
import { lastOf } from '../run/try.ts'
import type { Probe } from './index-probes.ts'

const SAMPLE_RECORDS = 10_000
/** A busy machine, a slow line, or records of megabytes: what came by then is told. */
const SAMPLE_SECONDS = 10
const SILENT = new Log({
  format: 'plain',
  level: 'error',
  quiet: true,
  isTerminal: false,
  columns: () => 80,
  write: () => undefined,
})

/** @throws LogpipeError when brokers do not say where the topics begin and end. */
export async function probeMatches(config: Config, bridge: Bridge): Promise<readonly Probe[]> {
  const subject = 'matches'
  const base = pipelineSettings({
    ...config,
    pipelineOutput: { kind: 'none' },
    productLine: 'query',
    ingressThreads: 1,
    rustWorkers: 1,
    waitForKafka: false,
    runMatches: 0,
  })
  // To the filter, earlier than a record without a time (-1).
  const span = { fromMs: OFFSET_BEGINNING, toMs: null, partitions: null }
  const whole = replaySettings(base, span, bridge, (message) => SILENT.warn(message))
  if (whole === null || whole.replay === null) {
    return [{ subject, state: 'untested', detail: 'the topics hold no record to look at' }]
  }
  const ranges = lastOf(whole.replay.ranges, SAMPLE_RECORDS).filter(({ from, to }) => from < to)
  const settings = { ...whole, replay: { ...whole.replay, ranges }, runSeconds: SAMPLE_SECONDS }
  const pipeline = await Pipeline.start(settings, { log: SILENT })
  const { stats, error } = await pipeline.done
  if (error !== null) return [{ subject, state: 'untested', detail: error.message }]
  const { records, matched } = stats.counters
  return [verdict(config, records, matched)]
}

function verdict(config: Config, records: number, matched: number): Probe {
  const subject = 'matches'
  const among = `of the last ${records} records`
  if (records === 0) {
    const detail = 'no record came to look at (compacted, expired, or a slow line)'
    return { subject, state: 'untested', detail }
  }
  if (matched > 0) {
    return { subject, state: 'fine', detail: `${matched} ${among} match` }
  }
  if (hasExpressions(config)) {
    const detail = `none ${among} matches; logpipe try says which term drops them`
    return { subject, state: 'warning', detail }
  }
  const capitals = config.matchIgnoreCase ? '' : '; capitals count (--ignore-case)'
  const what = patternsOf(config).length === 0 ? 'what is asked for' : 'the pattern'
  const detail = `none ${among} matches: is ${what} written as in the records?${capitals}`
  return { subject, state: 'warning', detail }
}
