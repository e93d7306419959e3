/**
 * A table of the answers from Elasticsearch, and what each means on its own.
 *
 * A row matches if everything it names matches: error type, reason, status. Rows are tried in
 * order, and the first match wins. Overrides (an option) come first. Both tables are total: their
 * last row matches everything.
 *
 * Only the server chooses an item's type and status. Its reason may quote the record, so a reason
 * is matched as a whole, from its first letter, and only to give up on its own document: a record
 * cannot forge a reason that blocks others. An answer that no row matches is `unclear`: other
 * documents then show whether the document or its index is at fault (retries.ts).
 */
import { answerText, type AnswerAction, type AnswerOverride } from '../../options/notations.ts'

export type ItemVerdict =
  /** Resolved. */
  | 'indexed'
  | 'duplicate'
  | 'drop'
  /** Again, after a jittered backoff; fewer requests at a time. */
  | 'retry'
  /** The index waits in its own lane; other indices flow. */
  | 'hold'
  | 'dead_letter'
  /** The document or its index is at fault: other documents show which. */
  | 'unclear'

/** The state of the cluster by a request that failed as a whole, if nothing else succeeds. */
export type RequestVerdict =
  /** Its queues are full. */
  | 'busy'
  /** A node that fails so three times in a row is down. */
  | 'down'
  /** Half the requests in flight and half the bytes. */
  | 'slow'
  /** Nothing, unless it is a single document: the request is too large. */
  | 'too_large'
  /** It is about us: stop sending, and look now and then. */
  | 'refuses'

export interface AnswerRow<Verdict = ItemVerdict | RequestVerdict> {
  readonly name: string
  readonly errorType?: RegExp
  /** Matches the whole reason. */
  readonly reason?: RegExp
  /** First and last status, inclusive. */
  readonly status?: readonly [first: number, last: number]
  readonly verdict: Verdict
  /** For people. */
  readonly meaning: string
}

export const ITEM_ANSWERS: readonly AnswerRow<ItemVerdict>[] = [
  {
    name: 'written',
    status: [200, 299],
    verdict: 'indexed',
    meaning: 'The document is in the index, or in the failure store (a separate outcome).',
  },
  {
    name: 'version_conflict',
    errorType: /^version_conflict_engine_exception$/,
    verdict: 'duplicate',
    meaning: 'A document with this _id already exists.',
  },
  {
    name: 'index_unusable',
    errorType: new RegExp(
      '^(cluster_block|index_closed|unavailable_shards|index_not_found|invalid_index_name' +
        '|security)_exception$',
    ),
    verdict: 'hold',
    meaning: 'The index is blocked, closed, missing, without its primary shard, or not writable.',
  },
  {
    name: 'document_malformed',
    errorType: /^(document_parsing|strict_dynamic_mapping)_exception$/,
    verdict: 'dead_letter',
    meaning: 'The document does not fit the mapping.',
  },
  {
    name: 'document_unparsable',
    errorType: /^mapper_parsing_exception$/,
    reason: /^(failed to parse(: .*| field \[.*)?|object mapping for \[.*)$/s,
    verdict: 'dead_letter',
    meaning: 'The same, from OpenSearch: its other reasons of this type are about the mapping.',
  },
  {
    name: 'processor_failed',
    errorType: /_processor_exception$/,
    verdict: 'dead_letter',
    meaning: 'An ingest processor rejected the document (OpenSearch answers 500).',
  },
  {
    name: 'index_made_meanwhile',
    errorType: /^resource_already_exists_exception$/,
    verdict: 'retry',
    meaning: 'Two requests created the index at the same time.',
  },
  {
    name: 'busy',
    status: [429, 429],
    verdict: 'retry',
    meaning: 'A queue of the server is full, or its memory is.',
  },
  {
    name: 'unauthorized',
    status: [401, 401],
    verdict: 'hold',
    meaning: 'The credentials may not write to this index.',
  },
  {
    name: 'denied',
    status: [403, 403],
    verdict: 'hold',
    meaning: 'The credentials may not write to this index.',
  },
  {
    name: 'server_fault',
    status: [500, 599],
    verdict: 'retry',
    meaning: 'A shard or node is temporarily unavailable, or the server fails on this document.',
  },
  {
    name: 'refused',
    verdict: 'unclear',
    meaning: 'A processor, the mapping, an index setting or a limit: other documents show which.',
  },
]

export const REQUEST_ANSWERS: readonly AnswerRow<RequestVerdict>[] = [
  {
    name: 'rejected',
    errorType: /(^|_)(rejected_execution|circuit_breaking)_exception$/,
    verdict: 'busy',
    meaning: 'A queue of the server is full, or its memory is.',
  },
  {
    name: 'request_busy',
    status: [429, 429],
    verdict: 'busy',
    meaning: 'The server, or a proxy, is busy.',
  },
  {
    name: 'too_large',
    status: [413, 413],
    verdict: 'too_large',
    meaning: 'The request exceeds http.max_content_length or the limit of a proxy.',
  },
  {
    name: 'request_timeout',
    status: [408, 408],
    verdict: 'slow',
    meaning: 'The server waited too long for the request.',
  },
  {
    name: 'gateway_timeout',
    status: [504, 504],
    verdict: 'slow',
    meaning: 'A proxy timed out waiting for the server.',
  },
  {
    name: 'no_answer',
    status: [0, 0],
    verdict: 'down',
    meaning: 'Not a _bulk response, or truncated: it does not cover every document.',
  },
  {
    name: 'unavailable',
    status: [500, 599],
    verdict: 'down',
    meaning: 'The node, or a proxy in front of it, cannot serve the request.',
  },
  {
    name: 'request_refused',
    verdict: 'refuses',
    meaning: 'The credentials, a document, or ES_URL is wrong.',
  },
]

/** The parts of an answer that the tables match. */
export interface Refusal {
  readonly status: number
  readonly errorType: string
  readonly reason: string
}

/** What an item says. Total: there is always a row. */
export function classifyItem(
  answer: Refusal,
  overrides: readonly AnswerRow<ItemVerdict>[],
): AnswerRow<ItemVerdict> {
  return rowOf(answer, overrides) ?? rowOf(answer, ITEM_ANSWERS)!
}

export function classifyRequest(answer: Refusal): AnswerRow<RequestVerdict> {
  return rowOf(answer, REQUEST_ANSWERS)!
}

function rowOf<Verdict>(
  answer: Refusal,
  rows: readonly AnswerRow<Verdict>[],
): AnswerRow<Verdict> | undefined {
  return rows.find((row) => {
    if (row.errorType !== undefined && !row.errorType.test(answer.errorType)) return false
    if (row.reason !== undefined && !row.reason.test(answer.reason)) return false
    const [first, last] = row.status ?? [0, 999]
    return answer.status >= first && answer.status <= last
  })
}

const VERDICTS = {
  retry: 'retry',
  hold: 'hold',
  'dead-letter': 'dead_letter',
  drop: 'drop',
  duplicate: 'duplicate',
} as const satisfies Readonly<Record<AnswerAction, ItemVerdict>>

/** The row that an override puts before the table; it is about items only. */
export function overrideRow(override: AnswerOverride): AnswerRow<ItemVerdict> {
  const { answer, action } = override
  const row = {
    name: answerText(override),
    verdict: VERDICTS[action],
    meaning: 'Set by an option.',
  } as const
  return 'status' in answer
    ? { ...row, status: [answer.status, answer.status] }
    : { ...row, errorType: new RegExp(`^${answer.errorType}$`) }
}
