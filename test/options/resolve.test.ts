/** Flag > environment > file > profile > default, and what each wrong value says. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { LogpipeError } from '../../src/core/errors.ts'
import { fieldOf, REDACTED, redactorOf } from '../../src/options/config.ts'
import { patternsOf } from '../../src/options/filter.ts'
import { nameOf } from '../../src/options/parse.ts'
import { parseValue } from '../../src/options/kinds.ts'
import { defaultOf, resolve } from '../../src/options/resolve.ts'
import type { Resolved } from '../../src/options/resolve.ts'
import type { CommandName } from '../../src/options/spec.ts'
import { ROWS } from '../../src/options/table.ts'

interface Sources {
  readonly command?: CommandName
  readonly env?: Record<string, string>
  /** Files by path. */
  readonly files?: Record<string, string>
}

function resolved(args: readonly string[], sources: Sources = {}): Resolved {
  const readText = (path: string) => {
    const text = sources.files?.[path]
    if (text === undefined) throw new LogpipeError('CONFIG_FILE', `cannot read ${path}`)
    return text
  }
  return resolve({ command: sources.command ?? 'run', args, env: sources.env ?? {}, readText })
}

function refusal(args: readonly string[], sources: Sources = {}): string {
  let message: string | undefined
  try {
    resolved(args, sources)
  } catch (error) {
    assert.ok(error instanceof LogpipeError, inspect(error))
    assert.equal(error.exitStatus, 2, error.message)
    assert.doesNotMatch(error.message, /\n/)
    message = error.message
  }
  assert.ok(message !== undefined, `not refused: ${args.join(' ')}`)
  return message
}

test('without anything given, every value is its default', () => {
  const { config, sources } = resolved([])
  for (const row of ROWS) {
    assert.deepEqual(config[fieldOf(row.env)], defaultOf(row), row.env)
    assert.deepEqual(sources.get(row.env as 'TOPIC'), { kind: 'default' })
  }
})

test('any mix of sources is won by the highest of them', () => {
  const texts = { flag: '101', environment: '102', file: '103', profile: '8192' }
  fc.assert(
    fc.property(
      fc.record({ f: fc.boolean(), e: fc.boolean(), c: fc.boolean(), p: fc.boolean() }),
      (has) => {
        const args = ['--config', 'x.yaml']
        if (has.f) args.push('--batch-msgs', texts.flag)
        if (has.p) args.push('--profile', 'aggressive')
        const { config, sources } = resolved(args, {
          env: has.e ? { BATCH_MSGS: texts.environment } : {},
          files: { 'x.yaml': has.c ? `batch-msgs: ${texts.file}\n` : '' },
        })
        const layers = [
          has.f && 'flag',
          has.e && 'environment',
          has.c && 'file',
          has.p && 'profile',
        ]
        const winner = layers.find((kind) => kind !== false) || 'default'
        assert.equal(sources.get('BATCH_MSGS')?.kind, winner)
        const text = winner === 'default' ? '256' : texts[winner as keyof typeof texts]
        assert.equal(config.batchMsgs, Number(text))
      },
    ),
  )
})

test('whatever is typed is taken or refused in one line that names it', () => {
  const typed = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.constantFrom('-1', '1e9', '1MiB', ':0', ''),
  )
  const rows = ROWS.filter(
    (row) => row.commands.includes('run') && row.kind !== 'switch' && row.env !== 'LOGPIPE_CONFIG',
  )
  fc.assert(
    fc.property(fc.constantFrom(...rows), typed, (row, text) => {
      const flag = `--${row.env.toLowerCase().replaceAll('_', '-')}`
      try {
        const { config } = resolved([`${flag}=${text}`])
        const single = parseValue(row, text)
        if (row.kind === 'pair') return
        assert.deepEqual(config[fieldOf(row.env)], row.repeatable === true ? [single] : single)
      } catch (error) {
        assert.ok(error instanceof LogpipeError, inspect(error))
        assert.equal(error.exitStatus, 2)
        assert.doesNotMatch(error.message, /\n/)
        assert.ok(error.message.includes(flag), error.message)
      }
    }),
    { numRuns: 500 },
  )
})

