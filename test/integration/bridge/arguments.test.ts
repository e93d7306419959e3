import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bridge, openConsumer, openMock, Rig } from './rig.ts'

test('every function refuses wrong arguments and closed ids', (t) => {
  const mock = openMock(t)
  const rig = new Rig(t, { slotCount: 2, bufferBytes: 1024, recordsMax: 8 })
  const consumer = openConsumer(t, mock)
  const matcher = bridge.matcherOpen({ patterns: [], ignoreCase: false, invertMatch: false })
  t.after(() => bridge.matcherClose(matcher))
  const { pool } = rig
  const gone = 999_999
  const limits = { recordsMax: 8, bytesMax: 1024, pullMax: 8, timeoutMs: 0, heldMax: 1024 }
  const place = { topic: 't', partition: 0, offset: 0 }
  const shape = { slotCount: 1, bufferBytes: 64, recordsMax: 1 }
  const literal = { patterns: [], ignoreCase: false, invertMatch: false }
  const headers = new Uint8Array(0)
  const record = [null, null, headers, 't', 0, 0, 0]
  const loop = {
    config: [],
    topic: 't',
    pattern: Buffer.from('a'),
    isRaw: false,
    recordsMax: 1,
    secondsMax: 0,
    consumers: 1,
  }
  const places = [
    [[null]],
    [[{}]],
    ['t'],
    [[{ ...place, topic: '' }]],
    [[{ ...place, topic: 't\0x' }]],
    [[{ ...place, partition: -1 }]],
    [[{ ...place, partition: 0.5 }]],
    [[{ ...place, offset: Number.NaN }]],
    [[{ ...place, offset: -9999 }]],
    [[{ ...place, offset: 2 ** 60 }]],
    [[{ ...place, leaderEpoch: -2 }]],
    [[{ ...place, metadata: 'a\0b' }]],
  ]
  const timed = [...places.map(([rows]) => [rows, 0]), [[place], -1], [[place], 1e9], [[place]]]
  const fields = bridge.fieldsOpen([['a']])
  t.after(() => bridge.fieldsClose(fields))
  /** For each function, argument lists that must throw, each in its own way. */
  const wrong: Record<string, unknown[][]> = {
    version: [[1]],
    tuneAllocator: [[1]],
    poolOpen: [
      [],
      [new ArrayBuffer(65_536), shape],
      [{}, shape],
      [null, shape],
      [new Uint8Array(new SharedArrayBuffer(65_536)), shape],
      [new SharedArrayBuffer(64), shape],
      [new SharedArrayBuffer(65_536), null],
      [new SharedArrayBuffer(65_536), { ...shape, slotCount: 0 }],
      [new SharedArrayBuffer(65_536), { ...shape, slotCount: 1000 }],
      [new SharedArrayBuffer(65_536), { ...shape, bufferBytes: 2 ** 31 }],
      [new SharedArrayBuffer(65_536), { ...shape, recordsMax: '1' }],
    ],
    poolClose: [[], [gone], ['1'], [0], [1.5], [null], [{}]],
    poolBytes: [[], [gone], ['1'], [-1], [pool, 1]],
    consumerOpen: [
      [],
      [null],
      [{}],
      [{ config: {}, topics: [] }],
      [{ config: [['a']], topics: [] }],
      [{ config: [['a', 1]], topics: [] }],
      [{ config: [['no.such.property', '1']], topics: [] }],
      [{ config: [['fetch.wait.max.ms', 'many']], topics: [] }],
      [{ config: [], topics: [] }],
      [{ config: [['group.id', 'g']], topics: [1] }],
      [{ config: [['group.id', 'g']], topics: ['\0'] }],
    ],
    consumerFill: [
      [],
      [gone, pool, 0, limits],
      [consumer, gone, 0, limits],
      [consumer, pool, -1, limits],
      [consumer, pool, 2, limits],
      [consumer, pool, 0.5, limits],
      [consumer, pool, 0, null],
      [consumer, pool, 0, {}],
      [consumer, pool, 0, limits], // The slot is FREE.
      [consumer, pool, 1, { ...limits, recordsMax: 0 }],
      [consumer, pool, 1, { ...limits, bytesMax: 0 }],
      [consumer, pool, 1, { ...limits, timeoutMs: 51 }],
      [consumer, pool, 1, { ...limits, pullMax: 0 }],
      [consumer, pool, 1, { ...limits, heldMax: 0 }],
    ],
    consumerPoll: [[], [gone, 0], [consumer], [consumer, -1], [consumer, 51], [consumer, '0']],
    consumerEvents: [[], [gone], ['1']],
    consumerLogs: [[], [gone], ['1']],
    consumerSubscribe: [[], [gone, []], [consumer], [consumer, [1]], [consumer, ['']]],
    consumerAskMembers: [
      [],
      [gone, 'g', 1],
      [consumer, '', 1],
      [consumer, 1, 1],
      [consumer, 'g', -1],
      [consumer, 'g'],
    ],
    consumerAssign: [
      [],
      [gone, []],
      ...places.map(([rows]) => [consumer, rows]),
      [consumer, [place]],
      [consumer, [{ ...place, assignmentId: -1 }]],
      [consumer, [{ ...place, assignmentId: 2 ** 31 }]],
      [
        consumer,
        [
          { ...place, assignmentId: 1 },
          { ...place, assignmentId: 2 },
        ],
      ],
      [
        consumer,
        [
          { ...place, assignmentId: 1 },
          { ...place, partition: 1, assignmentId: 1 },
        ],
      ],
    ],
    consumerUnassign: [[], [gone, []], ...places.map(([rows]) => [consumer, rows])],
    consumerAssignmentLost: [[], [gone]],
    consumerPause: [[], [gone, []], [consumer], [consumer, 1], [consumer, [1]], [consumer, ['1']]],
    consumerResume: [[], [gone, []], [consumer], [consumer, 1], [consumer, [1]], [consumer, [{}]]],
    consumerProbe: [[], [gone, 1, 1], [consumer, 1, 1], [consumer, 1], [consumer, 1, -3]],
    consumerSeek: [[], [gone, 1, 1], [consumer, 1, 1], [consumer, 1], [consumer, 1, -3]],
    consumerRestart: [
      [],
      [gone, 1, 2, 0, false],
      [consumer, 1, 2, 0, false],
      [consumer, 1, 2, 0],
      [consumer, 1, 2, -1, false],
      [consumer, 1, 2, 0, 1],
    ],
    consumerSetPassword: [[], [gone, 'a', 'b'], [consumer, 'a'], [consumer, 1, 'b']],
    consumerSetToken: [[], [gone, 'a', 1, 'b'], [consumer, 'a', -1, 'b'], [consumer, 'a', 1]],
    consumerCommit: [[], [gone, null, 0], ...timed.map((row) => [consumer, ...row])],
    consumerCommitted: [[], [gone, [], 0], ...timed.map((row) => [consumer, ...row])],
    consumerOffsetsForTimes: [[], [gone, [], 0], ...timed.map((row) => [consumer, ...row])],
    consumerWatermarks: [[], [gone, place, 0], [consumer, null, 0], [consumer, place, -1]],
    consumerMetadata: [[], [gone, null, 0], [consumer, 1, 0], [consumer, '', 0], [consumer, null]],
    consumerAskTopics: [
      [],
      [gone, ['t'], 0],
      [consumer, 't', 0],
      [consumer, [], 0],
      [consumer, [''], 0],
      [consumer, [1], 0],
    ],
    consumerAskCommit: [
      [],
      [gone, [place]],
      [consumer, null],
      [consumer, []],
      [consumer, [{ topic: 't' }]],
    ],
    consumerAskCommitted: [
      [],
      [gone, null, 0],
      [consumer, [], 0],
      ...timed.map((row) => [consumer, ...row]),
    ],
    consumerAskOffsets: [
      [],
      [gone, [place], 0],
      [consumer, null, 0],
      [consumer, [], 0],
      ...timed.map((row) => [consumer, ...row]),
    ],
    consumerAnswers: [[], [gone, 0], [consumer], [consumer, -1], [consumer, 51]],
    consumerHold: [
      [],
      [gone, []],
      ...places.map(([rows]) => [consumer, rows]),
      [consumer, [place, place]],
    ],
    consumerBegin: [
      [],
      [gone, []],
      ...places.map(([rows]) => [consumer, rows]),
      [consumer, [{ ...place, assignmentId: 1 }]], // It is not held.
    ],
    consumerLeaderEpoch: [[], [gone, 1], [consumer, 1], [consumer, -1]],
    consumerPast: [[], [gone, 1], [consumer, 1], [consumer, -1]],
    consumerClose: [[], [gone, 0], [consumer], [consumer, -1], [consumer, 'x']],
    matcherOpen: [
      [],
      [null],
      [{}],
      [{ ...literal, patterns: ['x'] }],
      [{ ...literal, patterns: [new Uint8Array(0)] }],
      [{ ...literal, patterns: [new Int32Array(1)] }],
      [{ ...literal, ignoreCase: 1 }],
      [{ ...literal, invertMatch: null }],
      [{ expression: 1 }],
      [{ expression: '' }],
      [{ expression: '{}' }],
      [{ expression: '{"keep":{"kind":"none"},"drop":null,"prefilter":null}' }],
      [{ expression: '{"keep":{"kind":"all","of":[]},"drop":null}' }],
      [{ expression: '{"groups":[]}' }],
      [{ expression: '{"groups":[{"of":[]}]}' }],
      [{ expression: '{"groups":[{"all":true,"of":[{}]}]}' }],
    ],
    matcherClose: [[], [gone], ['1']],
    matcherDescribe: [[], [gone], ['1']],
    matcherTest: [
      [],
      [gone, ...record],
      [matcher, 'x', ...record.slice(1)],
      [matcher, null, 1, ...record.slice(2)],
      [matcher, null, null, null, ...record.slice(3)],
      [matcher, null, null, headers, 1, ...record.slice(4)],
      [matcher, null, null, headers, 't', -1, 0, 0],
      [matcher, null, null, headers, 't', 0, 0.5, 0],
      [matcher, null, null, headers, 't', 0, 0, -2],
    ],
    matcherJudge: [
      [],
      [gone, ...record],
      [matcher, ...record], // It has no alternatives.
    ],
    fieldsOpen: [[], [1], [['a']], [[[1]]], [[[]]]],
    fieldsClose: [[], [gone], ['1']],
    fieldsOf: [[], [gone, new Uint8Array(2)], [fields], [fields, 'x'], [fields, null]],
    regexCheck: [[], [1, false], ['a'], ['a', 1], ['a\0b', false], ['a'.repeat(5000), false]],
    slotScan: [
      [],
      [gone, 0, matcher],
      [pool, 2, matcher],
      [pool, 1, gone],
      [pool, 1, '1'],
      [pool, 0, matcher], // The slot is FREE.
    ],
    slotOversize: [[], [gone, 0], [pool, 0], [pool, 2], [pool, '0']],
    slotDropped: [[], [gone, 0], [pool, 2], [pool, '0']],
    slotDiscard: [[], [gone, 0], [pool, 2], [pool, -1], [pool, {}]],
    fileLock: [[], [1], [''], ['a\0b'], ['/nowhere/lock']],
    fileUnlock: [[], [gone], ['1']],
    endWithParent: [[1]],
    mockOpen: [
      [],
      [null],
      [{ brokerCount: 0, topics: [] }],
      [{ brokerCount: 1, topics: [{ topic: 't', partitions: 0 }] }],
      [{ brokerCount: 1, topics: [{ topic: '', partitions: 1 }] }],
      [{ brokerCount: 1 }],
    ],
    plainLoop: [
      [],
      [null],
      [{ ...loop, config: [['no.such.property', '1']] }],
      [{ ...loop, topic: '' }],
      [{ ...loop, pattern: new Uint8Array() }],
      [{ ...loop, pattern: 'a' }],
      [{ ...loop, isRaw: 1 }],
      [{ ...loop, recordsMax: 0 }],
      [{ ...loop, secondsMax: -1 }],
      [{ ...loop, consumers: 65 }],
    ],
    mockPushErrors: [[], [gone, 1, []], [mock.id, -1, []], [mock.id, 1, 1], [mock.id, 1, ['x']]],
    mockBrokerDown: [[], [gone, 1], [mock.id, 0], [mock.id, 'x'], [mock.id, 50]],
    mockBrokerUp: [[], [gone, 1], [mock.id, 0], [mock.id], [mock.id, 50]],
    mockElect: [[], [gone, 't', 0, 1], [mock.id, 't', 0], [mock.id, 't', 0, 9], [mock.id, 1, 0, 1]],
    mockBrokerDelay: [[], [gone, 1, 0], [mock.id, 1, -1], [mock.id, 1], [mock.id, 50, 1]],
    mockClose: [[], [gone], ['1']],
  }
  assert.deepEqual(Object.keys(wrong).sort(), Object.keys(bridge).sort())
  for (const [name, lists] of Object.entries(wrong)) {
    const call: unknown = Reflect.get(bridge, name)
    assert.ok(typeof call === 'function')
    for (const [index, list] of lists.entries()) {
      assert.throws(
        () => {
          Reflect.apply(call, bridge, list)
        },
        (thrown: unknown) => thrown instanceof Error && thrown.message !== '',
        `${name} number ${index} was accepted`,
      )
    }
  }
})

test('what was closed is unknown', (t) => {
  const mock = openMock(t)
  const consumer = openConsumer(t, mock)
  assert.equal(bridge.consumerClose(consumer, 10_000), true)
  assert.throws(() => bridge.consumerPoll(consumer, 0), RangeError)
  assert.throws(() => bridge.consumerClose(consumer, 0), RangeError)
})
