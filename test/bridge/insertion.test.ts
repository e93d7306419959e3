/** What is inserted into librdkafka's sources: once, where it belongs, or not at all. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { insertInto } from '../../src/bridge/librdkafka/insert.mjs'

const SOURCES = path.join(
  import.meta.dirname,
  '../../node_modules/@confluentinc/kafka-javascript/deps/librdkafka/src',
)
const FILES = [
  'rdkafka.h',
  'rdkafka_conf.h',
  'rdkafka_conf.c',
  'rdkafka_msgset_reader.c',
  'rdkafka_admin.c',
  'rdkafka_broker.c',
  'rdkafka_zstd.c',
  'rdkafka_partition.c',
  'rdkafka_topic.c',
]

function copyOfSources(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'insertion-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const file of FILES) cpSync(path.join(SOURCES, file), path.join(folder, file))
  return folder
}

const textsOf = (folder: string) =>
  FILES.map((file) => readFileSync(path.join(folder, file), 'utf8'))

test('set-up has made the insertions, and a second call changes nothing', (t) => {
  const folder = copyOfSources(t)
  const before = textsOf(folder)
  insertInto(folder)
  assert.deepEqual(textsOf(folder), before)
  assert.match(before[3]!, /return rd_kafka_msgset_reader_batch_v2\(msetr\);/)
  assert.match(before[6]!, /out_bufsize = RD_MIN\(\n +rd_kafka_zstd_bound\(/)
  assert.match(before[7]!, /rd_kafka_enq_once_trigger\(eonce, .*, "first query"\);/)
  assert.match(before[8]!, /rktp->rktp_leader_epoch = -1;\n +rd_kafka_toppar_unlock\(rktp\);/)
  assert.match(before[5]!, /madvise\(.*\n.*\n.*MADV_HUGEPAGE\)/)
})

test('an earlier insertion gives way to the present one', (t) => {
  const folder = copyOfSources(t)
  const before = textsOf(folder)
  const file = path.join(folder, 'rdkafka_conf.h')
  const text = before[1]!.replace('        int whole_batches;\n', '        int other_name;\n')
  writeFileSync(file, text)
  insertInto(folder)
  assert.deepEqual(textsOf(folder), before)
})

test('a librdkafka with other anchors is refused by name, and left as it was', (t) => {
  for (const [from, to] of [
    ['int check_crcs;', 'int check_crc;'],
    ['        int check_crcs;\n', '        int check_crcs;\n        int check_crcs;\n'],
  ] as const) {
    const folder = copyOfSources(t)
    const file = path.join(folder, 'rdkafka_conf.h')
    writeFileSync(file, readFileSync(file, 'utf8').replace(from, to))
    const before = textsOf(folder)
    assert.throws(() => insertInto(folder), /rdkafka_conf\.h .*"int check_crcs;" [02] times/)
    assert.deepEqual(textsOf(folder), before)
  }
})
