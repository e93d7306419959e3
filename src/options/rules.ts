/**
 * Rules between options, each with a name and a reason: what would deadlock, lose or do nothing is
 * refused before anything is opened.
 *
 * A rule applies to the commands that know all the options it names.
 */
import assert from 'node:assert/strict'
import { LogpipeError } from '../core/errors.ts'
import type { Config } from './config.ts'
import { METRICS_MAX } from '../core/worker-wire.ts'
import { metricsOf } from './metrics.ts'
import { nameOf } from './parse.ts'
import type { Faults, Source } from './parse.ts'
import type { KafkaProperty } from './kafka-config.ts'
import { isTopic } from './notations.ts'
import { namesOf } from './spec.ts'
import type { CommandName, OptionSpec } from './spec.ts'
import { ROWS } from './table.ts'
import type { OptionName } from './table.ts'

export interface RuleInput {
  readonly command: CommandName
  readonly config: Config
  readonly sources: ReadonlyMap<OptionName, Source>
  readonly properties: readonly KafkaProperty[]
}

export interface Rule {
  readonly name: string
  /** Why it must hold, for the reader of this table. */
  readonly reason: string
  /** The options it is about; the first is the one that a message names. */
  readonly options: readonly [OptionName, ...OptionName[]]
  /** What is wrong, or undefined. */
  readonly broken: (input: RuleInput) => string | undefined
}

/** Threads that hold a slot at the same time; with fewer slots the pool deadlocks. */
export function poolHolders(config: Config): readonly { holder: string; slots: number }[] {
  const filters = config.pipelineMode === 'worker' ? config.rustWorkers : 0
  return [
    { holder: 'ingress threads (FILLING)', slots: config.ingressThreads },
    { holder: 'filter threads (FILTERING)', slots: filters },
    // Without it a filter thread that finishes finds nothing to go on with.
    { holder: 'waiting for a filter thread (READY)', slots: 1 },
    // Without it an ingress thread that seals a slot stands still until one comes back.
    { holder: 'free for the next batch (FREE)', slots: 1 },
  ]
}

const DEFAULT: Source = { kind: 'default' }

/** Of one partition, beside those of records that are dated ahead. */
const OPEN_WINDOWS_MAX = 1000

/** librdkafka's own default of max.poll.interval.ms. */
const MAX_POLL_INTERVAL_MS = 300_000

/** What says which records are kept, but for RULES. */
const FILTER_OPTIONS = [
  'MATCH_PATTERN',
  'MATCH_PATTERN_HEX',
  'MATCH_REGEX',
  'MATCH_KEEP',
  'MATCH_DROP',
  'MATCH_IGNORE_CASE',
  'MATCH_INVERT',
] as const

