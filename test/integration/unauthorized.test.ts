/**
 * The second of three documents is answered 401, then the program restarts: all three arrive, for
 * nothing above the refused one was committed. Others have lost it:
 * https://github.com/vectordotdev/vector/issues/24543
 */
import kafka from '@confluentinc/kafka-javascript'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { flags, Logpipe, testFolder } from '../helpers/logpipe.ts'
import { openMockCluster } from './mock-cluster.ts'

const UNAUTHORIZED = { status: 401, type: 'security_exception', reason: 'action is unauthorized' }
const TOPIC = 'three'

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`the second of three is refused with 401, then ${signal}: all three arrive`, async (t) => {
    const cluster = await openMockCluster()
    t.after(() => cluster.close())
    const client = new kafka.KafkaJS.Kafka({ kafkaJS: { brokers: [cluster.brokers] } })
    const producer = client.producer({ log_level: 0 })
    await producer.connect()
    t.after(() => producer.disconnect())
    const messages = [1, 2, 3].map((n) => ({ partition: 0, value: `{"level":"ERROR","n":${n}}` }))
    await producer.send({ topic: TOPIC, messages })

    const fake = new FakeBulk()
    const url = await fake.listen()
    t.after(() => fake.close())
    const folder = testFolder(t)
    const start = () => {
      const given = flags({ brokers: cluster.brokers, topic: TOPIC, group: 'g', 'run-seconds': 0 })
      const env = { ES_ENABLED: '1', ES_URL: url, INGRESS_THREADS: '1', RUST_WORKERS: '1' }
      return new Logpipe(t, ['run', ...given, '--shutdown-deadline', '3s'], { env, folder })
    }

    let isRefused = false
    fake.script = () => ({
      kind: 'items',
      fault: ({ source }) => {
        const isSecond = source.includes('"n":2')
        isRefused ||= isSecond
        return isSecond ? UNAUTHORIZED : null
      },
    })
    const first = start()
    await first.until('two are written', () => isRefused && fake.documents.size === 2)
    // Long enough for a commit of what must not be committed.
    await first.until('it has asked again', () => fake.requests.length >= 4)
    first.signal(signal)
    const { status, stderr } = await first.ended
    if (signal === 'SIGTERM') {
      assert.equal(status, 1, stderr)
      assert.match(stderr, /^books balance; 1 pending/m)
    }
    assert.match(stderr, /documents wait for the index logs-filtered: 401 security_exception/)

    fake.script = () => ({ kind: 'items' })
    const second = start()
    await second.until('all three are there', () => fake.documents.size === 3)
    const ended = await second.stop()
    assert.match(ended.stderr, /read [23] records/, 'it goes on at the second')
    assert.deepEqual([...fake.writes.values()], [1, 1, 1])
  })
}
