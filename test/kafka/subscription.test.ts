/** Which topics a thread reads, as the cluster's topics come and go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OFFSET_BEGINNING, OFFSET_NONE, type Bridge } from '../../src/bridge/bridge.ts'
import { Subscription, type SubscriptionOptions } from '../../src/kafka/subscription.ts'
import { consumerOn } from '../helpers/consumer-on.ts'

type Topics = Record<string, number>

function rig(wanted: readonly string[], more: Partial<SubscriptionOptions> = {}) {
  const cluster: { topics: Topics | null; asked: number } = { topics: {}, asked: 0 }
  const subscribed: string[][] = []
  const warnings: string[] = []
  const consumer = consumerOn({
    consumerMetadata(_consumer, topic): ReturnType<Bridge['consumerMetadata']> {
      cluster.asked++
      if (cluster.topics === null) throw new RangeError('Local: Timed out')
      const rows = Object.entries(cluster.topics).map(([name, partitions]) => ({
        topic: name,
        partitions,
        error: null,
      }))
      return { brokers: [], topics: rows.filter((row) => topic === null || row.topic === topic) }
    },
    consumerSubscribe: (_consumer, topics) => void subscribed.push([...topics]),
  })
  const subscription = new Subscription({
    consumer,
    wanted,
    isGroup: true,
    share: { index: 0, count: 1 },
    warn: (message) => warnings.push(message),
    ...more,
  })
  return { cluster, subscribed, warnings, subscription }
}

test('names are subscribed to at once, once, without a question', () => {
  const { cluster, subscribed, subscription } = rig(['b', 'a'])
  subscription.poll(0)
  subscription.poll(1_000_000)
  assert.deepEqual(subscribed, [['b', 'a']])
  assert.equal(cluster.asked, 0)
})

test('topics that an expression means are subscribed to by name, new ones within a minute', () => {
  const { cluster, subscribed, subscription } = rig(['^x-', 'a'])
  cluster.topics = { 'x-1': 1, y: 1, __x: 1 }
  subscription.poll(0)
  cluster.topics = { 'x-1': 1, 'x-2': 1, y: 1 }
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 1000) subscription.poll(nowMs)
  assert.deepEqual(subscribed, [
    ['a', 'x-1'],
    ['a', 'x-1', 'x-2'],
  ])
})

test('a topic that is gone is given up when two lists in a row are without it', () => {
  const { cluster, subscribed, subscription } = rig(['^x-'])
  const lists = [{ 'x-1': 1, 'x-2': 1 }, { 'x-1': 1 }, { 'x-1': 1, 'x-2': 1 }, {}, {}, {}]
  for (const [index, topics] of lists.entries()) {
    cluster.topics = topics
    subscription.poll(index * 20_000)
  }
  assert.deepEqual(subscribed, [['x-1', 'x-2'], []])
})

test('an expression without a topic is told once, and waits', () => {
  const { cluster, subscribed, warnings, subscription } = rig(['^x-', '^y'])
  cluster.topics = { y: 1 }
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 1000) subscription.poll(nowMs)
  assert.deepEqual(warnings, ['no topic matches ^x-: checking again every 20 s'])
  assert.deepEqual(subscribed, [['y']])
})

test('brokers that do not answer leave the topics as they are, and are given more time', () => {
  const { cluster, subscribed, subscription } = rig(['^x-'])
  cluster.topics = null
  for (const nowMs of [0, 1000, 2000]) subscription.poll(nowMs)
  assert.equal(cluster.asked, 3)
  cluster.topics = { 'x-1': 1 }
  subscription.poll(3000)
  cluster.topics = null
  subscription.poll(23_000)
  subscription.poll(43_000)
  assert.deepEqual(subscribed, [['x-1']])
  assert.equal(subscription.isIdle, false)
})

test('an expression that has come to take too long leaves the topics as they are', () => {
  const { cluster, subscribed, warnings, subscription } = rig(['^(a+)+b'])
  cluster.topics = { ab: 1 }
  subscription.poll(0)
  cluster.topics = { ab: 1, ['a'.repeat(200)]: 1 }
  subscription.poll(20_000)
  assert.deepEqual(subscribed, [['ab']])
  assert.match(warnings.join(), /took longer than 2 s.*; the list of topics stays unchanged$/)
})

test('without a group each thread has its share of the partitions, later ones too', () => {
  const share = { index: 1, count: 2 }
  const { cluster, subscribed, subscription } = rig(['^x'], { isGroup: false, share })
  cluster.topics = { x: 4, y: 9 }
  const names = (nowMs: number) =>
    subscription
      .poll(nowMs)
      .map(({ topic, partition, offset }) => `${topic}/${partition} from ${offset}`)
  assert.deepEqual(names(0), [`x/1 from ${OFFSET_NONE}`, `x/3 from ${OFFSET_NONE}`])
  cluster.topics = { x: 6, 'x-2': 2 }
  assert.deepEqual(names(1000), [])
  assert.deepEqual(names(20_000), [
    `x/5 from ${OFFSET_BEGINNING}`,
    `x-2/1 from ${OFFSET_BEGINNING}`,
  ])
  assert.deepEqual(subscription.topics, ['x', 'x-2'])
  assert.deepEqual(subscribed, [])
})
