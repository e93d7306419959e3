/** The table keeps the promises that its loops rely on. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fieldOf } from '../../src/options/config.ts'
import { parseValue } from '../../src/options/kinds.ts'
import { PROFILES } from '../../src/options/profiles.ts'
import { COMMAND_NAMES, flagOf, GROUPS, namesOf } from '../../src/options/spec.ts'
import type { CommandName } from '../../src/options/spec.ts'
import { ROWS } from '../../src/options/table.ts'

const repeated = (names: readonly string[]) => [
  ...new Set(names.filter((name, index) => names.indexOf(name) !== index)),
]

test('no two options have the same variable', () => {
  assert.deepEqual(repeated(ROWS.flatMap((row) => [row.env, ...(row.envAliases ?? [])])), [])
  assert.deepEqual(repeated(ROWS.map((row) => fieldOf(row.env))), [])
})

test('within a command no two options have the same flag or letter', () => {
  for (const command of COMMAND_NAMES) {
    const rows = ROWS.filter((row) => row.commands.includes(command))
    const flags = rows.flatMap((row) => [
      ...namesOf(row),
      ...(row.secret === true ? [`${flagOf(row.env)}-file`] : []),
    ])
    assert.deepEqual(repeated(flags), [], command)
    assert.deepEqual(repeated(rows.flatMap((row) => row.letter ?? [])), [], command)
  }
})

test('flags and variables are spelled as flags and variables are', () => {
  for (const row of ROWS) {
    assert.match(row.env, /^[A-Z][A-Z0-9_]+$/)
    for (const name of namesOf(row)) assert.match(name, /^[a-z][a-z0-9-]+$/)
    // --no-X is the negation of the switch X.
    if (row.kind === 'switch' && row.env !== 'NO_COMMIT') assert.doesNotMatch(row.env, /^NO_/)
    if (row.letter !== undefined) assert.match(row.letter, /^[a-z]$/)
  }
})

test('h is no option of its own, because it asks for the help', () => {
  assert.ok(ROWS.every((row) => row.letter !== 'h' && !namesOf(row).includes('help')))
})

test('options other than switches name what their value is, and switches do not', () => {
  for (const row of ROWS) assert.equal(row.variable === undefined, row.kind === 'switch', row.env)
})

test('choices belong to the kind choice alone, and the bounds to kinds with a size', () => {
  for (const row of ROWS) {
    assert.equal(row.choices !== undefined, row.kind === 'choice', row.env)
    const sized = ['count', 'bytes', 'duration', 'share'].includes(row.kind)
    assert.equal(row.min !== undefined && row.max !== undefined, sized, row.env)
  }
})

test('each default is one of its values, and each null says what it means', () => {
  for (const row of ROWS) {
    if (row.default === null) {
      assert.ok(row.defaultText, row.env)
    } else {
      assert.notEqual(parseValue(row, row.default), undefined, row.env)
    }
  }
})

test('each duration says its unit at the end of its name', () => {
  for (const row of ROWS) {
    if (row.kind === 'duration') assert.match(row.env, /_(MS|SECONDS)$/)
  }
})

test('the one-line description is one line with a full stop', () => {
  for (const row of ROWS) {
    assert.ok(row.short.length <= 72, `${row.env}: ${row.short.length} columns`)
    assert.ok(row.short.endsWith('.'), row.env)
    assert.ok(row.long.endsWith('.') && !row.long.includes('\n'), row.env)
  }
})

test('rows of a group stand together, in the order of the groups', () => {
  const order = ROWS.map((row) => Object.keys(GROUPS).indexOf(row.group))
  assert.deepEqual(
    order,
    order.toSorted((left, right) => left - right),
  )
})

test('paths, programs and listen addresses are never set by the control plane', () => {
  for (const row of ROWS) {
    if (['path', 'address', 'output', 'letters'].includes(row.kind)) {
      assert.equal(row.scope, 'local', row.env)
    }
  }
})

test('check takes every option of run, so that it can say what run would do', () => {
  for (const row of ROWS) {
    const commands: readonly CommandName[] = row.commands
    assert.ok(!commands.includes('run') || commands.includes('check'), row.env)
  }
})

test('every profile names options within their bounds', () => {
  for (const profile of Object.values(PROFILES)) {
    for (const [env, text] of Object.entries(profile.options)) {
      const row = ROWS.find((each) => each.env === env)
      assert.ok(row !== undefined && parseValue(row, text) !== undefined, env)
    }
  }
})

test('what the contract fixes is what the table says', () => {
  const text = Object.fromEntries(ROWS.map((row) => [row.env, row.default]))
  for (const [env, value] of Object.entries({
    PIPELINE_MODE: 'worker',
    RUST_WORKERS: '8',
    INGRESS_THREADS: '2',
    BATCH_PULL_SIZE: '128',
    TASK_QUEUE_CAP: '4096',
    MATCH_PATTERN: 'ERROR',
    RUN_SECONDS: '20',
    PRODUCT_LINE: 'query',
    ES_ENABLED: '0',
    ES_URL: 'http://localhost:9200',
    ES_INDEX: 'logs-filtered',
    ES_PIPELINE: '',
    ES_BULK_ACTIONS: '5000',
    ES_BULK_BYTES: '16777216',
    ES_BULK_FLUSH_MS: '100',
    ES_QUEUE_CAP: '200000',
    ES_QUEUE_BYTES: '268435456',
    ES_DROP_WHEN_FULL: '0',
    ES_SPILL_PATH: 'data/es_spill.bin',
    ES_SPILL_MAX_BYTES: '4294967296',
    ES_TIMEOUT_MS: '3000',
    KAFKA_BROKERS: '127.0.0.1:29092',
    KAFKA_TOPIC: 'test',
    KAFKA_GROUP_ID: 'rust-main-g1',
    POOL_SIZE: '256',
    BUFFER_BYTES: '1048576',
    BATCH_BYTES: '262144',
    BATCH_MSGS: '256',
    OVERFLOW_DROP_NEWEST: '0',
    CONTROL_LISTEN: '0.0.0.0:8088',
    CONTROL_DB_PATH: 'data/control.db',
    RUNTIME_METRICS_PATH: 'data/runtime_metrics.json',
    CONTROL_PLANE_URL: 'http://127.0.0.1:8088',
    WORKER_ID: null,
    WORKER_POLL_MS: '1000',
    MAX_UNRESOLVED: '1000000',
    REVOKE_DRAIN_MS: '10000',
  })) {
    assert.equal(text[env], value, env)
  }
})

/** Read while the options themselves are resolved. */
const READ_BY_RESOLVER = ['LOGPIPE_CONFIG', 'PIPELINE_PROFILE', 'BENCH_PROFILE']

