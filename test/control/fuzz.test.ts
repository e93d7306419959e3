/** Whatever is sent, an answer of the 5xx kind is a fault of ours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { controlFixture, SEED_PIPELINE } from './control-fixture.ts'

const NAMES = [
  ...Object.keys(SEED_PIPELINE),
  'replicas',
  'kafka_config',
  'es_password',
  'pool_size',
  'desired_state',
  'pipeline_id',
  'revision',
  'kind',
  'ids',
  'limit',
  'token',
  'state',
  'metrics',
  'tail',
  'results',
  'error',
  '__proto__',
  'constructor',
]
const leaf = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(0, 1, -1, 2 ** 53, 1e308, null, true, '', '1', 'running', 'idle', 'check', 'x'),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
const body = fc.oneof(
  { weight: 4, arbitrary: fc.dictionary(fc.constantFrom(...NAMES), leaf, { maxKeys: 8 }) },
  { weight: 1, arbitrary: leaf },
)
const segment = fc.oneof(
  fc.constantFrom('1', '2', '0', '-1', 'w1', '9007199254740993', '%00', '%2e%2e', 'é', '1e1'),
  fc.string({ maxLength: 10 }).map(encodeURIComponent),
)

test('no request that can be made is answered with an error of ours', async (t) => {
  const { app, call } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const routes = app.routes.filter(
    ({ method, path }) => method !== 'ALL' && !path.endsWith('/tail'),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes),
      segment,
      body,
      fc.option(fc.webQueryParameters()),
      fc.dictionary(
        fc.constantFrom('if-match', 'cookie', 'origin', 'authorization', 'content-length'),
        fc.stringMatching(/^[ -~]{0,20}$/),
      ),
      async ({ method, path }, id, json, query, headers) => {
        const url = path.replace(':id', id === '' ? '1' : id) + (query === null ? '' : `?${query}`)
        const hasBody = method === 'POST' || method === 'PUT'
        const answer = await app.request(url, {
          method,
          headers: { ...headers, ...(hasBody ? { 'content-type': 'application/json' } : {}) },
          ...(hasBody ? { body: JSON.stringify(json) } : {}),
        })
        await answer.text()
        assert.ok(answer.status < 500, `${method} ${url}: ${answer.status}`)
      },
    ),
    { numRuns: 1500 },
  )
})

test('a body that is no JSON at all is the fault of who sent it', async (t) => {
  const { app } = controlFixture(t)
  for (const text of ['', '{', 'nonsense', '{"a":1}}', '\u0000', '[1,']) {
    const answer = await app.request('/api/pipelines', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: text,
    })
    assert.ok([400, 422].includes(answer.status), `${JSON.stringify(text)}: ${answer.status}`)
  }
})
