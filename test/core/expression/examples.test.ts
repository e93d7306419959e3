/**
 * Expressions with their verdicts on records that one meets: the meaning of the language, a line
 * for each case.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadBridge } from '../../../src/bridge/load.ts'
import { parseExpression } from '../../../src/core/expression/parse.ts'
import { planProgram } from '../../../src/core/expression/plan.ts'
import { encodeHeaders } from '../../../src/pool/slot-reader.ts'
import { FilterJudge } from '../../../src/run/try.ts'
import { evaluate, type NaiveRecord } from '../../helpers/naive-expression.ts'

const RECORD: NaiveRecord = {
  value: null,
  key: Buffer.from('user-42'),
  headers: [
    ['source', Buffer.from('eu-west-1')],
    ['source', Buffer.from('backup')],
    ['empty', null],
  ],
  topic: 'app-logs',
  partition: 3,
  offset: 1200,
  timestampMs: Date.UTC(2026, 8, 1, 12),
}

const JSON_LINE = String.raw`{"level":"ERROR","status":500,"took":1.50,
  "message":"0 ERRORs, time out after 30 s",
  "path":"\/var\/log\/app.log","http":{"method":"GET","status":"404"},"user.name":"ada",
  "tags":["blue",["green",7],null],"items":[{"id":1},{"id":2}],
  "none":null,"empty":[],"nulls":[null],
  "ok":true,"esc":"\u0045RROR \ud83d\ude00","twice":"first","twice":"last","":"x",
  "@timestamp":"2026-09-01"}`

/** [expression, value, kept] */
const EXAMPLES: readonly (readonly [expression: string, value: string | null, kept: boolean])[] = [
  // Bytes anywhere in the value.
  ['ERROR', 'an ERROR here', true],
  ['ERROR', 'an error here', false],
  ['"error"i', 'an ERROR here', true],
  ['"time out"', JSON_LINE, true],
  ['ERROR and not "0 ERRORs"', '0 ERRORs found', false],
  ['ERROR and not "0 ERRORs"', 'ERROR: disk full', true],
  ['"\\x00\\x01"', 'a\u0000\u0001b', true],
  ['*', 'anything', true],
  ['*', null, true],
  ['""', null, true],
  ['ERROR', null, false],
  ['not ERROR', null, true],
  ['user-42', 'keys are not searched', false],
  // Regular expressions on the bytes of the value.
  ['/timeout=99\\d\\d/', 'timeout=9912 ms', true],
  ['/timeout=99\\d\\d/', 'timeout=991 ms', false],
  ['/warn(ing)?\\b/i', 'a WARNING', true],
  ['/^ERROR/', 'an ERROR', false],
  ['/a\\/b/', 'x a/b y', true],
  // and, or, not, parentheses.
  ['a or b and c', 'a', true],
  ['(a or b) and c', 'a', false],
  ['not a and b', 'b', true],
  ['not (a or b)', 'c', true],
  // Fields.
  ['level:ERROR', JSON_LINE, true],
  ['level:error', JSON_LINE, false],
  ['level:(WARN or ERROR)', JSON_LINE, true],
  ['level:(not WARN)', JSON_LINE, true],
  ['level:ERR*', JSON_LINE, true],
  ['level:*R*R', JSON_LINE, true],
  ['level:RROR', JSON_LINE, false],
  ['level:*', JSON_LINE, true],
  ['missing:*', JSON_LINE, false],
  ['not missing:*', JSON_LINE, true],
  ['missing:x or level:ERROR', JSON_LINE, true],
  ['message ~ "time out"', JSON_LINE, true],
  ['message ~ /after \\d+ s$/', JSON_LINE, true],
  ['message ~ /^time/', JSON_LINE, false],
  ['path:/var/log/*', JSON_LINE, true],
  ['esc:ERROR*', JSON_LINE, true],
  ['esc ~ "\\ud83d\\ude00"', JSON_LINE, true],
  ['"@timestamp":2026-09-01', JSON_LINE, true],
  // Numbers and strings.
  ['status:500', JSON_LINE, true],
  ['status:5e2', JSON_LINE, true],
  ['status:"500"', JSON_LINE, true],
  ['status:50', JSON_LINE, false],
  ['status >= 500 and status < 600', JSON_LINE, true],
  ['status > 500', JSON_LINE, false],
  ['took:1.5', JSON_LINE, true],
  ['took ~ "1.50"', JSON_LINE, true],
  ['http.status <= 404', JSON_LINE, true],
  ['level > "A"', JSON_LINE, true],
  ['level > 5', '{"level":true}', false],
  ['ok:true', JSON_LINE, true],
  ['ok:1', JSON_LINE, false],
  // Paths, arrays, nulls, keys that stand twice.
  ['http.method:GET', JSON_LINE, true],
  ['http:*', JSON_LINE, true],
  ['http:GET', JSON_LINE, false],
  ['user.name:ada', JSON_LINE, true],
  ['tags:green', JSON_LINE, true],
  ['tags >= 7', JSON_LINE, true],
  ['tags:red', JSON_LINE, false],
  ['items.id:2', JSON_LINE, true],
  ['none:* or empty:* or nulls:*', JSON_LINE, false],
  ['twice:last', JSON_LINE, true],
  ['twice:first', JSON_LINE, false],
  // What is no JSON object has no fields, and that is no error.
  ['level:ERROR', 'level:ERROR', false],
  ['not level:ERROR', 'level:ERROR', true],
  ['level:ERROR', '{"level":"ERROR"', false],
  ['level:ERROR', '{"level":"ERROR"} {}', false],
  ['level:ERROR', '[{"level":"ERROR"}]', false],
  ['level:ERROR', null, false],
  // The record itself.
  ['@topic:app-*', '', true],
  ['@key:user-42', '', true],
  ['@key ~ /^user-\\d+$/', '', true],
  ['@partition:(3 or 4)', '', true],
  ['@offset >= 1200', '', true],
  ['@offset < 1200', '', false],
  ['@time >= 2026-09-01 and @time < 2026-09-02', '', true],
  ['@time >= 2026-09-01T14:00+01:00', '', false],
  ['@header.source:backup', '', true],
  ['@header.empty:*', '', true],
  ['@header.empty:"" or @header.empty ~ ""', '', false],
  ['@header.other:*', '', false],
]

test(`the language in ${EXAMPLES.length} examples`, () => {
  for (const [expression, value, kept] of EXAMPLES) {
    const record = { ...RECORD, value: value === null ? null : Buffer.from(value) }
    const { node } = parseExpression(expression)
    assert.equal(evaluate(node, record), kept, `${expression} on ${value}`)
  }
})

test('the add-on gives the same verdicts, as the expressions are planned', () => {
  const bridge = loadBridge(undefined)
  const headers = encodeHeaders(RECORD.headers)
  for (const [expression, value, kept] of EXAMPLES) {
    const plan = planProgram(parseExpression(expression).node, null)
    const judge = new FilterJudge(bridge, plan)
    const { key, topic, partition, offset, timestampMs } = RECORD
    const record = {
      value: value === null ? null : Buffer.from(value),
      key: key === null ? null : Buffer.from(key),
      headers,
      topic,
      partition,
      offset,
      timestampMs,
    }
    assert.equal(judge.keeps(record), kept, `${expression} on ${value}`)
    if (kept) assert.ok(!judge.isRejectedUnread(record), `${expression} on ${value}`)
    else assert.match(judge.whyDropped(record), /is not met$/, expression)
    judge.close()
  }
})
