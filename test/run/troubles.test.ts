/** What is wrong with a pipeline, and since when. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'
import { TROUBLES_MAX } from '../../src/core/trouble.ts'
import { Troubles } from '../../src/run/troubles.ts'

const WELL = {
  groupFault: null,
  canReachKafka: true,
  waiting: [],
  stuck: [],
  sink: { troubles: [] },
}

test('each trouble keeps the moment of its first sighting, until it is gone', () => {
  const clock = new ManualClock()
  const troubles = new Troubles(clock, (text) => text)
  const startMs = clock.wallMs()
  const at = (ms: number) => new Date(startMs + ms).toISOString()
  const down = (text: string) => ({
    ...WELL,
    sink: { troubles: [{ kind: 'elasticsearch_down' as const, place: null, text }] },
  })
  assert.deepEqual(troubles.look(WELL), [])
  clock.advance(1000)
  assert.deepEqual(troubles.look(down('refused')), [
    { kind: 'elasticsearch_down', place: null, text: 'refused', since: at(1000) },
  ])
  clock.advance(5000)
  assert.equal(troubles.look(down('reset'))[0]?.since, at(1000), 'other words, the same trouble')
  assert.deepEqual(troubles.look(WELL), [])
  clock.advance(1000)
  assert.equal(troubles.look(down('refused'))[0]?.since, at(7000), 'it came back')
})

test('two indices are two troubles, and a stuck partition names its place', () => {
  const troubles = new Troubles(new ManualClock(), (text) => text)
  const waits = (index: string) => ({ kind: 'index_waits' as const, place: index, text: 'closed' })
  const stuck = { topic: 'app', partition: 3, offset: 7, canSkip: true, isDue: false }
  const found = troubles.look({
    ...WELL,
    stuck: [{ ...stuck, reason: 'bad CRC' }],
    sink: { troubles: [waits('a'), waits('b')] },
  })
  assert.deepEqual(
    found.map(({ kind, place, text }) => [kind, place, text]),
    [
      ['index_waits', 'a', 'closed'],
      ['index_waits', 'b', 'closed'],
      ['partition_stuck', 'app [3]', 'app [3] is stuck at offset 7: bad CRC'],
    ],
  )
})

test('a start that joins its group is no trouble, one that does not join is', () => {
  const clock = new ManualClock()
  const troubles = new Troubles(clock, (text) => text)
  const groupFault = 'the group has not assigned partitions to this process yet'
  const joining = { ...WELL, groupFault }
  assert.deepEqual(troubles.look(joining), [])
  clock.advance(15_000)
  assert.equal(troubles.look(joining)[0]?.kind, 'kafka_group')
})

test("a server's words are one printable line without secrets, and bounded in number", () => {
  const troubles = new Troubles(new ManualClock(), (text) => text.replaceAll('hunter2', '***'))
  const sink = {
    troubles: Array.from({ length: 40 }, (_, index) => ({
      kind: 'index_waits' as const,
      place: `index-${index}`,
      text: `user:hunter2\n\u001B[31m${'x'.repeat(9999)}`,
    })),
  }
  const found = troubles.look({ ...WELL, sink })
  assert.equal(found.length, TROUBLES_MAX)
  assert.match(found[0]?.text ?? '', /^user:\*\*\*\\n\\u001b\[31mx+$/)
  assert.equal(found[0]?.text.length, 500)
})
