/** What a child of sync is started with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolve } from '../../src/options/resolve.ts'
import { spawnChild } from '../../src/sync/child.ts'
import { launchOf } from '../../src/sync/launch.ts'

function variablesOf(
  variables: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {},
  secrets: Readonly<Record<string, string>> = {},
) {
  const assignment = {
    pipelineId: 1,
    revision: 1,
    name: 'x',
    variables,
    secrets,
    fallback: null,
  }
  return launchOf({ command: ['logpipe'], environment }, assignment, '/home', ['run']).environment
}

test('a pipeline writes to Elasticsearch, and one that counts writes nowhere', () => {
  for (const [variables, environment, kind] of [
    [{}, {}, 'elasticsearch'],
    [{ PRODUCT_LINE: 'metrics' }, {}, 'stdout'],
    [{}, { PRODUCT_LINE: 'metrics' }, 'stdout'],
    [{ PRODUCT_LINE: 'query' }, { PRODUCT_LINE: 'metrics' }, 'elasticsearch'],
  ] as const) {
    const env = variablesOf(variables, environment)
    // The rules of run hold, too: a run that they refuse would end at once, again and again.
    const { config } = resolve({ command: 'run', args: [], env })
    assert.equal(config.pipelineOutput.kind, kind)
    assert.equal(config.runSeconds, 0)
  }
})

test("a pipeline's own secret is not hidden by the machine's", () => {
  const environment = { ES_API_KEY: 'of the machine', KAFKA_CONFIG_SASL_PASSWORD: 'as well' }
  const env = variablesOf({}, environment, { ES_API_KEY: 'own' })
  assert.equal(env['ES_API_KEY'], undefined)
  assert.equal(env['KAFKA_CONFIG_SASL_PASSWORD'], 'as well')
})

test('a child that the system cannot start has ended, and its worker goes on', async () => {
  for (const [command, environment] of [
    [['/dev/null/logpipe'], {}],
    [[process.execPath], { LONG: 'x'.repeat(200_000) }],
  ] as const) {
    const launch = { command, environment, secrets: {} }
    const child = spawnChild(launch, { onLine: () => undefined, onReply: () => undefined })
    assert.match((await child.exited).error ?? '', /ENOTDIR|E2BIG/)
    assert.equal(child.pid, undefined)
    assert.equal(child.send({}), false)
  }
})
