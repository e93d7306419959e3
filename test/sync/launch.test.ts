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
  secretHosts: readonly string[] = [],
) {
  const assignment = {
    pipelineId: 1,
    revision: 1,
    name: 'x',
    variables,
    secrets,
    fallback: null,
  }
  const settings = { command: ['logpipe'], environment, secretHosts }
  return launchOf(settings, assignment, '/home', ['run']).environment
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

test('a child gets the options of its programs and what a process needs, nothing else', () => {
  const taken = {
    PATH: '/bin',
    HOME: '/home/x',
    LC_ALL: 'C.UTF-8',
    https_proxy: 'http://proxy:3128',
    ES_CA_FILE: '/ca.pem',
    DLQ: 'file:/dlq',
    FILTER_THREADS: '2',
    KAFKA_CONFIG_SSL_CA_LOCATION: '/ca.pem',
  }
  const left = {
    AWS_SECRET_ACCESS_KEY: 'x',
    GITHUB_TOKEN: 'x',
    CONTROL_TOKEN: 'x',
    WORKER_TOKEN: 'x',
    WORKER_TOKEN_FILE: 'x',
    METRICS_LISTEN: ':1',
    NODE_OPTIONS: '--require=x',
    LOGPIPE_SECRETS_FD: '0',
  }
  const env = variablesOf({}, { ...taken, ...left })
  for (const [name, value] of Object.entries(taken)) assert.equal(env[name], value, name)
  for (const name of Object.keys(left)) assert.equal(env[name], undefined, name)
})

/** Whether the worker's own key goes along with a pipeline that says this. */
function isGiven(
  secret: string,
  variables: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>>,
  hosts: readonly string[] = [],
): boolean {
  return variablesOf(variables, { ...environment, [secret]: 'own' }, {}, hosts)[secret] === 'own'
}

test("the worker's key for Elasticsearch goes only where its operator sends it, too", () => {
  const own = { ES_URL: 'https://es.example:9200,https://es2.example' }
  for (const [url, environment, hosts, right] of [
    [undefined, own, [], true],
    ['https://ES.example:9200/', own, [], true],
    ['https://es2.example:443', own, [], true],
    ['https://es.example:9200,https://evil.example', own, [], false],
    ['https://es.example:9201', own, [], false],
    ['http://es.example:9200', own, [], false],
    ['https://es.example.evil:9200', own, [], false],
    ['https://es.example:9200@evil.example', own, [], false],
    // Without an ES_URL of its own the worker's is the default.
    ['http://localhost:9200', {}, [], true],
    ['http://127.0.0.1:9200', {}, [], false],
    // An empty one hides the worker's own, and the default takes its place.
    ['', own, [], false],
    ['https://es3.example', {}, ['es3.example'], true],
    ['https://es3.example', {}, ['es3.example:443'], true],
    ['https://es3.example', {}, ['es3.example:9200'], false],
    ['http://es3.example:443', {}, ['https://es3.example'], false],
    ['https://es3.example', {}, ['https://es3.example'], true],
    // Wrong options: whose addresses they are cannot be told.
    ['http://localhost:9200', { ES_URL: 'x' }, [], false],
    ['http://localhost:9200', { ES_ENABLED: '1', PIPELINE_OUTPUT: 'none' }, [], true],
  ] as const) {
    const variables = url === undefined ? {} : { ES_URL: url }
    for (const secret of ['ES_API_KEY', 'LOGPIPE_CONFIG']) {
      if (secret === 'LOGPIPE_CONFIG' && right) continue
      const given = isGiven(secret, variables, environment, hosts)
      assert.equal(given, right, `${secret} to ${url} by ${JSON.stringify([environment, hosts])}`)
    }
    assert.equal(isGiven('KAFKA_TOKEN_FILE', variables, own, hosts), true, 'Kafka is the same')
  }
})

test("the worker's password for Kafka goes only to its brokers, protected as it says", () => {
  const own = { KAFKA_BROKERS: 'k1.example:9093,k2.example:9093' }
  const plain = { ...own, KAFKA_CONFIG_SECURITY_PROTOCOL: 'sasl_plaintext' }
  for (const [variables, environment, right] of [
    [{}, own, true],
    [{ KAFKA_BROKERS: 'K2.example:9093' }, own, true],
    [{ KAFKA_BROKERS: 'k2.example:9092' }, own, false],
    [{ KAFKA_BROKERS: '' }, own, false],
    [{ KAFKA_BROKERS: 'k1.example:9093,evil.example:9093' }, own, false],
    [
      { KAFKA_CONFIG_SECURITY_PROTOCOL: 'sasl_ssl', KAFKA_CONFIG_SASL_MECHANISM: 'PLAIN' },
      own,
      true,
    ],
    [{ KAFKA_CONFIG_SECURITY_PROTOCOL: 'sasl_plaintext' }, own, false],
    [{ KAFKA_CONFIG_SECURITY_PROTOCOL: 'sasl_plaintext' }, plain, true],
    [{ KAFKA_CONFIG_SASL_MECHANISM: 'PLAIN' }, plain, false],
    [{ KAFKA_CONFIG_ENABLE_SSL_CERTIFICATE_VERIFICATION: 'false' }, own, false],
    [{ KAFKA_CONFIG_SSL_CA_PEM: 'x' }, own, false],
    [{ KAFKA_CONFIG_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM: 'none' }, own, false],
    [{ KAFKA_CONFIG_FETCH_MIN_BYTES: '1' }, own, true],
  ] as const) {
    for (const secret of [
      'KAFKA_CONFIG_SASL_PASSWORD',
      'KAFKA_CONFIG_SASL_PASSWORD_FILE',
      'KAFKA_CONFIG_SASL_OAUTHBEARER_CLIENT_SECRET',
      'KAFKA_CONFIG_SSL_KEY_PASSWORD',
      'KAFKA_TOKEN_FILE',
    ]) {
      const given = isGiven(secret, variables, environment)
      assert.equal(given, right, `${secret} with ${JSON.stringify([variables, environment])}`)
    }
  }
})

test('which secrets stay behind, and why, is said in one line', () => {
  const settings = {
    command: ['logpipe'],
    environment: { ES_API_KEY: 'hunter2', ES_PASSWORD: '', KAFKA_TOKEN_FILE: '/token' },
    secretHosts: [],
  }
  const variables = { ES_URL: 'https://es.example' }
  const assignment = { pipelineId: 7, revision: 1, name: 'x', secrets: {}, fallback: null }
  assert.equal(
    launchOf(settings, { ...assignment, variables }, '/home', ['run']).withheld,
    "pipeline 7 runs without this worker's own ES_API_KEY: https://es.example:443 is neither in " +
      'its ES_URL nor in its WORKER_SECRET_HOSTS. Store the secret with the pipeline, or list ' +
      'the address in WORKER_SECRET_HOSTS',
  )
  assert.equal(
    launchOf(settings, { ...assignment, variables: {} }, '/home', ['run']).withheld,
    null,
  )
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
