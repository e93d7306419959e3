/** What a child of sync is started with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolve } from '../../src/options/resolve.ts'
import { runLaunch } from '../../src/sync/launch.ts'

function variablesOf(
  variables: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {},
) {
  const assignment = {
    pipelineId: 1,
    revision: 1,
    name: 'x',
    variables,
    secrets: {},
    fallback: null,
  }
  return runLaunch({ command: ['logpipe'], environment }, assignment, '/home').environment
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
