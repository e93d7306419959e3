/**
 * Limits of a worker that options, sync and the control plane share.
 */

/** A folder is named after it on the worker's machine. */
export const WORKER_ID_CHARS_MAX = 128
export const WORKER_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** How often a worker may call. Silent for five polls is lost: a minute is long enough for that. */
export const WORKER_POLL_MS_MIN = 100
export const WORKER_POLL_MS_MAX = 60_000

/** The header by which a worker proves that it is the one that first called by its id. */
export const WORKER_SECRET_HEADER = 'logpipe-worker-secret'

/** Metrics from logs of one pipeline. Each is an expression of the filter's set. */
export const METRICS_MAX = 100

/** Metrics that a heartbeat may carry, and so a snapshot's that are read. */
export const SNAPSHOT_METRICS_MAX = 200
/** A metric's name: what Prometheus allows too. */
export const METRIC_NAME = /^[a-z][a-z0-9_]{0,79}$/
