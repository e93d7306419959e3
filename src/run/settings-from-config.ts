/**
 * From the resolved Config to what a pipeline is told.
 */
import type { DocumentEdits } from '../core/rules.ts'
import { consumerSettings, outsideOfGroup } from '../kafka/consumer-settings.ts'
import { type ControlledPipeline, identityOf, withFingerprint } from '../kafka/pipeline-identity.ts'
import { LogpipeError } from '../core/errors.ts'
import type { Config } from '../options/config.ts'
import {
  filterOf,
  filterText,
  hasExpressions,
  patternsOf,
  type RecordFilter,
} from '../options/filter.ts'
import { countingFilter, metricsOf } from '../options/metrics.ts'
import type { CountedPatterns } from '../metrics/pattern-counts.ts'
import { propertyOf } from '../options/kafka-properties.ts'
import { isTopic, startAt } from '../options/notations.ts'
import { overrideRow } from '../sink/elasticsearch/answers.ts'
import { indexNameFaults, parseIndexPattern } from '../sink/elasticsearch/index-name.ts'
import type { ElasticsearchSettings } from '../sink/elasticsearch/settings.ts'
import type { Auth } from '../sink/sink.ts'
import { connectionSettings } from './elasticsearch-connection.ts'
import type {
  FilterSettings,
  MetricSettings,
  OutputSettings,
  PipelineSettings,
  WindowSettings,
} from './settings.ts'
import { indexNamesError } from './topic-identity.ts'

/** Of one slot: a batch is decompressed to 64 MiB at most, beside BATCH_BYTES of others. */
const HELD_MAX = 128 * 1024 * 1024
/** At most so long may a fill wait for its first record: nothing can interrupt it. */
const FILL_TIMEOUT_MS = 50
/** Connecting, TLS, SASL and one request, across a continent, with one retry. */
const CONNECT_TIMEOUT_MS = 10_000
const STALL_PAUSE_MS = 10_000
/** librdkafka's own default for max.poll.interval.ms. */
const MAX_POLL_INTERVAL_MS = 300_000

/** How to reach and enter the cluster; the rest of the user's properties are a consumer's. */
const SHARED_PROPERTY = /^(security|sasl|ssl|client|socket|broker|debug|log_level|enable\.ssl)\b/

/** What the options do not say. */
export interface Surroundings {
  /** Standard output is a terminal: matches on it are looked at, and belong to no group. */
  readonly isTerminal: boolean
  /** Started by sync. */
  readonly controlled: ControlledPipeline | null
}

const NOTHING_SPECIAL: Surroundings = { isTerminal: false, controlled: null }