test('the error line names the option as it was typed, what came and what is allowed', () => {
  const yaml = { env: {}, files: { 'p.yaml': 'kafka-topic: logs\npool-size: many\n' } }
  for (const [message, args, sources] of [
    ['--pool-size: expected a whole number from 2 to 65536, got "abc"', ['--pool-size', 'abc'], {}],
    [
      'POOL_SIZE: expected a whole number from 2 to 65536, got "1"',
      [],
      { env: { POOL_SIZE: '1' } },
    ],
    [
      'p.yaml:2:1: pool-size: expected a whole number from 2 to 65536, got "many"',
      ['-c', 'p.yaml'],
      yaml,
    ],
    ['--mode: expected worker or direct, got "fast"', ['--mode', 'fast'], {}],
    [
      'FILTER_THREADS: expected a whole number from 1 to 256, got "0"',
      [],
      { env: { FILTER_THREADS: '0' } },
    ],
    [
      '--batch-bytes: expected a size in bytes from 1024 to 1073741824, ' +
        'such as 1048576, 1MiB or 16m, got "1 lot"',
      ['--batch-bytes', '1 lot'],
      {},
    ],
    [
      'ES_ENABLED: expected 1 or 0 (also true, false, yes, no, on, off), got "2"',
      [],
      { env: { ES_ENABLED: '2' } },
    ],
    [
      '--pattern-hex: expected pairs of hexadecimal digits, such as 0a00ff, got "abc"',
      ['--pattern-hex', 'abc'],
      {},
    ],
    [
      '--start: expected earliest, latest, -1h, a date, or a time with its zone, ' +
        'such as 2026-09-01T00:00Z, got "2026-09-01T00:00"',
      ['--start', '2026-09-01T00:00'],
      {},
    ],
    [
      '--run-seconds: expected a duration from 0 to 31536000 seconds, such as 30, 20s or 10m, ' +
        'got "1500ms"',
      ['--run-seconds', '1500ms'],
      {},
    ],
    [
      '--es-answer: expected an error type or a status, "=", and ' +
        'retry, hold, dead-letter, drop or duplicate, got "a=b"',
      ['--es-answer', 'a=b'],
      {},
    ],
    ['--control-token: expected text, got nothing', ['--control-token='], { command: 'control' }],
    [
      'c.yaml:1:1: worker-token: expected text, got nothing',
      ['-c', 'c.yaml'],
      { command: 'control', env: {}, files: { 'c.yaml': 'worker-token: ""\n' } },
    ],
    ['unknown option --patern of logpipe run (did you mean --pattern?)', ['--patern', 'x'], {}],
    ['unknown option --listen of logpipe run; see logpipe run --help', ['--listen', ':1'], {}],
    ['unknown option -x of logpipe run; see logpipe run --help', ['-x'], {}],
    ['--pattern needs a value', ['--pattern'], {}],
    [
      '--pattern needs a value; if --quiet is the value, write --pattern=--quiet',
      ['--pattern', '--quiet'],
      {},
    ],
    ['logpipe sync needs --worker-id (or WORKER_ID)', [], { command: 'sync' }],
    [
      '--output: expected stdout, file:PATH, none or elasticsearch, got "kafka"',
      ['-o', 'kafka'],
      {},
    ],
  ] as readonly (readonly [string, readonly string[], Sources])[]) {
    assert.equal(refusal(args, sources).replace(/^-o:/, '--output:'), message)
  }
})

