/**
 * The metrics of a pipeline: each name once, with its help. A table; snapshot file, heartbeats, the
 * control plane and Prometheus use these names.
 *
 * A name that ends in _total is a sum since the process started; all others are as things are now.
 * es_spill_queue_bytes, es_mem_queue_len and es_429_proxy_rejected_total are names that dashboards
 * have.
 */
export const RUNTIME_METRICS = {
  polled_total: 'Records read from Kafka.',
  polled_bytes_total: 'Bytes of the values, keys and headers of records read from Kafka.',
  matched_total: 'Records that matched.',
  drop_filter_total: 'Records that did not match.',
  written_total: 'Documents that the output has accepted for good.',
  written_bytes_total: 'Bytes of documents that the output has accepted for good.',
  dropped_total: 'Records dropped because a queue was full and dropping is enabled.',
  fenced_total: 'Results that arrived after their partition was revoked.',
  dead_letters_total: 'Documents written to the dead letters.',
  pipeline_dropped_total: 'Documents that an ingest pipeline of Elasticsearch dropped.',
  es_index_redated_total: 'Documents in the index of their arrival (ES_INDEX_DATE_SPAN).',
  retries_total: 'Requests or documents that the output sent again.',
  es_429_proxy_rejected_total: 'Documents and requests that Elasticsearch rejected with 429.',
  es_mem_queue_len: 'Documents in the memory queue of the output.',
  es_mem_queue_bytes: 'Bytes in the memory queue of the output.',
  es_spill_queue_bytes: 'Bytes in the spill.',
  kafka_lag: 'Records between the read position and the end of the assigned partitions.',
  kafka_lag_bytes: 'Estimated bytes of the values of unread records.',
  kafka_lag_seconds: 'Age of the last record read, in the partition furthest behind.',
  kafka_lag_drain_seconds: 'Estimated seconds until the lag is gone, at the current rates.',
  kafka_waiting_partitions: 'Assigned partitions that are not read: their brokers do not answer.',
  kafka_stuck_partitions: 'Partitions that make no progress although they have records; see log.',
  es_spill_drain_seconds: 'Estimated seconds until the spill is empty, at the current rate.',
  pool_free: 'Free slots.',
  pool_ready: 'Slots waiting for a filter thread.',
  pool_in_flight: 'Slots being filled or filtered.',
  pool_total: 'Slots in the pool.',
  uptime_seconds: 'Seconds since the pipeline started.',
} as const

export type RuntimeMetricName = keyof typeof RUNTIME_METRICS

/** All of them; null where a number is not known (yet), and then it is left out. */
export type RuntimeMetrics = Readonly<Record<RuntimeMetricName, number | null>>

/** How far one partition of this process is from its end (lag-meter.ts). Null: unknown. */
export interface PartitionLag {
  readonly topic: string
  readonly partition: number
  readonly lagRecords: number
  readonly lagBytes: number | null
  readonly lagSeconds: number | null
  readonly drainSeconds: number | null
}

/** The metrics of one partition, by name; null is left out. */
export const PARTITION_METRICS = {
  kafka_partition_lag: {
    help: 'Records between the read position and the end of a partition.',
    of: (lag: PartitionLag) => lag.lagRecords,
  },
  kafka_partition_lag_bytes: {
    help: 'Estimated bytes of the values of unread records in a partition.',
    of: (lag: PartitionLag) => lag.lagBytes,
  },
  kafka_partition_lag_seconds: {
    help: 'Age of the last record read in a partition; 0 when there is no lag.',
    of: (lag: PartitionLag) => lag.lagSeconds,
  },
  kafka_partition_lag_drain_seconds: {
    help: 'Estimated seconds until the lag of a partition is gone, at the current rates.',
    of: (lag: PartitionLag) => lag.drainSeconds,
  },
} as const
