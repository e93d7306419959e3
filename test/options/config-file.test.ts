/** What a config file may say, and how its mistakes are named. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { LogpipeError } from '../../src/core/errors.ts'
import { parseConfigFile } from '../../src/options/config-file.ts'
import { readSmallFile, SMALL_FILE_BYTES_MAX } from '../../src/core/small-file.ts'

const texts = (yaml: string) =>
  parseConfigFile('run', 'p.yaml', yaml).map((given) => [given.spec.env, given.text])

function fault(yaml: string): string {
  try {
    parseConfigFile('run', 'p.yaml', yaml)
  } catch (error) {
    assert.ok(error instanceof LogpipeError, String(error))
    assert.equal(error.exitStatus, 2)
    return error.message
  }
  return 'no fault'
}

test('scalars are taken as they are typed', () => {
  assert.deepEqual(texts('pool-size: 0064\nes-enabled: yes\nbuffer-bytes: 1MiB\npattern: "1e3"'), [
    ['POOL_SIZE', '0064'],
    ['ES_ENABLED', 'yes'],
    ['BUFFER_BYTES', '1MiB'],
    ['MATCH_PATTERN', '1e3'],
  ])
})

test('lists serve what may be repeated and what is comma separated', () => {
  assert.deepEqual(texts('pattern: [A, "B,C"]\nbrokers:\n  - a:1\n  - b:2\n'), [
    ['MATCH_PATTERN', 'A'],
    ['MATCH_PATTERN', 'B,C'],
    ['KAFKA_BROKERS', 'a:1,b:2'],
  ])
})

test('properties may be a map or a list of pairs', () => {
  const pairs = [
    ['KAFKA_CONFIG', 'client.id=x'],
    ['KAFKA_CONFIG', 'client.rack=y=z'],
  ]
  assert.deepEqual(texts('kafka-config: { client.id: x, client.rack: y=z }'), pairs)
  assert.deepEqual(texts('kafka-config: [client.id=x, client.rack=y=z]'), pairs)
})

test('anchors work, and an empty file says nothing', () => {
  assert.deepEqual(texts('topic: &t logs\ngroup: *t\n'), [
    ['KAFKA_TOPIC', 'logs'],
    ['KAFKA_GROUP_ID', 'logs'],
  ])
  for (const empty of ['', '\n', '# only a comment\n', '---\n']) assert.deepEqual(texts(empty), [])
})

test('keys of other commands are checked and left alone', () => {
  assert.deepEqual(texts('worker-id: w\ncontrol-listen: ":1"\ntopic: t\n'), [['KAFKA_TOPIC', 't']])
  assert.match(fault('control-listen: nowhere'), /^p\.yaml:1:1: control-listen: expected HOST:PORT/)
})

test('every mistake is named with its place', () => {
  for (const [yaml, message] of [
    ['topic: a\n  bad: [', /^p\.yaml:\d+:\d+: \S/],
    ['topic: a\ntopic: b\n', /^p\.yaml:2:1: this option is set twice: keep one$/],
    ['topic:\n\tb', /^p\.yaml:2:1: a tab indents this line: use spaces/],
    ['pattern: *x', /^p\.yaml:1:10: "\*" begins an alias in YAML: put the value in quotes$/],
    [
      'keep: "health" and level:ERROR',
      /^p\.yaml:1:16: this cannot stand here; .* in quotes, as keep: '"health" and level:ERROR'$/,
    ],
    ['drop: @topic:x\n', /^p\.yaml:1:7: .*: put it in quotes, as drop: '@topic:x'$/],
    ['keep: a ~ \'x\' and b ~ "c: d"', /in quotes, as keep: 'a ~ ''x'' and b ~ "c: d"'$/],
    ['pattern: "\\d"', /^p\.yaml:1:11: in double quotes/],
    [
      '\nkafka-topics: a\n',
      /^p\.yaml:2:1: unknown key "kafka-topics" \(did you mean kafka-topic\?\)$/,
    ],
    ['pool-size: [1, 2]', /^p\.yaml:1:12: pool-size takes one value, not a list$/],
    ['pool-size: {a: 1}', /^p\.yaml:1:12: pool-size takes a value, not a map$/],
    ['pattern: [[a]]', /^p\.yaml:1:11: pattern takes strings/],
    ['topic:\n', /^p\.yaml:1:1: topic has no value$/],
    ['- a\n', /^p\.yaml:1:1: expected a map of options/],
    ['just text', /^p\.yaml:1:1: expected a map of options/],
    ['config: other.yaml', /^p\.yaml:1:1: config cannot be set in a config file$/],
    ['? [a]\n: b\n', /^p\.yaml:1:3: unknown key ""/],
  ] as const) {
    assert.match(fault(yaml), message, yaml)
  }
})

test('an empty text in quotes is a value', () => {
  assert.deepEqual(texts('pattern: ""'), [['MATCH_PATTERN', '']])
})

test('whatever a file holds, it is read or refused in one line', () => {
  const piece = fc.constantFrom(
    'topic',
    ': ',
    '\n',
    '- ',
    '[',
    '{',
    '"',
    '&a ',
    '*a',
    '#',
    '%',
    '\t',
    '!!',
  )
  fc.assert(
    fc.property(
      fc.array(fc.oneof(piece, fc.string({ maxLength: 5 })), { maxLength: 20 }),
      (parts) => {
        assert.doesNotMatch(fault(parts.join('')), /\n/)
      },
    ),
  )
})

test('a file that cannot be read, is too large or no text says so', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'x')
  const says = (text: RegExp) =>
    assert.throws(
      () => readSmallFile(file),
      (error) => error instanceof LogpipeError && text.test(error.message),
    )
  says(/^cannot read .*x: no such file or directory$/)
  writeFileSync(file, Buffer.from([0xff, 0xfe, 0x00]))
  says(/is not UTF-8 text$/)
  writeFileSync(file, Buffer.alloc(SMALL_FILE_BYTES_MAX + 1, 'a'))
  says(/is larger than 1 MiB$/)
  writeFileSync(file, 'ok')
  assert.equal(readSmallFile(file), 'ok')
  assert.throws(() => readSmallFile(folder), /: it is a folder$/)
  // Root may read everything, so this part says something for other users only.
  chmodSync(file, 0)
  if (process.getuid?.() !== 0) says(/permission denied$/)
})
