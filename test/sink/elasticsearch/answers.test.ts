import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  classifyItem,
  classifyRequest,
  ITEM_ANSWERS,
  overrideRow,
  REQUEST_ANSWERS,
  type ItemVerdict,
  type Refusal,
  type RequestVerdict,
} from '../../../src/sink/elasticsearch/answers.ts'

const answer = (status: number, errorType = '', reason = ''): Refusal => ({
  status,
  errorType,
  reason,
})

/** Answers as Elasticsearch and OpenSearch give them, the row each must meet, and what it says. */
const ITEMS: readonly (readonly [row: string, verdict: ItemVerdict, answer: Refusal])[] = [
  ['written', 'indexed', answer(201)],
  ['written', 'indexed', answer(200)],
  ['version_conflict', 'duplicate', answer(409, 'version_conflict_engine_exception', '[a-0-1]: .')],
  ['busy', 'retry', answer(429, 'es_rejected_execution_exception', 'rejected execution of ...')],
  ['busy', 'retry', answer(429, 'rejected_execution_exception', 'rejected (OpenSearch)')],
  ['busy', 'retry', answer(429, 'circuit_breaking_exception', '[parent] Data too large')],
  ['busy', 'retry', answer(429, 'too_many_requests')],
  [
    'index_unusable',
    'hold',
    answer(429, 'cluster_block_exception', 'index [a] blocked by: [TOO_MANY_REQUESTS/12/disk ...'),
  ],
  [
    'index_unusable',
    'hold',
    answer(
      403,
      'cluster_block_exception',
      'index [a] blocked by: [FORBIDDEN/8/index write (api)];',
    ),
  ],
  ['index_unusable', 'hold', answer(400, 'index_closed_exception', 'closed')],
  ['index_unusable', 'hold', answer(503, 'unavailable_shards_exception', '[a][0] primary ...')],
  ['index_unusable', 'hold', answer(400, 'invalid_index_name_exception', 'must be lowercase')],
  ['index_unusable', 'hold', answer(404, 'index_not_found_exception', 'no such index [a] and ...')],
  ['index_unusable', 'hold', answer(403, 'security_exception', 'action [indices:...] is ...')],
  ['unauthorized', 'hold', answer(401, 'some_plugin_exception')],
  ['denied', 'hold', answer(403, 'some_plugin_exception')],
  ['index_made_meanwhile', 'retry', answer(400, 'resource_already_exists_exception', 'exists')],
  ['document_malformed', 'dead_letter', answer(400, 'document_parsing_exception', '[1:6] failed')],
  ['document_malformed', 'dead_letter', answer(400, 'strict_dynamic_mapping_exception', 'strict')],
  [
    'document_unparsable',
    'dead_letter',
    answer(400, 'mapper_parsing_exception', 'failed to parse: Duplicate Object property "z"\n at'),
  ],
  [
    'document_unparsable',
    'dead_letter',
    answer(400, 'mapper_parsing_exception', 'failed to parse'),
  ],
  [
    'document_unparsable',
    'dead_letter',
    answer(400, 'mapper_parsing_exception', 'failed to parse field [a] of type [long] in document'),
  ],
  ['processor_failed', 'dead_letter', answer(400, 'fail_processor_exception', 'no')],
  ['processor_failed', 'dead_letter', answer(500, 'fail_processor_exception', 'no')],
  ['server_fault', 'retry', answer(503, 'no_shard_available_action_exception')],
  ['server_fault', 'retry', answer(503, 'process_cluster_event_timeout_exception')],
  ['server_fault', 'retry', answer(500, 'null_pointer_exception')],
  ['refused', 'unclear', answer(400, 'illegal_argument_exception', 'field [x] not present')],
  ['refused', 'unclear', answer(413, 'x')],
  [
    'refused',
    'unclear',
    answer(
      400,
      'mapper_parsing_exception',
      'Failed to parse mapping: unknown parameter [analyzer]',
    ),
  ],
  [
    'refused',
    'unclear',
    answer(
      400,
      'validation_exception',
      'Validation Failed: 1: this action would add [2] shards, but this cluster currently has ' +
        '[1000]/[1000] maximum normal shards open;',
    ),
  ],
  [
    'refused',
    'unclear',
    answer(400, 'illegal_argument_exception', 'pipeline with id [x] does not exist'),
  ],
]

const REQUESTS: readonly (readonly [row: string, verdict: RequestVerdict, answer: Refusal])[] = [
  ['rejected', 'busy', answer(429, 'es_rejected_execution_exception', 'coordinating ...')],
  ['rejected', 'busy', answer(503, 'circuit_breaking_exception', 'Data too large')],
  ['request_busy', 'busy', answer(429)],
  ['too_large', 'too_large', answer(413)],
  ['request_timeout', 'slow', answer(408)],
  ['gateway_timeout', 'slow', answer(504)],
  ['no_answer', 'down', answer(0)],
  [
    'unavailable',
    'down',
    answer(503, 'cluster_block_exception', 'blocked by: [SERVICE_UNAVAILABLE/1/state not ...];'),
  ],
  ['unavailable', 'down', answer(502)],
  ['unavailable', 'down', answer(500)],
  ['request_refused', 'refuses', answer(401, 'security_exception', 'unable to authenticate user')],
  ['request_refused', 'refuses', answer(403)],
  ['request_refused', 'refuses', answer(404)],
  ['request_refused', 'refuses', answer(302)],
  [
    'request_refused',
    'refuses',
    answer(
      400,
      'action_request_validation_exception',
      'Validation Failed: 1: id [aa] is too long, must be no longer than 512 bytes but was: 513;',
    ),
  ],
]

test('every answer meets its row of the table', () => {
  for (const [name, verdict, given] of ITEMS) {
    const row = classifyItem(given, [])
    assert.deepEqual([row.name, row.verdict], [name, verdict], JSON.stringify(given))
  }
  for (const [name, verdict, given] of REQUESTS) {
    const row = classifyRequest(given)
    assert.deepEqual([row.name, row.verdict], [name, verdict], JSON.stringify(given))
  }
})

test('every row of the tables is met by an answer, and named once', () => {
  const met = [...ITEMS, ...REQUESTS].map(([name]) => name)
  const rows = [...ITEM_ANSWERS, ...REQUEST_ANSWERS].map(({ name }) => name)
  assert.deepEqual(new Set(met), new Set(rows))
  assert.equal(new Set(rows).size, rows.length)
})

test('an override comes before the table', () => {
  const byType = overrideRow({
    answer: { errorType: 'document_parsing_exception' },
    action: 'drop',
  })
  const byStatus = overrideRow({ answer: { status: 400 }, action: 'retry' })
  const overrides = [byType, byStatus]
  assert.equal(classifyItem(answer(400, 'document_parsing_exception'), overrides).verdict, 'drop')
  assert.equal(classifyItem(answer(400, 'other'), overrides).verdict, 'retry')
  assert.equal(classifyItem(answer(404, 'other'), overrides).verdict, 'unclear')
})
