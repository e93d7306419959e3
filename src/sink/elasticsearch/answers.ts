/**
 * What an answer from Elasticsearch means: the contract of delivery, as a table.
 *
 * A row matches when all it names match: the scope, the error's type, the reason, the status. Rows
 * are asked in order and the first that matches wins, so rows by type stand before rows by reason
 * alone, and those before rows by status. Overrides (an option) come before all of them.
 *
 * The table is total: its last row of each scope takes everything. judge.ts reads it.
 */
export type Verdict =
  /** Resolved. */
  | 'indexed'
  | 'duplicate'
  | 'drop'
  /** Those documents again, after a jittered backoff; fewer requests at a time. */
  | 'retry'
  /** The batch again; a node that fails so three times in a row is down. */
  | 'down'
  /** The batch again, with half the requests in flight and half the bytes. */
  | 'congestion'
  /** The index asked for waits in its own lane; other indices flow. */
  | 'hold'
  /** Stop sending, tell, keep probing: it is about us, not about a document. */
  | 'halt'
  /** Half the batch, and remember the size; a single document is dead-lettered. */
  | 'too_large'
  /** Halves, until the culprit stands alone; it is dead-lettered. */
  | 'bisect'
  | 'dead_letter'

export interface AnswerRow {
  readonly name: string
  /** An item of an answered request, or the request as a whole. */
  readonly scope: 'item' | 'request' | 'any'
  readonly errorType?: RegExp
  readonly reason?: RegExp
  /** First and last status, inclusive. */
  readonly status?: readonly [first: number, last: number]
  readonly verdict: Verdict
  /** So many answers of this kind, then it is dead-lettered; absent: as long as it takes. */
  readonly triesMax?: number
  /** For people, and for `explain`. */
  readonly meaning: string
}

/** Tries for an item that fails with a 5xx of its own: minutes, with the backoff's upper bound. */
const SERVER_FAULT_TRIES_MAX = 20

