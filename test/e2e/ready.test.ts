/** Whether /ready says what is down: a broker of its own is killed and started again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import { startKafka } from '../servers/kafka.ts'
import { uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const missing = serversMissing(['kafka'])

test('a pipeline is not ready while no broker answers', { skip: missing ?? false }, async (t) => {
  const kafka = await startKafka()
  t.after(() => kafka.stop())
  const topic = uniqueName('ready')
  await kafka.createTopic(topic, 1)
  const run = new Logpipe(t, [
    'run',
    ...flags({ brokers: kafka.bootstrapServers, topic, group: topic, 'run-seconds': 0 }),
    ...flags({ output: 'file:out', 'metrics-listen': '127.0.0.1:0', 'pool-size': 16 }),
  ])
  const port = () => /metrics at http:\/\/127\.0\.0\.1:(\d+)\//.exec(run.stderr)?.[1]
  await run.until('it listens', () => port() !== undefined)
  let said = ''
  const look = async () => {
    const answer = await fetch(`http://127.0.0.1:${port()}/ready`)
    said = `${answer.status} ${await answer.text()}`
  }
  const untilSaid = (what: string) =>
    run.until(what, () => {
      void look()
      return said === what
    })

  await untilSaid('200 ready\n')
  await kafka.killBroker(1)
  await untilSaid('503 kafka: no broker can be reached\n')
  await kafka.startBroker(1)
  await untilSaid('200 ready\n')
  await kafka.produce(topic, ['ERROR after all'])
  await run.until('it reads on', () => run.metric('written_total') === 1)
  assert.equal((await run.stop()).status, 0)
})