/** Not read yet; a row leaves the list when the part that reads it lands. */
const READ_LATER: readonly string[] = [
  'RUN_SECONDS',
  'SHUTDOWN_DEADLINE_MS',
  'KAFKA_START',
  'BRIDGE_LIB',
  'NO_COMMIT',
  'MATCH_IGNORE_CASE',
  'MATCH_INVERT',
  'PIPELINE_FORMAT',
  'OUTPUT_ROTATE_BYTES',
  'OUTPUT_ROTATE_KEEP',
  'ES_INDEX',
  'ES_PIPELINE',
  'ES_BULK_FLUSH_MS',
  'ES_TIMEOUT_MS',
  'ES_TIMEOUT_MAX_MS',
  'ES_COMPRESSION',
  'ES_CA_FILE',
  'ES_PROXY',
  'HTTPS_PROXY',
  'HTTP_PROXY',
  'NO_PROXY',
  'BATCH_PULL_SIZE',
  'TASK_QUEUE_CAP',
  'OVERFLOW_DROP_NEWEST',
  'LOG_QUIET',
  'LOG_FORMAT',
  'LOG_LEVEL',
  'RUNTIME_METRICS_PATH',
  'DEMO_RATE',
  'DEMO_ERROR_SHARE',
  'BENCH_RECORDS',
  'BENCH_JSON',
  'NUM_RECORDS',
  'RECORD_SIZE',
  'THROUGHPUT',
  'BENCH_MATCH_SHARE',
  'BENCH_PARTITIONS',
  'BENCH_COMPRESSION',
]

test('every option is read somewhere', () => {
  const code = globSync('src/**/*.ts', { exclude: (name) => name === 'src/options/table.ts' })
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n')
  const unread = ROWS.map((row) => row.env)
    .filter((env) => ![...READ_BY_RESOLVER, ...READ_LATER].includes(env))
    .filter((env) => !new RegExp(`\\b${fieldOf(env)}\\b`).test(code))
  assert.deepEqual(unread, [])
})

test('whatever is said names an option as the help does', () => {
  const first = new Set(ROWS.map((row) => namesOf(row)[0]))
  const flags = ROWS.flatMap((row) => namesOf(row).slice(1)).filter((name) => !first.has(name))
  const variables = ROWS.flatMap(({ env, envShown }) => (envShown === undefined ? [] : [env]))
  assert.ok(flags.includes('kafka-brokers'))
  assert.deepEqual(variables, ['RUST_WORKERS'])
  const others = [
    ...flags.map((name) => new RegExp(`--${name}(?![\\w-])`)),
    // In quotes it is the name by which the code knows it.
    ...variables.map((name) => new RegExp(`\\b(?<!')${name}\\b`)),
  ]
  const faults = globSync('src/**/*.{ts,tsx}').flatMap((file) => {
    const said = readFileSync(file, 'utf8').replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '')
    return others.filter((name) => name.test(said)).map((name) => `${file}: ${name.source}`)
  })
  assert.deepEqual(faults, [])
})
