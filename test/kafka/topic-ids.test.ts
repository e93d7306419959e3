/** Kafka's ids of topics: which answers are ids, which are "none", which are asked for again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askTopicIds, TopicIdWatch } from '../../src/kafka/topic-ids.ts'

type Answer = { topic: string; topicId: string | null; error: string | null }[]

class Refusal extends Error {
  readonly code: string

  constructor(code: string) {
    super(`cannot ask: ${code}`)
    this.code = code
  }
}

/** Answers each question with the next of these; the clock passes 30 s for each. */
function ask(...answers: (Answer | Refusal)[]) {
  let asked = 0
  const bridge = {
    consumerTopicIds() {
      const answer = answers[asked++]
      if (answer instanceof Refusal) throw answer
      return answer ?? assert.fail('asked too often')
    },
  }
  const deadline = { nowMs: () => asked * 30_000, atMs: 60_000 }
  return askTopicIds(bridge, 1, ['a', 'b'], deadline)
}

const found = (topic: string, topicId: string | null, error: string | null = null) => ({
  topic,
  topicId,
  error,
})

test('each topic has its id, or none', () => {
  assert.deepEqual(ask([found('a', '01'), found('b', null)]), { a: '01', b: null })
})

test('a broker that does not know the question tells none', () => {
  for (const code of ['_UNSUPPORTED_FEATURE', 'UNSUPPORTED_VERSION']) {
    assert.deepEqual(ask(new Refusal(code)), { a: null, b: null })
    const answer = [found('a', null, code), found('b', null, code)]
    assert.deepEqual(ask(answer), { a: null, b: null })
  }
})

test('an error of the moment is no answer: it is asked again, and told in the end', () => {
  const ids = [found('a', '01'), found('b', '02')]
  assert.deepEqual(ask(new Refusal('_TIMED_OUT'), ids), { a: '01', b: '02' })
  const noLeader = [found('a', '01'), found('b', null, 'LEADER_NOT_AVAILABLE')]
  assert.deepEqual(ask(noLeader, ids), { a: '01', b: '02' })
  assert.throws(() => ask(noLeader, new Refusal('_TRANSPORT')), {
    code: 'KAFKA_UNREACHABLE',
    message: /no broker told the topics' ids: cannot ask: _TRANSPORT/,
  })
})

test('a topic whose id has changed is told once, and no answer means nothing', () => {
  let answer: Answer | null = [found('a', '01'), found('b', null)]
  let askedCount = 0
  const watch = new TopicIdWatch(
    {
      consumerTopicIds() {
        askedCount++
        return answer ?? assert.fail('timed out')
      },
    },
    1,
  )
  assert.equal(watch.look(60_000), null)
  assert.equal(askedCount, 0, 'nothing is known that could change')
  watch.note({ a: '01', b: null })
  const at = (second: number) => watch.look(60_000 + second * 1000)
  assert.deepEqual([at(10), at(11), at(19)], [null, null, null])
  assert.equal(askedCount, 1)
  answer = null
  assert.equal(at(20), null)
  // Deleted, and not yet there again.
  answer = [found('a', null, 'UNKNOWN_TOPIC_OR_PART')]
  assert.equal(at(30), null)
  answer = [found('a', '02')]
  assert.equal(at(40), 'a')
  assert.equal(at(50), null)
})
