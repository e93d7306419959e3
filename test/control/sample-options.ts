/** A few options in the shape of the real table, for tests of what is built from it. */
import type { FieldOption, FieldRow } from '../../src/control/pipeline-fields.ts'
import { parseBytes, parseDurationMs } from '../../src/core/units.ts'

const base = {
  scope: 'remote',
  commands: ['run'],
  group: 'kafka',
  short: 'An option.',
  long: 'What it costs.',
} as const

const ROWS: readonly FieldRow[] = [
  { ...base, env: 'RUN_SECONDS', kind: 'duration', default: '20' },
  { ...base, env: 'KAFKA_BROKERS', kind: 'addresses', default: '127.0.0.1:29092' },
  { ...base, env: 'KAFKA_TOPIC', kind: 'topics', default: 'test' },
  { ...base, env: 'KAFKA_GROUP_ID', kind: 'string', default: 'rust-main-g1' },
  { ...base, env: 'KAFKA_CONFIG', kind: 'pair', default: null, scope: 'local' },
  { ...base, env: 'BRIDGE_LIB', kind: 'path', default: null, scope: 'local' },
  { ...base, env: 'PIPELINE_OUTPUT', kind: 'output', default: 'stdout', scope: 'local' },
  { ...base, env: 'MATCH_PATTERN', kind: 'literal', default: 'ERROR', repeatable: true },
  { ...base, env: 'ES_ENABLED', kind: 'switch', default: '0' },
  { ...base, env: 'ES_URL', kind: 'urls', default: 'http://localhost:9200' },
  { ...base, env: 'ES_INDEX', kind: 'string', default: 'logs-filtered' },
  { ...base, env: 'ES_PIPELINE', kind: 'string', default: '' },
  { ...base, env: 'ES_USERNAME', kind: 'string', default: null },
  { ...base, env: 'ES_PASSWORD', kind: 'string', default: null, secret: true },
  { ...base, env: 'ES_API_KEY', kind: 'string', default: null, secret: true },
  { ...base, env: 'ES_BULK_BYTES', kind: 'bytes', default: '16777216', min: 1024, max: 2 ** 30 },
  { ...base, env: 'ES_DROP_WHEN_FULL', kind: 'switch', default: '0' },
  { ...base, env: 'POOL_SIZE', kind: 'count', default: '256', min: 2, max: 4096 },
  {
    ...base,
    env: 'COMMIT_ON',
    kind: 'choice',
    choices: ['index', 'spill'],
    default: 'index',
  },
]

export const SAMPLE_OPTIONS: readonly FieldOption[] = ROWS.map((row) => ({
  row,
  parse: (text) => parse(row, text),
  expected: row.min === undefined ? `a ${row.kind}` : `a ${row.kind} from ${row.min} to ${row.max}`,
}))

function parse(row: FieldRow, text: string): unknown {
  const within = (value: number | undefined) =>
    value !== undefined && value >= (row.min ?? 0) && value <= (row.max ?? Infinity)
      ? value
      : undefined
  switch (row.kind) {
    case 'switch':
      return new Map([
        ['1', true],
        ['0', false],
      ]).get(text)
    case 'count':
      return within(/^\d+$/.test(text) ? Number(text) : undefined)
    case 'bytes':
      return within(parseBytes(text))
    case 'duration':
      return parseDurationMs(text)
    case 'choice':
      return row.choices?.find((choice) => choice === text)
    case 'urls':
      return /^https?:\/\//.test(text) ? [text] : undefined
    case 'topics':
    case 'addresses':
      return text === '' ? undefined : [text]
    default:
      return text
  }
}