test('all faults of a command line, a file and the environment are told at once', () => {
  const lines = (args: readonly string[], yaml: string, env: Record<string, string> = {}) => {
    try {
      resolve({ command: 'run', args: ['-c', 'p.yaml', ...args], env, readText: () => yaml })
    } catch (error) {
      assert(error instanceof LogpipeError)
      return error.lines
    }
    return []
  }
  const found = lines(
    ['--pol-size', '--start', 'soon', '--topic'],
    'topics: a\npool-size: many\nbatch-msgs: 0\n',
    { ES_URL: 'elastic' },
  )
  assert.deepEqual(
    found.map((line) => line.split(':')[0]),
    [
      'unknown option --pol-size of logpipe run (did you mean --pool-size?)',
      '--start',
      '--topic needs a value',
      'ES_URL',
      'p.yaml',
      'p.yaml',
      'p.yaml',
    ],
  )
  const together = lines(['--es-username', 'u', '--pool-size', '2'], '')
  assert.equal(together.length, 2, 'rules between options, too')
  const both = lines(['--start', 'soon', '--es-username', 'u'], 'pool-size: 2\nbatch-msgs: 0\n')
  assert.deepEqual(
    both.map((line) => line.replace(/: (expected|requires).*/, '')),
    ['--start', 'p.yaml:2:1: batch-msgs', 'p.yaml:1:1: pool-size', '--es-username'],
    'beside wrong values, those that are not about them',
  )
  const many = Array.from({ length: 30 }, (_, index) => `--wrong-${index}`)
  assert.equal(lines(many, '').at(-1), 'and 10 more')
})

test('flags may be written in each of the usual ways', () => {
  const { config } = resolved(['-iv', '-pA', '--pattern=B', '-p', '-C', '-q', '--no-es-enabled'])
  assert.deepEqual(config.matchPattern, ['A', 'B', '-C'])
  assert.ok(config.matchIgnoreCase && config.matchInvert && config.logQuiet && !config.esEnabled)
  assert.equal(
    resolved(['--ignore-case=0'], { env: { MATCH_IGNORE_CASE: '1' } }).config.matchIgnoreCase,
    false,
  )
  assert.deepEqual(resolved(['--', '--pattern', 'x']).operands, ['--pattern', 'x'])
  assert.equal(resolved(['--throughput', '-1'], { command: 'bench produce' }).config.throughput, -1)
})

test('an empty variable counts as none', () => {
  const { config } = resolved([], { env: { KAFKA_TOPIC: '', MATCH_PATTERN: '', ES_PASSWORD: '' } })
  assert.deepEqual(config.kafkaTopic, ['test'])
  assert.deepEqual(config.matchPattern, ['ERROR'])
})

test('one flag serves the option of its command', () => {
  assert.equal(resolved(['--topic', 'a'], { command: 'bench produce' }).config.topic, 'a')
  assert.deepEqual(resolved(['--topic', 'a,b']).config.kafkaTopic, ['a', 'b'])
  const bench = resolved([], { command: 'bench consume', env: { BENCH_PROFILE: 'aggressive' } })
  assert.equal(bench.config.batchMsgs, 8192)
  assert.equal(resolved([], { env: { BENCH_PROFILE: 'aggressive' } }).config.batchMsgs, 256)
})

test('durations are in the unit of the name, and a fraction of it is refused', () => {
  assert.equal(resolved(['--run-seconds', '10m']).config.runSeconds, 600)
  assert.equal(resolved(['--es-timeout-ms', '2s']).config.esTimeoutMs, 2000)
  assert.match(refusal(['--run-seconds', '1500ms']), /^--run-seconds: expected a duration/)
})

test('the output and ES_ENABLED are one thing, and a contradiction is refused', () => {
  assert.equal(
    resolved([], { env: { ES_ENABLED: '1' } }).config.pipelineOutput.kind,
    'elasticsearch',
  )
  assert.equal(resolved(['--output', 'elasticsearch']).config.esEnabled, true)
  assert.match(
    refusal(['--output', 'file:x'], { env: { ES_ENABLED: '1' } }),
    /^ES_ENABLED and --output contradict each other/,
  )
  assert.match(refusal(['--output', 'elasticsearch', '--no-es-enabled']), /contradict/)
  const off = resolved(['--es-enabled=0', '--output', 'none'], { env: { ES_ENABLED: '1' } })
  assert.equal(off.config.pipelineOutput.kind, 'none')
})

