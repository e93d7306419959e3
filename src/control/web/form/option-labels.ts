/**
 * The option table as a form: what each field is called, which come first, which are folded away.
 */
import type { Option } from '../data/api-types.ts'
import { bytes } from '../parts/format.ts'

/** What somebody must look at to start a pipeline, in this order; everything else has a default. */
export const FIRST_FIELDS = [
  'kafka_brokers',
  'kafka_topic',
  'match_pattern',
  'match_keep',
  'match_drop',
  'es_url',
  'es_index',
] as const

/** Where the variable's name says too little, or something else. */
const LABELS: ReadonlyMap<string, string> = new Map([
  ['kafka_brokers', 'Kafka brokers'],
  ['kafka_topic', 'Topic'],
  ['kafka_group_id', 'Consumer group'],
  ['kafka_start', 'Start of a new group'],
  ['match_pattern', 'Keep records that contain'],
  ['match_pattern_hex', 'Keep records that contain (hex)'],
  ['match_regex', 'Keep records that match (regex)'],
  ['match_keep', 'Keep records that meet'],
  ['match_drop', 'Drop records that meet'],
  ['rules', 'Rules'],
  ['rule_field', 'Field for the name of the rule'],
  ['fields', 'Edits of fields'],
  ['redact_key', 'Key of redacted values'],
  ['add_kafka', 'Add the fields of Kafka'],
  ['metrics', 'Count records (NAME=EXPR by FIELD)'],
  ['metrics_series_max', 'Label sets of a metric'],
  ['metrics_index', 'Index of metrics'],
  ['metrics_window_seconds', 'Window of metrics (s)'],
  ['metrics_lateness_seconds', 'Lateness of metrics (s)'],
  ['match_ignore_case', 'Ignore case'],
  ['match_invert', 'Keep records that do not match'],
  ['es_url', 'Elasticsearch'],
  ['es_index', 'Index'],
  ['es_index_date_span', 'Dates of indices (past, future)'],
  ['es_pipeline', 'Ingest pipeline'],
  ['es_document_id', 'Document id'],
  ['es_answer', 'Error handling overrides'],
  ['es_queue_cap', 'Queue (documents)'],
  ['es_drop_when_full', 'Drop when full'],
  ['es_api_key', 'API key'],
  ['es_username', 'User name'],
  ['es_spill_max_bytes', 'Maximum spill (bytes)'],
  ['rust_workers', 'Filter threads'],
  ['batch_msgs', 'Batch (records)'],
  ['task_queue_cap', 'Task queue (slots)'],
  ['pool_size', 'Pool (slots)'],
  ['buffer_bytes', 'Slot (bytes)'],
  ['pipeline_profile', 'Profile'],
  ['pipeline_mode', 'Mode'],
  ['pipeline_format', 'Format'],
  ['max_unresolved', 'Maximum unresolved offsets'],
])

/** Words that are not spelled like words. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ['es', 'Elasticsearch'],
  ['id', 'ID'],
  ['url', 'URL'],
  ['ms', '(ms)'],
  ['bytes', '(bytes)'],
])

/** es_bulk_flush_ms in the group elasticsearch: "Bulk flush (ms)". */
export function labelOf({ field, group }: Pick<Option, 'field' | 'group'>): string {
  const known = LABELS.get(field)
  if (known !== undefined) return known
  const prefix = group === 'elasticsearch' ? 'es_' : `${group}_`
  const rest = field.startsWith(prefix) ? field.slice(prefix.length) : field
  const text = rest
    .split('_')
    .map((word) => WORDS.get(word) ?? word)
    .join(' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** For stdout and files: what sync runs writes to Elasticsearch. What is set there stays set. */
const OTHER_OUTPUTS = 'output'

export interface OptionGroup {
  readonly group: string
  readonly title: string
  readonly options: readonly Option[]
}

export interface FormLayout {
  readonly first: readonly Option[]
  /** The rest by group, in the table's order. */
  readonly more: readonly OptionGroup[]
}

export function layoutOf(options: readonly Option[]): FormLayout {
  const first = FIRST_FIELDS.flatMap((name) => options.find(({ field }) => field === name) ?? [])
  const groups = Map.groupBy(
    options.filter((option) => !first.includes(option) && option.group !== OTHER_OUTPUTS),
    ({ group }) => group,
  )
  const more = [...groups].map(([group, rows]) => ({
    group,
    title: rows[0]?.group_title ?? group,
    options: rows,
  }))
  return { first, more }
}

/** Bounds and default in one line, where the row has any: "1 to 64. Default: 2." */
export function boundsOf({ kind, min, max, default: value }: Option): string {
  const range = min !== null && max !== null && kind === 'count' ? `${min} to ${max}. ` : ''
  if (kind === 'switch' || value === null) return range.trim()
  const shown = kind === 'bytes' ? bytes(Number(value)) : value
  return `${range}Default: ${shown === '' ? 'none' : shown}.`
}
