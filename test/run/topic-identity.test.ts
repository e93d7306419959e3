/** What the topics that are read mean for index names and for ids. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRules } from '../../src/options/rule-list.ts'
import type { OutputSettings } from '../../src/run/settings.ts'
import {
  idPrefixOf,
  idPrefixSetting,
  needsTopicIds,
  TopicWatch,
} from '../../src/run/topic-identity.ts'
import { ELASTICSEARCH_DEFAULTS } from '../helpers/elasticsearch-defaults.ts'

const TOPIC_ID = '0a1b2c3d4e5f60718293a4b5c6d7e8f9'

function outputOf(index: string, idPrefix = 'auto'): OutputSettings {
  const settings = { ...ELASTICSEARCH_DEFAULTS, index }
  return { kind: 'elasticsearch', settings, idPrefix, spillPath: 'spill', letters: null }
}

function assignOf(topic: string, topicId: string | null = TOPIC_ID) {
  const partitions = [{ topic, partition: 0, offset: 0 }]
  const topicIds = { [topic]: topicId }
  return { kind: 'assign', ingressIndex: 0, partitions, lost: [], topicIds } as const
}

const openedOf = (...topics: string[]) => ({ kind: 'opened', ingressIndex: 0, topics }) as const

test('topics that give one index are refused when the second of them comes', () => {
  const watch = new TopicWatch(outputOf('app-{topic}'), () => assert.fail())
  assert.equal(watch.opened(openedOf('Orders', 'payments')), null)
  assert.equal(watch.assign(assignOf('Orders')), null)
  const error = watch.assign(assignOf('orders'))
  assert.equal(error?.code, 'INDEX_NAME')
  assert.equal(error.exitStatus, 2)
  assert.match(
    error.message,
    /"app-\{topic\}": topics Orders and orders would both go to .* app-ord/,
  )
  assert.equal(new TopicWatch(outputOf('all'), () => undefined).opened(openedOf('A', 'a')), null)
  assert.match(
    new TopicWatch(outputOf('{topic}'), () => undefined).opened(openedOf('_x'))?.message ?? '',
    /topic _x gives the index _x: an index name must not start with/,
  )
  assert.equal(new TopicWatch({ kind: 'none' }, () => undefined).opened(openedOf('A', 'a')), null)
})

test('rules whose index names do not go with the topics are refused, and not used', () => {
  const rules = (index: string) => parseRules(JSON.stringify([{ name: 'a', index }]))
  const watch = new TopicWatch(outputOf('all'), () => assert.fail())
  assert.equal(watch.opened(openedOf('A', 'a')), null)
  assert.throws(() => watch.useRules(rules('{topic}')), { code: 'INDEX_NAME' })
  assert.equal(watch.opened(openedOf('b')), null)
  watch.useRules(rules('x'))
  const none = new TopicWatch({ kind: 'none' }, () => assert.fail())
  none.opened(openedOf('A', 'a'))
  none.useRules(rules('{topic}'))
})

test('that a broker tells no ids is said once', () => {
  const told: string[] = []
  const watch = new TopicWatch(outputOf('all'), (notice) => told.push(notice))
  assert.equal(watch.assign(assignOf('a')), null)
  assert.deepEqual(told, [])
  watch.assign(assignOf('b', null))
  watch.assign(assignOf('c', null))
  assert.equal(told.length, 1)
  assert.match(told[0] ?? '', /no topic id for b: .*--id-prefix TEXT/)
  const none = new TopicWatch(outputOf('all', 'none'), () => assert.fail())
  none.assign(assignOf('b', null))
})

test('the prefix is the beginning of the id, nothing, or what was given', () => {
  assert.equal(idPrefixOf('auto', TOPIC_ID), '0a1b2c3d')
  assert.equal(idPrefixOf('auto', null), '')
  assert.equal(idPrefixOf('none', TOPIC_ID), '')
  assert.equal(idPrefixOf('eu', TOPIC_ID), 'eu')
  assert.equal(idPrefixSetting(outputOf('all', 'eu')), 'eu')
  assert.equal(idPrefixSetting({ kind: 'none' }), 'none')
})

test('ids are asked for where they are put to use', () => {
  assert.equal(needsTopicIds(outputOf('all')), true)
  assert.equal(needsTopicIds(outputOf('all', 'none')), false)
  assert.equal(needsTopicIds({ kind: 'stdout', format: 'raw', isRaw: false }), false)
  const base = outputOf('all')
  assert(base.kind === 'elasticsearch')
  const settings = { ...base.settings, documentId: 'none' } as const
  assert.equal(needsTopicIds({ ...base, settings }), false)
})
