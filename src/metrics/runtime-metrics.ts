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
  written_total: 'Documents that the output has taken for good.',
  written_bytes_total: 'Bytes of documents that the output has taken for good.',
  dropped_total: 'Records dropped because a queue was full and the options say to drop.',
  fenced_total: 'Results that came after their partition had been given away.',
  dead_letters_total: 'Documents written to the dead letters.',
  pipeline_dropped_total: 'Documents that an ingest pipeline of Elasticsearch dropped.',
  es_index_redated_total: 'Documents in the index of their arrival (ES_INDEX_DATE_SPAN).',
  retries_total: 'Requests or documents that the output sent again.',
  es_429_proxy_rejected_total: 'Documents and requests that Elasticsearch refused with 429.',
  es_mem_queue_len: 'Documents in the memory queue of the output.',
  es_mem_queue_bytes: 'Bytes in the memory queue of the output.',
  es_spill_queue_bytes: 'Bytes in the spill.',
  kafka_lag: 'Records between what was read and the end of the assigned partitions.',
  kafka_lag_bytes: 'Estimated bytes of the values of the records still to be read.',
  kafka_lag_seconds: 'Age of the last record read, of the partition that is furthest behind.',
  kafka_lag_drain_seconds: 'Estimated seconds until the lag is read, at the present rates.',
  kafka_waiting_partitions: 'Assigned partitions not read yet: no answer of their brokers.',
  kafka_stuck_partitions: 'Partitions that stand still although their log goes on; see the log.',
  es_spill_drain_seconds: 'Estimated seconds until the spill is empty, at the present rate.',
  pool_free: 'Slots that are free.',
  pool_ready: 'Slots that wait for a filter thread.',
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
    help: 'Records between what was read and the end of a partition.',
    of: (lag: PartitionLag) => lag.lagRecords,
  },
  kafka_partition_lag_bytes: {
    help: 'Estimated bytes of the values of the records still to be read of a partition.',
    of: (lag: PartitionLag) => lag.lagBytes,
  },
  kafka_partition_lag_seconds: {
    help: 'Age of the last record read of a partition; 0 when all is read.',
    of: (lag: PartitionLag) => lag.lagSeconds,
  },
  kafka_partition_lag_drain_seconds: {
    help: 'Estimated seconds until the lag of a partition is read, at the present rates.',
    of: (lag: PartitionLag) => lag.drainSeconds,
  },
} as const