/** @throws LogpipeError USAGE or INDEX_NAME when the topics that are named go to no index. */
export function pipelineSettings(
  config: Config,
  { isTerminal, controlled } = NOTHING_SPECIAL,
): PipelineSettings {
  const output = outputSettings(config)
  const isAlone = isTerminal && output.kind === 'stdout'
  const identity = identityOf(config, controlled)
  refuseIndexNames(config)
  const maxPollMs = Number(
    propertyOf(config.kafkaConfig, 'max.poll.interval.ms') ?? MAX_POLL_INTERVAL_MS,
  )
  return {
    mode: config.pipelineMode,
    kafka: {
      brokers: config.kafkaBrokers.join(','),
      topics: config.kafkaTopic,
      groupId: config.kafkaGroupId,
      identity,
      takesOver: config.takeOver,
      membership: isAlone ? 'alone' : 'group',
      properties: Array.from({ length: config.ingressThreads }, (_, index) => {
        const properties = consumerSettings(config, index)
        return isAlone ? outsideOfGroup(properties) : withFingerprint(properties, identity)
      }),
      clientProperties: clientProperties(config),
      tokenFile: config.kafkaTokenFile,
      start: startAt(config.kafkaStart, Date.now()),
      untilEnd: config.runUntil === 'end',
      revokeDrainMs: config.revokeDrainMs,
      stallPauseMs: Math.min(STALL_PAUSE_MS, maxPollMs / 4),
      skipUnreadable: config.skipUnreadable,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    },
    filter: {
      // Of several, the second slot of a partition may come first: what lies before it would not be
      // written, and the next run would write the rest twice.
      threadCount: config.runMatches > 0 ? 1 : config.rustWorkers,
      ...pipelineFilter(config),
    },
    rules: config.rules,
    edits: documentEdits(config),
    pool: {
      slotCount: config.poolSize,
      bufferBytes: config.bufferBytes,
      readyMax: config.taskQueueCap,
      limits: {
        recordsMax: config.batchMsgs,
        bytesMax: config.batchBytes,
        pullMax: config.batchPullSize,
        timeoutMs: FILL_TIMEOUT_MS,
        // Who drops what there is no room for has to fetch it first: then the slots are the bound.
        heldMax: config.poolSize * (config.overflowDropNewest ? HELD_MAX : config.bufferBytes),
      },
      dropNewest: config.overflowDropNewest,
    },
    output,
    metrics: metricSettings(config),
    replay: null,
    runSeconds: config.runSeconds,
    recordsMax: 0,
    matchesMax: config.runMatches,
    commits: !config.noCommit && output.kind !== 'none' && !isAlone,
    unresolvedMax: config.maxUnresolved,
    waits: config.waitForKafka,
    shutdownDeadlineMs: config.shutdownDeadlineMs,
    bridgeFile: config.bridgeLib,
  }
}

/** Null: nothing is done to documents. */
export function documentEdits(
  config: Pick<Config, 'fields' | 'rules' | 'ruleField' | 'addKafka' | 'redactKey'>,
): DocumentEdits | null {
  const { fields, ruleField, addKafka: addsKafka, redactKey } = config
  const rules = config.rules?.rules ?? []
  const byRule = rules.map((rule) => rule.fields)
  const isNothing = fields === null && ruleField === null && !addsKafka
  if (isNothing && byRule.every((edits) => edits === null)) return null
  const ruleNames = rules.map(({ name }) => name)
  return { fields, byRule, ruleField, ruleNames, addsKafka, redactKey }
}

/** Does nothing where no index is written. @throws LogpipeError USAGE or INDEX_NAME. */
export function refuseIndexNames(
  config: Pick<Config, 'pipelineOutput' | 'esIndex' | 'kafkaTopic' | 'rules'>,
): void {
  if (config.pipelineOutput.kind !== 'elasticsearch') return
  const fault = indexNamesError(config.esIndex, config.rules, config.kafkaTopic.filter(isTopic))
  if (fault !== null) throw fault
}

/** The user's properties that every client takes, not only a consumer. */
export function clientProperties(
  config: Pick<Config, 'kafkaConfig'>,
): readonly (readonly [name: string, value: string])[] {
  return config.kafkaConfig.filter(([name]) => SHARED_PROPERTY.test(name))
}

/**
 * The same on the embedded broker, whose properties go below the user's own.
 *
 * Nobody else can join a group there, so the partitions are divided without one: the mock gives its
 * members half a second to rejoin, and on a busy machine a second ingress thread then costs the
 * first its partitions before anything of them is committed.
 */
export function embeddedSettings(
  config: Config,
  topic: string,
  brokers: string,
  kafkaConfig: readonly (readonly [name: string, value: string])[],
): PipelineSettings {
  const settings = pipelineSettings({
    ...config,
    kafkaBrokers: [brokers],
    kafkaTopic: [topic],
    kafkaConfig: [...kafkaConfig, ...config.kafkaConfig],
  })
  return { ...settings, kafka: { ...settings.kafka, membership: 'static' } }
}

/** With metrics, what is kept and what is counted are one set of expressions. */
function pipelineFilter(config: Config): RecordFilter & Pick<FilterSettings, 'metricsFrom'> {
  if (config.metrics.length === 0) return filterOf(config)
  return countingFilter(config, config.productLine === 'metrics')
}

