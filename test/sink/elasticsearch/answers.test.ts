import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANSWERS, type Verdict } from '../../../src/sink/elasticsearch/answers.ts'
import { judge, overrideRow, type Answer } from '../../../src/sink/elasticsearch/judge.ts'

const item = (status: number, errorType = '', reason = ''): Answer => ({
  scope: 'item',
  status,
  errorType,
  reason,
})
const request = (status: number, errorType = '', reason = ''): Answer => ({
  ...item(status, errorType, reason),
  scope: 'request',
})

/** Answers as Elasticsearch and OpenSearch give them, the row each must meet, and what it says. */
const CASES: readonly (readonly [row: string, verdict: Verdict, answer: Answer])[] = [
  ['written', 'indexed', item(201)],
  ['written', 'indexed', item(200)],
  ['version_conflict', 'duplicate', item(409, 'version_conflict_engine_exception', '[a-0-1]: ...')],
  ['rejected', 'retry', item(429, 'es_rejected_execution_exception', 'rejected execution of ...')],
  ['rejected', 'retry', item(429, 'rejected_execution_exception', 'rejected (OpenSearch)')],
  ['rejected', 'retry', request(429, 'es_rejected_execution_exception', 'coordinating ...')],
  ['circuit_breaking', 'retry', item(429, 'circuit_breaking_exception', '[parent] Data too large')],
  ['circuit_breaking', 'retry', request(429, 'circuit_breaking_exception', 'Data too large')],
  [
    'cluster_not_ready',
    'down',
    request(503, 'cluster_block_exception', 'blocked by: [SERVICE_UNAVAILABLE/1/state not ...];'),
  ],
  [
    'index_blocked',
    'hold',
    item(429, 'cluster_block_exception', 'index [a] blocked by: [TOO_MANY_REQUESTS/12/disk ...'),
  ],
  [
    'index_blocked',
    'hold',
    item(403, 'cluster_block_exception', 'index [a] blocked by: [FORBIDDEN/8/index write (api)];'),
  ],
  ['index_closed', 'hold', item(400, 'index_closed_exception', 'closed')],
  [
    'shards_exhausted',
    'hold',
    item(
      400,
      'validation_exception',
      'Validation Failed: 1: this action would add [2] shards, but this cluster currently has ' +
        '[1000]/[1000] maximum normal shards open;',
    ),
  ],
  ['shards_unavailable', 'hold', item(503, 'unavailable_shards_exception', '[a][0] primary ...')],
  [
    'pipeline_missing',
    'hold',
    item(400, 'illegal_argument_exception', 'pipeline with id [x] does not exist'),
  ],
  [
    'target_not_writable',
    'hold',
    item(400, 'illegal_argument_exception', 'no write index is defined for alias [a]. ...'),
  ],
  [
    'target_not_writable',
    'hold',
    item(
      400,
      'illegal_argument_exception',
      'only write ops with an op_type of create are allowed in data streams',
    ),
  ],
  ['index_name_invalid', 'hold', item(400, 'invalid_index_name_exception', 'must be lowercase')],
  ['index_missing', 'hold', item(404, 'index_not_found_exception', 'no such index [a] and ...')],
  ['index_made_meanwhile', 'retry', item(400, 'resource_already_exists_exception', 'exists')],
  ['item_forbidden', 'hold', item(403, 'security_exception', 'action [indices:...] is ...')],
  ['request_forbidden', 'halt', request(401, 'security_exception', 'unable to authenticate user')],
  ['request_forbidden', 'halt', request(403, 'security_exception', 'is unauthorized')],
  ['document_malformed', 'dead_letter', item(400, 'document_parsing_exception', '[1:6] failed')],
  ['document_malformed', 'dead_letter', item(400, 'mapper_parsing_exception', 'failed to parse')],
  ['document_malformed', 'dead_letter', item(400, 'strict_dynamic_mapping_exception', 'strict')],
  [
    'request_invalid',
    'bisect',
    request(
      400,
      'action_request_validation_exception',
      'Validation Failed: 1: id [aa] is too long, must be no longer than 512 bytes but was: 513;',
    ),
  ],
  [
    'request_invalid',
    'bisect',
    request(400, 'illegal_argument_exception', 'Malformed action/metadata line [3], expected ...'),
  ],
  ['item_busy', 'retry', item(429, 'too_many_requests')],
  ['item_unauthorized', 'hold', item(401, 'some_plugin_exception')],
  ['item_denied', 'hold', item(403, 'some_plugin_exception')],
  ['item_unavailable', 'retry', item(503, 'no_shard_available_action_exception')],
  ['item_unavailable', 'retry', item(503, 'process_cluster_event_timeout_exception')],
  ['item_server_fault', 'retry', item(500, 'null_pointer_exception')],
  ['item_refused', 'dead_letter', item(400, 'illegal_argument_exception', 'field [x] not ...')],
  ['processor_failed', 'dead_letter', item(400, 'fail_processor_exception', 'no')],
  ['processor_failed', 'dead_letter', item(500, 'fail_processor_exception', 'no')],
  ['item_refused', 'dead_letter', item(413, 'x')],
  ['no_answer', 'down', request(0)],
  ['request_unauthorized', 'halt', request(401)],
  ['request_denied', 'halt', request(403)],
  ['request_timeout', 'congestion', request(408)],
  ['request_too_large', 'too_large', request(413)],
  ['request_busy', 'retry', request(429)],
  ['request_refused', 'bisect', request(400, 'x_content_parse_exception', 'odd')],
  ['gateway_timeout', 'congestion', request(504)],
  ['unavailable', 'down', request(503)],
  ['unavailable', 'down', request(502)],
  ['unavailable', 'down', request(500)],
  ['request_misdirected', 'halt', request(404)],
  ['request_misdirected', 'halt', request(405)],
  ['request_misdirected', 'halt', request(406)],
  ['request_misdirected', 'halt', request(302)],
]

test('every answer meets its row of the table', () => {
  for (const [name, verdict, answer] of CASES) {
    const row = judge(answer, [])
    assert.deepEqual([row.name, row.verdict], [name, verdict], JSON.stringify(answer))
  }
})

test('every row of the table is met by an answer, and named once', () => {
  const met = new Set(CASES.map(([name]) => name))
  assert.deepEqual(
    ANSWERS.map((row) => row.name).filter((name) => !met.has(name)),
    [],
  )
  assert.equal(new Set(ANSWERS.map((row) => row.name)).size, ANSWERS.length)
})

test('an override comes before the table, and concerns items only', () => {
  const byType = overrideRow({
    answer: { errorType: 'document_parsing_exception' },
    action: 'drop',
  })
  const byStatus = overrideRow({ answer: { status: 400 }, action: 'retry' })
  const overrides = [byType, byStatus]
  assert.equal(judge(item(400, 'document_parsing_exception'), overrides).verdict, 'drop')
  assert.equal(judge(item(400, 'other'), overrides).verdict, 'retry')
  assert.equal(judge(item(404, 'other'), overrides).verdict, 'dead_letter')
  assert.equal(judge(request(400), overrides).verdict, 'bisect')
})