test('patterns in hex replace the default pattern and join those given as text', () => {
  const bytes = (args: readonly string[]) =>
    patternsOf(resolved(args).config).map((pattern) => Buffer.from(pattern).toString('latin1'))
  assert.deepEqual(bytes([]), ['ERROR'])
  assert.deepEqual(bytes(['--pattern-hex', 'FF 00']), ['\xff\0'])
  assert.deepEqual(bytes(['--pattern-hex', '41', '--pattern', 'é']), ['\xc3\xa9', 'A'])
  assert.deepEqual(bytes(['--pattern', '']), [])
  assert.match(refusal(['--pattern', 'a\uFFFD']), /valid UTF-8/)
})

test('librdkafka properties merge by name, the later source winning', () => {
  const { config, properties } = resolved(
    ['--profile', 'aggressive', '--kafka-config', 'fetch.max.bytes=3', '-c', 'x.yaml'],
    {
      env: { KAFKA_CONFIG_SSL_CA_LOCATION: '/ca', KAFKA_CONFIG: 'client.id=e\nclient.rack=r' },
      files: { 'x.yaml': 'kafka-config: { client.id: f, security.protocol: ssl }\n' },
    },
  )
  const merged = new Map(config.kafkaConfig)
  assert.equal(merged.size, config.kafkaConfig.length)
  assert.equal(merged.get('fetch.max.bytes'), '3')
  assert.equal(merged.get('client.id'), 'e')
  assert.equal(merged.get('client.rack'), 'r')
  assert.equal(merged.get('security.protocol'), 'ssl')
  assert.equal(merged.get('ssl.ca.location'), '/ca')
  assert.equal(merged.get('fetch.queue.backoff.ms'), '1')
  const named = properties.find(({ name }) => name === 'ssl.ca.location')
  assert.equal(named && nameOf(named.source), 'KAFKA_CONFIG_SSL_CA_LOCATION')
})

test('librdkafka gets properties in the order of their last mention, for aliases', () => {
  const { properties } = resolved([
    '--profile=aggressive',
    '--kafka-config=max.partition.fetch.bytes=9',
    '--kafka-config=fetch.message.max.bytes=5',
  ])
  assert.deepEqual(
    properties.slice(-2).map(({ name }) => name),
    ['max.partition.fetch.bytes', 'fetch.message.max.bytes'],
  )
})

test('properties that cannot work are refused by name, saying what to use', () => {
  const property = (...pairs: string[]) =>
    refusal(pairs.flatMap((pair) => ['--kafka-config', pair]))
  assert.equal(property('group.id=x'), '--kafka-config: group.id is set by logpipe; use --group')
  assert.match(property('enable.auto.commit=true'), /is set by logpipe/)
  assert.match(property('bootstrap.servers=x'), /use --brokers/)
  assert.equal(
    property('fetch.max.byte=1'),
    '--kafka-config: librdkafka has no property "fetch.max.byte" (did you mean fetch.max.bytes?)',
  )
  assert.match(
    property('sasl.mechanism=GSSAPI'),
    /Kerberos\) is not supported by logpipe; use PLAIN, SCRAM/,
  )
  assert.match(property('security.protocol=sasl_ssl'), /needs sasl\.mechanism=PLAIN/)
  assert.match(
    property('sasl.mechanisms=MD5'),
    /expected PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER/,
  )
  assert.match(
    property('group.protocol=consumer', 'session.timeout.ms=1'),
    /the broker decides session\.timeout\.ms; remove it/,
  )
  assert.match(property('novalue'), /expected NAME=VALUE, got "novalue"/)
  assert.match(
    refusal([], { env: { KAFKA_CONFIG_GROUP_ID: 'x' } }),
    /^KAFKA_CONFIG_GROUP_ID: group\.id is set by logpipe/,
  )
})

