/** Bugs that there were. The first line of each test says what was wrong. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import type { Bridge, BridgeId } from '../../src/bridge/bridge.ts'
import { resolve } from '../../src/options/resolve.ts'
import { replaySettings } from '../../src/run/replay.ts'
import { pipelineSettings } from '../../src/run/settings-from-config.ts'

test('a replay asked brokers without the token of KAFKA_TOKEN_FILE', (t) => {
  // They refused it, so that no replay was possible where tokens are the way to sign in.
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-token-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'token')
  writeFileSync(file, 'opaque-token')
  const args = [
    '--topic=t',
    '--from=2026-09-01T00:00Z',
    `--kafka-token-file=${file}`,
    '--es-enabled',
    '--es-url=http://127.0.0.1:9',
    '--kafka-config=security.protocol=SASL_PLAINTEXT',
    '--kafka-config=sasl.mechanism=OAUTHBEARER',
  ]
  const { config } = resolve({ command: 'replay', args, env: {} })
  const span = { partitions: null, fromMs: 0, toMs: null }
  const bridge = signedInBridge()
  assert.ok(
    replaySettings(pipelineSettings(config), span, bridge as unknown as Bridge, assert.fail),
  )
  assert.deepEqual(bridge.tokens, ['opaque-token', 'opaque-token'])
})

/** Answers only consumers that have a token: one partition with one record. */
function signedInBridge() {
  const tokens: string[] = []
  const signedIn = new Set<BridgeId>()
  let openedCount = 0
  const known = (consumer: BridgeId) => assert.ok(signedIn.has(consumer), 'no token')
  const row = { topic: 't', partition: 0, offset: 1, error: null }
  const none = { error: null, partitions: [], topics: [], members: [] }
  return {
    tokens,
    consumerOpen: () => ++openedCount,
    consumerSetToken(consumer: BridgeId, token: string) {
      signedIn.add(consumer)
      tokens.push(token)
    },
    consumerMetadata(consumer: BridgeId) {
      known(consumer)
      return { brokers: [], topics: [{ topic: 't', partitions: 1, error: null }] }
    },
    consumerOffsetsForTimes(consumer: BridgeId, [{ offset }]: readonly [{ offset: number }]) {
      known(consumer)
      return [{ ...row, offset: offset === 0 ? 0 : 1 }]
    },
    consumerAskCommitted: () => 1,
    consumerAskTopics: () => 2,
    consumerAnswers(consumer: BridgeId) {
      known(consumer)
      const committed = { ...row, leaderEpoch: -1, metadata: null }
      const topic = { topic: 't', topicId: null, partitions: 1, error: null }
      return [
        { ...none, question: 1, partitions: [committed] },
        { ...none, question: 2, topics: [topic] },
      ]
    },
    consumerClose: () => true,
  }
}
