/** bench/control.ts asks for everything that there is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routeCalls, uncalled } from '../../bench/control-calls.ts'
import { controlFixture } from '../control/control-fixture.ts'

test('the load on the control plane calls every route of its description', async (t) => {
  const { call } = controlFixture(t)
  const calls = routeCalls({ ask: async () => ({}), pipelines: 10, esUrl: 'http://e', token: 't' })
  const { body } = await call('GET', '/openapi.json')
  assert.deepEqual(uncalled(body, calls), [])
  assert.deepEqual(uncalled(body, calls.slice(1)), ['GET /health'])
})
