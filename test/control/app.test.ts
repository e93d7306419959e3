/** What comes before every route: bounds of a request's body. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controlFixture } from './control-fixture.ts'

const HEARTBEAT = '/api/workers/w1/heartbeat'
const json = { 'content-type': 'application/json' }

test('a body of more values or levels than anybody sends is refused unread', async (t) => {
  const { app } = controlFixture(t)
  const send = async (members: string) =>
    await app.request(HEARTBEAT, {
      method: 'POST',
      headers: json,
      body: `{"state":"idle",${members}}`,
    })
  const metrics = (count: number) =>
    `"metrics":{${Array.from({ length: count }, (_, index) => `"${index}":""`).join(',')}}`
  const deep = '['.repeat(5000) + ']'.repeat(5000)
  for (const members of [
    metrics(300_000),
    `"results":[${'{},'.repeat(1_300_000)}{}]`,
    `"results":[{"id":"x","ok":true,"result":${deep}}]`,
  ]) {
    assert.equal((await send(members)).status, 413, members.slice(0, 40))
  }
  const wrong = await send(metrics(40_000))
  assert.equal(wrong.status, 422)
  const { errors } = (await wrong.json()) as { errors: unknown[] }
  assert.equal(errors.length, 100)
})

test('of large bodies on their way together so much is read as there is room for', async (t) => {
  const { app, beat } = controlFixture(t)
  const body = Buffer.from(`{"state":"idle","version":"1"${' '.repeat(4_000_000)}`)
  /** A body whose end does not come until it is told to. */
  const slow = (id: string) => {
    const read = Promise.withResolvers<void>()
    const end = Promise.withResolvers<void>()
    let pulls = 0
    const stream = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          if (pulls++ === 0) return controller.enqueue(body)
          read.resolve()
          await end.promise
          controller.enqueue(Buffer.from('}'))
          controller.close()
        },
      },
      { highWaterMark: 0 },
    )
    const answer = app.request(`/api/workers/${id}/heartbeat`, {
      method: 'POST',
      headers: json,
      body: stream,
      duplex: 'half',
    } as RequestInit)
    return { answer: Promise.resolve(answer), read: read.promise, end: () => end.resolve() }
  }
  const held = Array.from({ length: 17 }, (_, index) => slow(`w${index}`))
  await Promise.all(held.map(({ read }) => read))
  const refused = await slow('late').answer
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('retry-after'), '5')
  assert.equal((await beat('small')).assignment, null)
  for (const { end } of held) end()
  for (const { answer } of held) assert.equal((await answer).status, 200)
  const again = slow('late')
  again.end()
  assert.equal((await again.answer).status, 200)
})
