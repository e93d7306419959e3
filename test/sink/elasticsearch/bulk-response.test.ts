import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBulkAnswer } from '../../../src/sink/elasticsearch/bulk-response.ts'

const written = (count: number) =>
  Array.from({ length: count }, () => ({ create: { status: 201 } }))

test('an answer without errors is known without being parsed, in either order of fields', () => {
  const items = JSON.stringify(written(3))
  for (const head of ['"errors":false,"took":7', '"took":7,"errors":false']) {
    assert.deepEqual(readBulkAnswer(200, `{${head},"items":${items}}`, 3), {
      kind: 'written',
      tookMs: 7,
    })
  }
})

test('an answer that does not account for every document is none', () => {
  const text = JSON.stringify({ errors: false, took: 1, items: written(2) })
  for (const [answer, count] of [
    [text, 3],
    [text, 1],
    [text.slice(0, -1), 2],
    ['', 2],
    ['{}', 2],
    ['{"items":{}}', 2],
    ['<html>welcome</html>', 2],
    ['null', 2],
    ['{"errors":true,"items":[{"create":{"status":201}},{"create":{}}]}', 2],
    ['{"errors":true,"items":[{"create":{"status":201}},{}]}', 2],
    ['{"errors":true,"items":[{"create":{"status":201}},null]}', 2],
  ] as const) {
    const read = readBulkAnswer(200, answer, count)
    assert.equal(read.kind, 'refused', answer)
    assert.equal(read.kind === 'refused' && read.status, 0)
  }
})

test('items come with their status, error and use of the failure store', () => {
  const error = { type: 'document_parsing_exception', reason: 'r'.repeat(5000) }
  const read = readBulkAnswer(
    200,
    JSON.stringify({
      errors: true,
      took: 5,
      items: [
        { create: { status: 201 } },
        { index: { status: 400, error } },
        { create: { status: 201, failure_store: 'used' } },
        { create: { result: 'noop', status: 200 } },
      ],
    }),
    4,
  )
  const none = { index: '', errorType: '', reason: '', failureStore: false, isDropped: false }
  assert.deepEqual(read, {
    kind: 'items',
    tookMs: 5,
    items: [
      { ...none, status: 201 },
      { ...none, status: 400, errorType: error.type, reason: 'r'.repeat(1000) },
      { ...none, status: 201, failureStore: true },
      { ...none, status: 200, isDropped: true },
    ],
  })
})

test('documents that went to the failure store are not taken for indexed ones', () => {
  const items = [{ create: { status: 201, failure_store: 'used' } }]
  const text = JSON.stringify({ errors: false, took: 1, items })
  assert.equal(readBulkAnswer(200, text, 1).kind, 'items')
})

test('an answer of more values than its documents explain is not made into objects', (t) => {
  const parse = t.mock.method(JSON, 'parse')
  const stacks = Array.from({ length: 100 }, (_, line) => `line ${line}, {[`)
  const failed = { type: 'x', reason: 'r', caused_by: { type: 'y', script_stack: stacks } }
  const items = Array.from({ length: 500 }, () => ({ create: { status: 400, error: failed } }))
  const honest = JSON.stringify({ took: 1, errors: true, items })
  assert.equal(readBulkAnswer(200, honest, 500).kind, 'items')
  assert.equal(parse.mock.callCount(), 1)
  const hostile = `{"took":1,"errors":true,"items":[${'{},'.repeat(1_000_000)}{}]}`
  for (const status of [200, 400]) {
    assert.equal(readBulkAnswer(status, hostile, 500).kind, 'refused')
  }
  assert.equal(parse.mock.callCount(), 1, 'some 60 MB of objects')
})

test('of a name without end a part is kept', () => {
  const long = 'x'.repeat(100_000)
  const items = [{ create: { status: 400, _index: long, error: { type: long, reason: long } } }]
  const answer = readBulkAnswer(200, JSON.stringify({ errors: true, items }), 1)
  assert.equal(answer.kind, 'items')
  const [{ index, errorType, reason } = { index: '', errorType: '', reason: '' }] =
    answer.kind === 'items' ? answer.items : []
  assert.deepEqual([index.length, errorType.length, reason.length], [255, 255, 1000])
})

test('a refused request tells why, as Elasticsearch or a proxy puts it', () => {
  const body = { error: { type: 'security_exception', reason: 'no' }, status: 401 }
  assert.deepEqual(readBulkAnswer(401, JSON.stringify(body), 1), {
    kind: 'refused',
    status: 401,
    errorType: 'security_exception',
    reason: 'no',
  })
  assert.deepEqual(readBulkAnswer(502, 'Bad Gateway', 1), {
    kind: 'refused',
    status: 502,
    errorType: '',
    reason: 'Bad Gateway',
  })
  assert.deepEqual(readBulkAnswer(405, '{"error":"Incorrect HTTP method"}', 1), {
    kind: 'refused',
    status: 405,
    errorType: '',
    reason: 'Incorrect HTTP method',
  })
})

test('a reason tells its causes, each once, and the index that a document was going to', () => {
  const cause = { type: 'json_parse_exception', reason: 'Duplicate field z' }
  const error = {
    type: 'mapper_parsing_exception',
    reason: 'failed to parse',
    caused_by: { ...cause, caused_by: { ...cause, caused_by: { type: 'odd_exception' } } },
  }
  const items = [{ create: { _index: 'a', status: 400, error } }]
  const read = readBulkAnswer(200, JSON.stringify({ errors: true, items }), 1)
  assert.deepEqual(read.kind === 'items' && read.items[0], {
    index: 'a',
    status: 400,
    errorType: 'mapper_parsing_exception',
    reason: 'failed to parse: Duplicate field z: odd_exception',
    failureStore: false,
    isDropped: false,
  })
})

test('where it matters which index took a document, every answer is read', () => {
  const items = [{ create: { _index: 'a', status: 201 } }]
  const read = readBulkAnswer(200, JSON.stringify({ errors: false, took: 1, items }), 1, true)
  assert.equal(read.kind === 'items' && read.items[0]?.index, 'a')
})