test('a secret is left out of a text whoever quotes it, as given and as sent', () => {
  const { config } = resolved(['--kafka-config', 'sasl.password=kafka "word"'], {
    env: {
      ES_URL: 'https://us%40er:pass%2Fword@es.example:9200',
      HTTPS_PROXY: 'http://proxy-user:proxy-word@proxy:3128',
      KAFKA_CONFIG_SASL_USERNAME: 'logpipe',
    },
  })
  const redact = redactorOf(config)
  for (const text of [
    'pass%2Fword',
    'pass/word',
    `Basic ${btoa('us@er:pass/word')}`,
    'proxy-word',
    'kafka "word"',
    JSON.stringify('kafka "word"'),
    'http://anybody:unknown@host',
  ]) {
    const said = redact(`before ${text} behind`)
    assert.match(said, /^before .*\(secret\).* behind$/)
    assert.doesNotMatch(said, /word|unknown|dXNA/)
  }
  assert.equal(redact('logpipe: proxy-user of es.example'), 'logpipe: proxy-user of es.example')
  const workers = resolve({
    command: 'sync',
    args: ['--worker-id=w', '--control-plane-url=http://user:url-password@control:8088'],
    env: { WORKER_TOKEN: 'new-token-of-it,old-token-of-it' },
  }).config
  assert.equal(redactorOf(workers)('url-password'), REDACTED)
  assert.equal(redactorOf(workers)('old-token-of-it'), REDACTED)
})

test('secrets come from variables, flags and files, and are never printed', () => {
  const files = { '/run/password': 'hunter2\n', '/run/sasl': 'hunter3\n', '/empty': '' }
  const { config } = resolved(['--kafka-config', 'sasl.password.file=/run/sasl'], {
    files,
    env: {
      ES_PASSWORD_FILE: '/run/password',
      ES_USERNAME: 'elastic',
      KAFKA_CONFIG_SSL_KEY_PASSWORD: 'hunter4',
    },
  })
  assert.equal(config.esPassword, 'hunter2')
  assert.equal(new Map(config.kafkaConfig).get('sasl.password'), 'hunter3')
  const withUrl = resolved(['--es-url', 'http://u:hunter5@h:9200']).config
  for (const printed of [
    inspect(config, { depth: 9 }),
    JSON.stringify(config),
    JSON.stringify({ config }),
    inspect(withUrl),
  ]) {
    assert.doesNotMatch(printed, /hunter/)
    assert.ok(printed.includes(REDACTED))
  }
  // What a thread receives is the values themselves.
  assert.equal(structuredClone({ ...config }).esPassword, 'hunter2')
  assert.equal(structuredClone(config).esPassword, 'hunter2')
  assert.match(
    refusal([], { files, env: { ES_PASSWORD: 'x', ES_PASSWORD_FILE: '/run/password' } }),
    /both set ES_PASSWORD/,
  )
  assert.match(refusal([], { files, env: { ES_PASSWORD_FILE: '/empty' } }), /\/empty is empty/)
  assert.match(refusal([], { env: { ES_API_KEY_FILE: '/none' } }), /cannot read \/none/)
  assert.match(refusal(['--es-url', 'http://u:hunter5@h?x']), /got "http:\/\/\(secret\)@h\?x"$/)
  assert.match(refusal(['--es-url', 'http://u:hun/ter@h']), /got "http:\/\/\(secret\)@h"$/)
  assert.match(
    refusal(['--kafka-config', 'sasl.password:hunter6']),
    /got "sasl\.password" and no "="$/,
  )
})

test('the configuration is frozen, also inside', () => {
  const { config } = resolved([])
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.kafkaTopic))
  assert.ok(Object.isFrozen(config.pipelineOutput))
})
