/**
 * What a pipeline is told: plain data, resolved and checked (options/), passed to threads as it is.
 *
 * The CLI makes it from the Config; the demo, the bench and the tests make their own.
 */
import type { FillLimits } from '../bridge/bridge.ts'
import type { DocumentEdits, RuleList } from '../core/rules.ts'
import type { PipelineIdentity } from '../kafka/pipeline-identity.ts'
import type { MetricSpec } from '../core/expression/metric.ts'
import type { CountedPatterns } from '../metrics/pattern-counts.ts'
import type { RecordFilter } from '../options/filter.ts'
import type { DeadLetterTarget, StartPosition } from '../options/notations.ts'
import type { ElasticsearchSettings } from '../sink/elasticsearch/settings.ts'
import type { MarkedRange } from '../kafka/offset-ranges.ts'

export interface PipelineSettings {
  readonly mode: 'worker' | 'direct'
  readonly kafka: KafkaSettings
  readonly filter: FilterSettings
  /** What becomes of matches, by rule; null: each is one document. */
  readonly rules: RuleList | null
  /** What is done to the fields of matches; null: nothing. */
  readonly edits: DocumentEdits | null
  readonly pool: PoolSettings
  readonly output: OutputSettings
  /** Null: nothing is counted. */
  readonly metrics: MetricSettings | null
  /** Null: everything from now on, as the group says. */
  readonly replay: ReplaySettings | null
  /** 0: until stopped. */
  readonly runSeconds: number
  /** Stop after so many records were fetched; 0: no such limit. */
  readonly recordsMax: number
  /** Hand so many matches to the output, and stop; 0: no such limit. */
  readonly matchesMax: number
  /** False: offsets are not committed (`--no-commit`, `--output none`). */
  readonly commits: boolean
  /** Unresolved offsets of one partition at which it is paused. */
  readonly unresolvedMax: number
  /** At the start, whether to wait for a broker, and for room on the disk, rather than to end. */
  readonly waits: boolean
  /** What a shut-down may take, in all its phases. */
  readonly shutdownDeadlineMs: number
  /** The add-on's file; null: the one that was built. */
  readonly bridgeFile: string | null
}

/** A span of time, read once more without the group, and where it lies. Times in ms since 1970. */
export interface ReplaySettings {
  readonly fromMs: number
  /** Exclusive; null: no limit. */
  readonly toMs: number | null
  /** None of them empty. */
  readonly ranges: readonly MarkedRange[]
}

export interface KafkaSettings {
  /** For messages; the consumers take theirs from `properties`. */
  readonly brokers: string
  /** Names, or ^regular expressions. */
  readonly topics: readonly string[]
  readonly groupId: string
  /** What tells this pipeline from another one of its group. */
  readonly identity: PipelineIdentity
  /** Starts although another pipeline is live in the group. */
  readonly takesOver: boolean
  /**
   * group: the partitions that the group gives. static: all of them, divided among the ingress
   * threads by number; nobody else is asked, and no rebalance comes. alone: as static, and reading
   * begins at `start`, whatever a group has committed.
   */
  readonly membership: 'group' | 'static' | 'alone'
  /** One list of librdkafka properties for each ingress thread. */
  readonly properties: readonly (readonly (readonly [name: string, value: string])[])[]
  /** What the user has set, for clients that are no consumers. */
  readonly clientProperties: readonly (readonly [name: string, value: string])[]
  /** OAUTHBEARER's token; null: none. */
  readonly tokenFile: string | null
  readonly start: StartPosition
  /** Read each partition up to the end that it has when it is given, and stop then. */
  readonly untilEnd: boolean
  readonly revokeDrainMs: number
  /** Time without a free slot after which partitions are paused. */
  readonly stallPauseMs: number
  /** Pass batches that cannot be read, and count them as lost. */
  readonly skipUnreadable: boolean
  /** How long the first answer of a broker may take before the start is called failed. */
  readonly connectTimeoutMs: number
}

export type FilterSettings = RecordFilter & {
  readonly threadCount: number
  /** Alternatives of a set that are metrics, from this number on; absent or null: none. */
  readonly metricsFrom?: number | null
}

/** What is counted of the records, beside the output. */
export interface MetricSettings {
  readonly specs: readonly MetricSpec[]
  readonly seriesMax: number
  /** Documents of what is counted; null: none are written. */
  readonly windows: WindowSettings | null
}

export interface WindowSettings {
  readonly windowMs: number
  readonly latenessMs: number
  /** With the index of the documents. */
  readonly elasticsearch: ElasticsearchSettings
  /** As ES_ID_PREFIX. */
  readonly idPrefix: string
}

export interface PoolSettings {
  readonly slotCount: number
  readonly bufferBytes: number
  readonly readyMax: number
  readonly limits: FillLimits
  readonly dropNewest: boolean
}

export type OutputSettings =
  | { readonly kind: 'none' }
  /** The metrics product line: counted, not written. */
  | ({ readonly kind: 'count' } & CountedPatterns)
  | {
      readonly kind: 'stdout'
      readonly format: 'raw' | 'json'
      /** A terminal gets them as they are. */
      readonly isRaw: boolean
    }
  | {
      readonly kind: 'file'
      readonly format: 'raw' | 'json'
      readonly path: string
      readonly rotateBytes: number
      readonly rotateKeep: number
    }
  | {
      readonly kind: 'elasticsearch'
      readonly settings: ElasticsearchSettings
      /** ES_ID_PREFIX: auto, none, or what stands before topic-partition-offset in `_id`. */
      readonly idPrefix: string
      /** ES_SPILL_PATH. */
      readonly spillPath: string
      /** Null: a document that can never be indexed stops the pipeline. */
      readonly letters: DeadLetterTarget | null
    }

/** How much a replay reads, in offsets; null: it is none. */
export function replayRecords({ replay }: PipelineSettings): number | null {
  return replay === null ? null : replay.ranges.reduce((sum, { from, to }) => sum + to - from, 0)
}