export const RULES: readonly Rule[] = [
  {
    name: 'pool-holders',
    reason: 'with fewer slots than holders, a thread waits for a slot that is never freed',
    options: ['POOL_SIZE', 'INGRESS_THREADS', 'RUST_WORKERS', 'PIPELINE_MODE'],
    broken: ({ config }) => {
      const holders = poolHolders(config)
      const least = holders.reduce((sum, { slots }) => sum + slots, 0)
      if (config.poolSize >= least) return undefined
      const parts = holders
        .filter(({ slots }) => slots > 0)
        .map(({ holder, slots }) => `${slots} ${holder}`)
      return `expected at least ${least} slots, got ${config.poolSize}: ${parts.join(' + ')}`
    },
  },
  {
    name: 'batch-fits-slot',
    reason: 'a batch is closed by its bytes, which must fit in its slot',
    options: ['BATCH_BYTES', 'BUFFER_BYTES'],
    broken: ({ config }) =>
      config.batchBytes > config.bufferBytes
        ? exceeds('BATCH_BYTES', config.batchBytes, 'BUFFER_BYTES', config.bufferBytes)
        : undefined,
  },
  {
    name: 'unresolved-holds-batch',
    reason: 'a partition that may hold less than a batch pauses for ever',
    options: ['MAX_UNRESOLVED', 'BATCH_MSGS'],
    broken: ({ config }) =>
      config.maxUnresolved < config.batchMsgs
        ? exceeds('BATCH_MSGS', config.batchMsgs, 'MAX_UNRESOLVED', config.maxUnresolved)
        : undefined,
  },
  {
    name: 'request-fits-queue',
    reason: 'a request is filled from the queue',
    options: ['ES_BULK_BYTES', 'ES_QUEUE_BYTES'],
    broken: ({ config }) =>
      config.esBulkBytes > config.esQueueBytes
        ? exceeds('ES_BULK_BYTES', config.esBulkBytes, 'ES_QUEUE_BYTES', config.esQueueBytes)
        : undefined,
  },
  {
    name: 'request-actions-fit-queue',
    reason: 'a request is filled from the queue',
    options: ['ES_BULK_ACTIONS', 'ES_QUEUE_CAP'],
    broken: ({ config }) =>
      config.esBulkActions > config.esQueueCap
        ? exceeds('ES_BULK_ACTIONS', config.esBulkActions, 'ES_QUEUE_CAP', config.esQueueCap)
        : undefined,
  },
  {
    name: 'one-way-to-sign-in',
    reason: 'Elasticsearch takes one Authorization header',
    options: ['ES_API_KEY', 'ES_USERNAME', 'ES_PASSWORD', 'ES_URL'],
    broken: ({ config }) => {
      const ways = [
        config.esApiKey !== null && 'ES_API_KEY',
        config.esUsername !== null && 'ES_USERNAME',
        config.esUrl.some((url) => new URL(url).username !== '') && 'credentials in ES_URL',
      ].filter((way) => way !== false)
      return ways.length > 1 ? `${ways.join(' and ')} are both set: set only one` : undefined
    },
  },
  {
    name: 'user-and-password',
    reason: 'basic authentication needs both',
    options: ['ES_PASSWORD', 'ES_USERNAME'],
    broken: ({ config }) => {
      if ((config.esUsername === null) === (config.esPassword === null)) return undefined
      return `requires ${config.esPassword === null ? 'ES_PASSWORD' : 'ES_USERNAME'} as well`
    },
  },
  {
    name: 'client-certificate-and-key',
    reason: 'a certificate proves nothing without its key',
    options: ['ES_CLIENT_CERT', 'ES_CLIENT_KEY'],
    broken: ({ config }) => {
      if ((config.esClientCert === null) === (config.esClientKey === null)) return undefined
      const other = config.esClientCert === null ? 'ES_CLIENT_CERT' : 'ES_CLIENT_KEY'
      return `requires ${other} as well`
    },
  },
  {
    name: 'drain-within-poll-interval',
    reason: 'the group removes a member that is silent for max.poll.interval.ms',
    options: ['REVOKE_DRAIN_MS'],
    broken: ({ config, properties }) => {
      const set = properties.find(({ name }) => name === 'max.poll.interval.ms')
      const limit = set === undefined ? MAX_POLL_INTERVAL_MS : Number(set.value)
      if (!Number.isFinite(limit) || config.revokeDrainMs < limit) return undefined
      return `${config.revokeDrainMs} ms must be below max.poll.interval.ms (${limit} ms)`
    },
  },
  {
    name: 'patterns-are-inverted-alone',
    reason: 'of an expression it could mean all of it, or the patterns beside it',
    options: ['MATCH_INVERT', 'MATCH_KEEP'],
    broken: ({ config }) =>
      config.matchInvert && config.matchKeep.length > 0
        ? 'inverts patterns, and does not go with --keep: write not (...) in the expression'
        : undefined,
  },
  {
    name: 'patterns-are-folded-alone',
    reason: 'of an expression it could mean all of it, or the patterns beside it',
    options: ['MATCH_IGNORE_CASE', 'MATCH_KEEP'],
    broken: ({ config }) =>
      config.matchIgnoreCase && config.matchKeep.length > 0
        ? 'is for patterns, and does not go with --keep: write "text"i, /regex/i or FIELD ~ /text/i'
        : undefined,
  },
  {
    name: 'rules-alone',
    reason: 'whether a record must meet both, or either, would be a guess',
    options: ['RULES', ...FILTER_OPTIONS],
    broken: ({ config, sources }) => {
      if (config.rules === null) return undefined
      const given = firstGiven(FILTER_OPTIONS, sources)
      if (given === undefined) return undefined
      return `rules say what is kept, and ${nameOf(given)} says it again: write it into the rules`
    },
  },
  {
    name: 'rule-field-of-rules',
    reason: 'without rules there is no name to give',
    options: ['RULE_FIELD', 'RULES'],
    broken: ({ config }) =>
      config.ruleField !== null && config.rules === null
        ? 'is given the name of a rule, but there are no rules'
        : undefined,
  },
  {
    name: 'hash-with-key',
    reason: 'anybody could try values out',
    options: ['REDACT_KEY', 'FIELDS', 'RULES'],
    broken: ({ config }) => {
      const all = [config.fields, ...(config.rules?.rules.map(({ fields }) => fields) ?? [])]
      const hashes = all.some((one) => one?.redact.some(({ by }) => by === 'hash') === true)
      return hashes && config.redactKey === null
        ? 'redact: hash needs a key: set REDACT_KEY, or REDACT_KEY_FILE'
        : undefined
    },
  },
  {
    name: 'copies-have-ids',
    reason: 'of two documents of one key the second would replace the first',
    options: ['RULES', 'ES_DOCUMENT_ID'],
    broken: ({ config }) =>
      config.rules?.isEach === true && config.esDocumentId === 'key'
        ? 'with all: true a record may become several documents, of which --document-id key ' +
          'would leave one: use --document-id offset'
        : undefined,
  },
  {
    name: 'rules-write',
    reason: 'they say where documents go',
    options: ['RULES', 'PRODUCT_LINE'],
    broken: ({ config }) =>
      config.rules !== null && config.productLine === 'metrics'
        ? 'rules say where documents go, and PRODUCT_LINE=metrics writes none'
        : undefined,
  },
  {
    name: 'metrics-write-nothing',
    reason: 'a user who names an output expects documents there',
    options: ['PRODUCT_LINE', 'PIPELINE_OUTPUT', 'ES_ENABLED'],
    broken: ({ config, sources }) => {
      // ES_ENABLED=1 is the output's source, too; ES_ENABLED=0 asks for none.
      const source = sources.get('PIPELINE_OUTPUT') ?? DEFAULT
      if (config.productLine !== 'metrics' || source.kind === 'default') return undefined
      return `metrics writes no documents, but ${nameOf(source)} is set: remove it`
    },
  },
  {
    name: 'metrics-have-names',
    reason: 'two metrics of one name would be one on /metrics',
    options: ['METRICS'],
    broken: ({ config }) => {
      const names = metricsOf(config).map(({ name }) => name)
      if (names.length > METRICS_MAX) {
        return `expected at most ${METRICS_MAX} metrics, got ${names.length}`
      }
      const twice = names.find((name, index) => names.indexOf(name) !== index)
      return twice === undefined ? undefined : `two metrics are named ${twice}: rename one`
    },
  },
  {
    name: 'metrics-count-all-that-is-read',
    reason: 'what is read beyond the last match would be counted, and read again by the next run',
    options: ['METRICS', 'RUN_MATCHES'],
    broken: ({ config }) =>
      config.metrics.length > 0 && config.runMatches > 0
        ? 'counts whatever is read, and does not go with -n: leave out one of them'
        : undefined,
  },
  {
    name: 'metrics-select-for-themselves',
    reason: 'a user who names a filter expects it to select something',
    options: ['PRODUCT_LINE', 'METRICS', 'RULES', ...FILTER_OPTIONS],
    broken: ({ config, sources }) => {
      if (config.productLine !== 'metrics' || config.metrics.length === 0) return undefined
      const given = firstGiven(['RULES', ...FILTER_OPTIONS], sources)
      if (given === undefined) return undefined
      return `metrics writes no documents, so ${nameOf(given)} selects none: write it into --count`
    },
  },
  {
    name: 'windows-are-of-metrics',
    reason: 'an index of nothing is a mistake',
    options: ['METRICS_INDEX', 'METRICS'],
    broken: ({ config }) =>
      config.metricsIndex !== null && config.metrics.length === 0
        ? 'needs metrics to write: add --count or metrics:'
        : undefined,
  },
  {
    name: 'windows-are-kept-by-commits',
    reason: 'what is written is marked beside the committed offset',
    options: ['METRICS_INDEX', 'NO_COMMIT', 'PIPELINE_OUTPUT', 'PRODUCT_LINE'],
    broken: ({ config }) => {
      if (config.metricsIndex === null) return undefined
      const isNone = config.pipelineOutput.kind === 'none' && config.productLine !== 'metrics'
      if (!config.noCommit && !isNone) return undefined
      const why = config.noCommit ? 'NO_COMMIT' : '--output none'
      return `counts each record once by what the group commits, and ${why} commits nothing`
    },
  },
  {
    name: 'windows-are-bounded',
    reason: 'each window that waits for late records is kept in memory',
    options: ['METRICS_LATENESS_SECONDS', 'METRICS_WINDOW_SECONDS'],
    broken: ({ config }) => {
      const { metricsLatenessSeconds: lateness, metricsWindowSeconds: window } = config
      if (lateness <= window * OPEN_WINDOWS_MAX) return undefined
      return `${lateness} s are more than ${OPEN_WINDOWS_MAX} windows of ${window} s`
    },
  },
  {
    name: 'token-and-mechanism',
    reason: 'one without the other leaves every connection waiting',
    options: ['KAFKA_TOKEN_FILE', 'KAFKA_CONFIG'],
    broken: ({ config, properties }) => tokenFault(config.kafkaTokenFile !== null, properties),
  },
  {
    name: 'embedded-has-no-brokers',
    reason: 'a user who names a broker does not expect generated records',
    options: ['KAFKA_EMBEDDED', 'KAFKA_BROKERS'],
    broken: ({ config, sources }) =>
      config.kafkaEmbedded && sources.get('KAFKA_BROKERS')?.kind === 'flag'
        ? 'the embedded Kafka cannot be used together with --brokers'
        : undefined,
  },
  {
    name: 'embedded-makes-topics',
    reason: 'the embedded Kafka creates the topics it is given, and an expression names none',
    options: ['KAFKA_EMBEDDED', 'KAFKA_TOPIC'],
    broken: ({ config }) =>
      config.kafkaEmbedded && !config.kafkaTopic.every(isTopic)
        ? 'the embedded Kafka requires topic names, not a ^REGEX'
        : undefined,
  },
  {
    name: 'group-by-name',
    reason: 'librdkafka would refuse it only after everything else is open',
    options: ['KAFKA_GROUP_ID'],
    broken: ({ config }) =>
      config.kafkaGroupId === '' ? 'expected a name, got nothing' : undefined,
  },
  {
    name: 'rate-to-produce-at',
    reason: 'at no records a second it would never end',
    options: ['THROUGHPUT'],
    broken: ({ config }) =>
      config.throughput === 0 ? 'expected -1 or a number from 1, got 0' : undefined,
  },
  {
    name: 'topic-to-produce-to',
    reason: 'a wrong name would fail only after the producer is open',
    options: ['TOPIC'],
    broken: ({ config }) => (isTopic(config.topic) ? undefined : 'is not a topic name'),
  },
  {
    name: 'id-prefix',
    reason: 'Elasticsearch takes an _id of at most 512 bytes, and the topic needs half of them',
    options: ['ES_ID_PREFIX'],
    broken: ({ config }) =>
      /^[!-~]{1,64}$/.test(config.esIdPrefix)
        ? undefined
        : 'expected auto, none, or up to 64 printable ASCII characters without spaces',
  },
  {
    name: 'replay-span',
    reason: 'a span that ends before it starts holds nothing',
    options: ['REPLAY_TO', 'REPLAY_FROM'],
    broken: ({ config }) =>
      config.replayTo !== null && config.replayFrom !== null && config.replayTo <= config.replayFrom
        ? 'must be later than --from'
        : undefined,
  },
  {
    name: 'worker-id-is-a-folder',
    reason: "the worker's files lie in a folder of this name",
    options: ['WORKER_ID'],
    broken: ({ config }) =>
      config.workerId === null || /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(config.workerId)
        ? undefined
        : 'expected up to 100 letters, digits, dots, dashes and underscores',
  },
  {
    name: 'tls-pair',
    reason: 'a certificate is of no use without its key',
    options: ['CONTROL_TLS_CERT', 'CONTROL_TLS_KEY'],
    broken: ({ config }) =>
      (config.controlTlsCert === null) === (config.controlTlsKey === null)
        ? undefined
        : 'set CONTROL_TLS_CERT and CONTROL_TLS_KEY together',
  },
  {
    name: 'own-worker-without-tls',
    reason: 'its certificate names no loopback address',
    options: ['CONTROL_WITH_WORKER', 'CONTROL_TLS_CERT'],
    broken: ({ config }) =>
      config.controlWithWorker && config.controlTlsCert !== null
        ? 'start the worker by itself: logpipe sync with the name of the certificate'
        : undefined,
  },
]