export const ANSWERS: readonly AnswerRow[] = [
  {
    name: 'written',
    scope: 'item',
    status: [200, 299],
    verdict: 'indexed',
    meaning: 'The document is in the index (or in the failure store: an outcome of its own).',
  },
  {
    name: 'version_conflict',
    scope: 'item',
    errorType: /^version_conflict_engine_exception$/,
    verdict: 'duplicate',
    meaning: 'A document with this _id is there already.',
  },
  {
    name: 'rejected',
    scope: 'any',
    errorType: /rejected_execution_exception$/,
    verdict: 'retry',
    meaning: 'A queue of the server is full.',
  },
  {
    name: 'circuit_breaking',
    scope: 'any',
    errorType: /^circuit_breaking_exception$/,
    verdict: 'retry',
    meaning: 'The server is short of memory.',
  },
  {
    name: 'cluster_not_ready',
    scope: 'any',
    errorType: /^cluster_block_exception$/,
    reason: /SERVICE_UNAVAILABLE/,
    verdict: 'down',
    meaning: 'The cluster has no master, or has not read its state yet.',
  },
  {
    name: 'index_blocked',
    scope: 'item',
    errorType: /^cluster_block_exception$/,
    verdict: 'hold',
    meaning: 'The index is read-only: a full disk (429) or a block set by hand (403).',
  },
  {
    name: 'index_closed',
    scope: 'item',
    errorType: /^index_closed_exception$/,
    verdict: 'hold',
    meaning: 'The index is closed.',
  },
  {
    name: 'shards_exhausted',
    scope: 'item',
    errorType: /^validation_exception$/,
    reason: /maximum .*shards/,
    verdict: 'hold',
    meaning: 'The index cannot be made: the cluster has its maximum of shards.',
  },
  {
    name: 'shards_unavailable',
    scope: 'item',
    errorType: /^unavailable_shards_exception$/,
    verdict: 'hold',
    meaning: 'The primary shard is not there; asking for it makes the whole request wait.',
  },
  {
    name: 'pipeline_missing',
    scope: 'item',
    errorType: /^illegal_argument_exception$/,
    reason: /pipeline with id \[.*\] does not exist/,
    verdict: 'hold',
    meaning: 'ES_PIPELINE, or the default pipeline of the index, does not exist.',
  },
  {
    name: 'target_not_writable',
    scope: 'item',
    errorType: /^illegal_argument_exception$/,
    reason: /no write index is defined for alias|op_type of create are allowed in data streams/,
    verdict: 'hold',
    meaning: 'The alias has no write index, or a data stream is asked for more than create.',
  },
  {
    name: 'index_name_invalid',
    scope: 'item',
    errorType: /^invalid_index_name_exception$/,
    verdict: 'hold',
    meaning: 'ES_INDEX gives a name that Elasticsearch does not allow.',
  },
  {
    name: 'index_missing',
    scope: 'item',
    errorType: /^index_not_found_exception$/,
    verdict: 'hold',
    meaning: 'The index does not exist and may not be made.',
  },
  {
    name: 'index_made_meanwhile',
    scope: 'item',
    errorType: /^resource_already_exists_exception$/,
    verdict: 'retry',
    meaning: 'Two requests made the index at the same time.',
  },
  {
    name: 'item_forbidden',
    scope: 'item',
    errorType: /^security_exception$/,
    verdict: 'hold',
    meaning: 'The credentials may not write to this index.',
  },
  {
    name: 'request_forbidden',
    scope: 'request',
    errorType: /^security_exception$/,
    verdict: 'halt',
    meaning: 'The credentials are wrong, or expired.',
  },
  {
    name: 'document_malformed',
    scope: 'item',
    errorType: /^(document_parsing|mapper_parsing|strict_dynamic_mapping)_exception$/,
    verdict: 'dead_letter',
    meaning: 'The document does not fit the mapping.',
  },
  {
    name: 'processor_failed',
    scope: 'item',
    errorType: /_processor_exception$/,
    verdict: 'dead_letter',
    meaning: 'A processor of the pipeline refused the document (OpenSearch says 500 to that).',
  },
  {
    name: 'request_invalid',
    scope: 'request',
    errorType: /^(action_request_validation_exception|illegal_argument_exception)$/,
    reason: /is too long, must be no longer than|Malformed action\/metadata line/,
    verdict: 'bisect',
    meaning: 'One document makes the request invalid: its _id is too long, or its action line bad.',
  },
  {
    name: 'item_busy',
    scope: 'item',
    status: [429, 429],
    verdict: 'retry',
    meaning: 'The server, or a proxy, is busy.',
  },
  {
    name: 'item_unauthorized',
    scope: 'item',
    status: [401, 401],
    verdict: 'hold',
    meaning: 'The credentials may not write to this index.',
  },
  {
    name: 'item_denied',
    scope: 'item',
    status: [403, 403],
    verdict: 'hold',
    meaning: 'The credentials may not write to this index.',
  },
  {
    name: 'item_unavailable',
    scope: 'item',
    status: [502, 504],
    verdict: 'retry',
    meaning: 'A shard or a node is away for the moment.',
  },
  {
    name: 'item_server_fault',
    scope: 'item',
    status: [500, 599],
    verdict: 'retry',
    triesMax: SERVER_FAULT_TRIES_MAX,
    meaning: 'The server failed on this document, or on anything.',
  },
  {
    name: 'item_refused',
    scope: 'item',
    verdict: 'dead_letter',
    meaning: 'The document is refused for good, for example by a processor of the pipeline.',
  },
  {
    name: 'no_answer',
    scope: 'request',
    status: [0, 0],
    verdict: 'down',
    meaning: 'Not an answer of _bulk, or cut short: it does not account for every document.',
  },
  {
    name: 'request_unauthorized',
    scope: 'request',
    status: [401, 401],
    verdict: 'halt',
    meaning: 'The credentials are wrong, or expired.',
  },
  {
    name: 'request_denied',
    scope: 'request',
    status: [403, 403],
    verdict: 'halt',
    meaning: 'The credentials may not write, or a proxy says no.',
  },
  {
    name: 'request_timeout',
    scope: 'request',
    status: [408, 408],
    verdict: 'congestion',
    meaning: 'The server waited too long for the request.',
  },
  {
    name: 'request_too_large',
    scope: 'request',
    status: [413, 413],
    verdict: 'too_large',
    meaning: 'Larger than http.max_content_length, or than a proxy allows.',
  },
  {
    name: 'request_busy',
    scope: 'request',
    status: [429, 429],
    verdict: 'retry',
    meaning: 'The server, or a proxy, is busy.',
  },
  {
    name: 'request_refused',
    scope: 'request',
    status: [400, 400],
    verdict: 'bisect',
    meaning: 'Something in the request is wrong, most likely one document.',
  },
  {
    name: 'gateway_timeout',
    scope: 'request',
    status: [504, 504],
    verdict: 'congestion',
    meaning: 'A proxy got no answer in its time.',
  },
  {
    name: 'unavailable',
    scope: 'request',
    status: [500, 599],
    verdict: 'down',
    meaning: 'The node, or what stands before it, cannot serve.',
  },
  {
    name: 'request_misdirected',
    scope: 'request',
    verdict: 'halt',
    meaning: 'This is not the _bulk endpoint that was expected: look at ES_URL.',
  },
]