function metricSettings(config: Config): MetricSettings | null {
  if (config.metrics.length === 0) return null
  const { metricsIndex: index } = config
  if (index !== null) refuseMetricsIndex(index, config.kafkaTopic.filter(isTopic))
  const second = 1000
  const windows: WindowSettings | null =
    index === null
      ? null
      : {
          windowMs: config.metricsWindowSeconds * second,
          latenessMs: config.metricsLatenessSeconds * second,
          // Dated by the window; what Elasticsearch does not take at once waits in memory.
          elasticsearch: {
            ...elasticsearchSettings(config),
            index,
            pipeline: null,
            commitOn: 'index',
          },
          idPrefix: config.esIdPrefix,
        }
  return { specs: metricsOf(config), seriesMax: config.metricsSeriesMax, windows }
}

/** @throws LogpipeError USAGE or INDEX_NAME. */
function refuseMetricsIndex(index: string, topics: readonly string[]): void {
  const [fault] = indexNameFaults(parseIndexPattern(index, 'METRICS_INDEX'), topics)
  if (fault === undefined) return
  throw new LogpipeError('INDEX_NAME', `METRICS_INDEX is "${index}": ${fault}; leave out {topic}`)
}

/** What is counted: each pattern by itself, an expression as a whole. */
function countedOf(config: Config): CountedPatterns {
  const { matchIgnoreCase: ignoreCase, matchInvert: invertMatch } = config
  return hasExpressions(config)
    ? { patterns: [], ignoreCase, invertMatch, label: filterText(config) }
    : { patterns: patternsOf(config), ignoreCase, invertMatch, label: null }
}

function outputSettings(config: Config): OutputSettings {
  const { pipelineOutput: target, pipelineFormat: format } = config
  if (config.productLine === 'metrics') return { kind: 'count', ...countedOf(config) }
  switch (target.kind) {
    case 'none':
      return { kind: 'none' }
    case 'stdout':
      return { kind: 'stdout', format, isRaw: config.rawTerminal }
    case 'file':
      return {
        kind: 'file',
        format,
        path: target.path,
        rotateBytes: config.outputRotateBytes,
        rotateKeep: config.outputRotateKeep,
      }
    case 'elasticsearch':
      return {
        kind: 'elasticsearch',
        settings: elasticsearchSettings(config),
        idPrefix: config.esIdPrefix,
        spillPath: config.esSpillPath,
        letters: config.dlq,
      }
  }
}

/** What the output is told; also for `spill drain` and `dlq replay`. */
export function elasticsearchSettings(config: Config): ElasticsearchSettings {
  return {
    urls: config.esUrl,
    index: config.esIndex,
    indexDateSpan: config.esIndexDateSpan === 'off' ? null : config.esIndexDateSpan,
    document: config.esDocument,
    documentId: config.esDocumentId,
    maxRecordBytes: config.maxRecordBytes,
    pipeline: config.esPipeline === '' ? null : config.esPipeline,
    bulkActions: config.esBulkActions,
    bulkBytes: config.esBulkBytes,
    flushMs: config.esBulkFlushMs,
    queueCap: config.esQueueCap,
    queueBytes: config.esQueueBytes,
    dropWhenFull: config.esDropWhenFull,
    timeoutMs: config.esTimeoutMs,
    timeoutMaxMs: config.esTimeoutMaxMs,
    compression: config.esCompression,
    auth: authOf(config),
    connection: connectionSettings(config),
    concurrencyMax: config.esConcurrency,
    answerOverrides: config.esAnswer.map(overrideRow),
    spillBytesMax: config.esSpillMaxBytes,
    commitOn: config.commitOn,
  }
}

function authOf(config: Config): Auth {
  const { esApiKey, esUsername, esPassword } = config
  if (esApiKey !== null) return { kind: 'apiKey', apiKey: esApiKey }
  if (esUsername === null) return { kind: 'none' }
  return { kind: 'basic', username: esUsername, password: esPassword ?? '' }
}