function tokenFault(hasFile: boolean, properties: readonly KafkaProperty[]): string | undefined {
  const valueOf = (name: RegExp) => properties.findLast((each) => name.test(each.name))?.value
  const isBearer = valueOf(/^sasl\.mechanisms?$/)?.toUpperCase() === 'OAUTHBEARER'
  if (hasFile) return isBearer ? undefined : 'needs --kafka-config sasl.mechanism=OAUTHBEARER'
  // librdkafka's own ways to a token.
  const isBuiltIn =
    valueOf(/^sasl\.oauthbearer\.method$/)?.toLowerCase() === 'oidc' ||
    valueOf(/^enable\.sasl\.oauthbearer\.unsecure\.jwt$/)?.toLowerCase() === 'true'
  return isBearer && !isBuiltIn ? 'sasl.mechanism=OAUTHBEARER needs KAFKA_TOKEN_FILE' : undefined
}

function exceeds(name: OptionName, value: number, limitName: OptionName, limit: number): string {
  return `${name} (${value}) must not exceed ${limitName} (${limit})`
}

/**
 * @param faults takes a line for each rule that is broken
 * @param wrong options whose values are not known: no rule that names one is looked at
 */
export function checkRules(input: RuleInput, faults: Faults, wrong: ReadonlySet<OptionSpec>): void {
  const rows = ROWS.filter((row) => row.commands.includes(input.command) && !wrong.has(row))
  const names = new Set(rows.map(({ env }) => env))
  for (const rule of RULES) {
    if (!rule.options.every((name) => names.has(name))) continue
    const fault = rule.broken(input)
    if (fault === undefined) continue
    faults.add(new LogpipeError('USAGE', `${typedName(rule, input)}: ${fault}`))
  }
}

/** The source of the first of these options that has another one than its default. */
function firstGiven(names: readonly OptionName[], sources: RuleInput['sources']) {
  return names.map((name) => sources.get(name) ?? DEFAULT).find(({ kind }) => kind !== 'default')
}

/** As the help names it. */
function flagNamed(name: OptionName): string {
  const row = ROWS.find(({ env }) => env === name)
  assert(row !== undefined)
  return namesOf(row)[0]
}

/** The first of the rule's options that the user set, as typed; else the first one's flag. */
function typedName(rule: Rule, input: RuleInput): string {
  const sources = rule.options.map((name) => input.sources.get(name) ?? DEFAULT)
  const typed = sources.find(({ kind }) => kind !== 'default' && kind !== 'profile')
  if (typed !== undefined) return nameOf(typed)
  return `--${flagNamed(rule.options[0])}`
}
