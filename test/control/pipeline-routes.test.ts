/** Pipelines over the API: fields, revisions, lost updates, pages. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controlFixture, SEED_PIPELINE } from './control-fixture.ts'

test('a pipeline is made, found, listed, started and stopped', async (t) => {
  const { call } = controlFixture(t)
  const made = await call('POST', '/api/pipelines', { ...SEED_PIPELINE, enabled: false })
  assert.equal(made.status, 201)
  assert.equal(made.headers.get('location'), '/api/pipelines/1')
  for (const [field, value] of Object.entries({ ...SEED_PIPELINE, enabled: false })) {
    assert.equal(made.body[field], value, field)
  }
  assert.equal(made.body.status.state, 'stopped')
  const started = await call('POST', '/api/pipelines/1/start')
  assert.equal(started.body.enabled, true)
  assert.equal(started.body.desired_state, 'running')
  assert.equal(started.body.status.state, 'pending')
  assert.match(started.body.status.reason, /there is no worker/)
  const stopped = await call('POST', '/api/pipelines/1/stop')
  assert.equal(stopped.body.enabled, false)
  assert.equal(stopped.body.desired_state, 'stopped')
  assert.equal(stopped.body.revision, 1, 'starting and stopping is no change of configuration')
  const list = await call('GET', '/api/pipelines')
  assert.deepEqual(
    list.body.items.map(({ id }: { id: number }) => id),
    [1],
  )
})

test('an index name that run would refuse is refused at its field', async (t) => {
  const { call } = controlFixture(t)
  for (const [es_index, kafka_topic, detail] of [
    ['Logs', 'a', /must not contain "L"/],
    ['logs-{+yyyy.mm.dd}', 'a', /has "mm"; a date consists of yyyy/],
    ['logs-{day}', 'a', /\{day\} is not \{topic\}/],
    ['{topic}', '_x', /topic _x gives the index _x: .*start with -, _ or \+/],
    ['{topic}', 'A,a', /topics A and a would both go to the index a/],
  ] as const) {
    const { status, body } = await call('POST', '/api/pipelines', {
      ...SEED_PIPELINE,
      es_index,
      kafka_topic,
    })
    assert.equal(status, 422, es_index)
    assert.equal(body.errors[0].field, 'es_index')
    assert.match(body.errors[0].detail, detail)
  }
})

test('every wrong field is named in one problem', async (t) => {
  const { call } = controlFixture(t)
  const answer = await call('POST', '/api/pipelines', {
    name: '',
    pool_size: 1,
    es_bulk_bytes: 'lots',
    es_url: 'http://user:secret@host:9200',
    kafka_topic: 5,
    commit_on: 'never',
    es_drop_when_full: 'perhaps',
    no_such_field: 1,
    replicas: 0,
  })
  assert.equal(answer.status, 422)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  assert.deepEqual(answer.body.errors.map(({ field }: { field: string }) => field).sort(), [
    'commit_on',
    'es_bulk_bytes',
    'es_drop_when_full',
    'es_url',
    'name',
    'no_such_field',
    'pool_size',
    'replicas',
  ])
  assert.equal(answer.body.errors[0].pointer, `#/${answer.body.errors[0].field}`)
  assert.equal((await call('GET', '/api/pipelines')).body.total, 0)
})

test('fields that are right one by one and wrong together are refused', async (t) => {
  const { call } = controlFixture(t)
  const fields = { pool_size: 2, es_password: 'hunter2', es_username: 'u' }
  const answer = await call('POST', '/api/pipelines', { name: 'x', ...fields })
  assert.equal(answer.status, 422)
  assert.equal(answer.body.errors[0].field, 'pool_size')
  assert.match(answer.body.errors[0].detail, /^expected at least \d+ slots, got 2/)
  assert.doesNotMatch(JSON.stringify(answer.body), /hunter2/)
})

test('no field names a program, a file, or a property that runs code', async (t) => {
  const { call } = controlFixture(t)
  const refused: Record<string, unknown>[] = [
    { bridge_lib: '/tmp/evil.so' },
    { pipeline_output: 'file:/etc/passwd' },
    { output: 'file:/etc/passwd' },
    { es_password_file: '/etc/shadow' },
    { run_seconds: 1 },
    { es_enabled: false },
    { __proto__x: 1 },
    { kafka_config: { 'plugin.library.paths': '/tmp/evil' } },
    { kafka_config: { 'sasl.kerberos.kinit.cmd': 'touch /tmp/x' } },
    { kafka_config: { 'sasl.mechanism': 'gssapi' } },
    { kafka_config: { 'ssl.ca.location': '/etc/shadow' } },
    { kafka_config: { 'ssl.key.location': '/etc/shadow' } },
    { kafka_config: { 'sasl.password.file': '/etc/shadow' } },
    { kafka_config: { 'ssl.engine.location': '/tmp/evil' } },
    { kafka_config: { 'enable.auto.commit': 'true' } },
    { kafka_config: ['a'] },
    { es_index: 'a\nb' },
  ]
  for (const fields of refused) {
    const answer = await call('POST', '/api/pipelines', { name: 'x', ...fields })
    assert.equal(answer.status, 422, JSON.stringify(fields))
    assert.equal(answer.body.errors.length, 1, JSON.stringify(fields))
  }
})

test('secrets are taken and never given back', async (t) => {
  const { call, context } = controlFixture(t)
  const secrets = {
    es_username: 'u',
    es_password: 'hunter2-es',
    kafka_config: {
      'security.protocol': 'sasl_ssl',
      'sasl.mechanism': 'PLAIN',
      'sasl.password': 'hunter2-kafka',
      'sasl.username': 'hunter2-user',
    },
  }
  const made = await call('POST', '/api/pipelines', { name: 'x', ...secrets })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.deepEqual(made.body.secrets, {
    es_password: 'set',
    es_api_key: 'unset',
    'kafka_config.sasl.password': 'set',
    'kafka_config.sasl.username': 'set',
  })
  await call('PUT', '/api/pipelines/1', { ...made.body, match_pattern: 'WARN' })
  for (const route of ['', '/1', '/1/revisions']) {
    const answer = await call('GET', `/api/pipelines${route}`)
    assert.doesNotMatch(JSON.stringify(answer.body), /hunter2/)
  }
  assert.equal(context.pipelines.get(1)?.secrets['es_password'], 'hunter2-es', 'kept by PUT')
  await call('PUT', '/api/pipelines/1', {
    name: 'x',
    es_password: null,
    kafka_config: { 'security.protocol': 'sasl_ssl', 'sasl.mechanism': 'PLAIN' },
  })
  assert.equal(context.pipelines.get(1)?.secrets['es_password'], undefined, 'null removes it')
  assert.equal(context.pipelines.revision(1, 1)?.secrets['es_password'], undefined, 'everywhere')
  assert.equal(context.pipelines.get(1)?.secrets['kafka_config.sasl.password'], 'hunter2-kafka')
})

const SASL = { 'security.protocol': 'sasl_ssl', 'sasl.mechanism': 'SCRAM-SHA-512' }
const WITH_SECRETS = {
  ...SEED_PIPELINE,
  kafka_brokers: 'k1:9092,k2:9092',
  es_url: 'https://es:9200',
  es_username: 'u',
  kafka_config: SASL,
}

test('a kept secret goes nowhere but where it was given for', async (t) => {
  const { call, context } = controlFixture(t)
  const first = {
    ...WITH_SECRETS,
    es_password: 'hunter2-es',
    kafka_config: { ...SASL, 'sasl.password': 'hunter2-k', 'sasl.username': 'hunter2-u' },
  }
  assert.equal((await call('POST', '/api/pipelines', first)).status, 201)
  const kafka = ['kafka_config.sasl.password', 'kafka_config.sasl.username']
  const { kafka_brokers: _brokers, ...defaultBrokers } = WITH_SECRETS
  const moves: readonly (readonly [object, readonly string[]])[] = [
    [{ ...WITH_SECRETS, es_url: 'https://other:9200' }, ['es_password']],
    [{ ...WITH_SECRETS, es_url: 'http://es:9200' }, ['es_password']],
    [{ ...WITH_SECRETS, es_url: 'https://es:9201' }, ['es_password']],
    [{ ...WITH_SECRETS, kafka_brokers: 'k1:9092,k3:9092' }, kafka],
    [defaultBrokers, kafka],
    [{ ...WITH_SECRETS, kafka_config: {} }, kafka],
    [{ ...WITH_SECRETS, kafka_config: { ...SASL, 'security.protocol': 'sasl_plaintext' } }, kafka],
    [{ ...WITH_SECRETS, kafka_config: { ...SASL, 'sasl.mechanism': 'PLAIN' } }, kafka],
    ...[
      ['enable.ssl.certificate.verification', 'false'],
      ['ssl.endpoint.identification.algorithm', 'none'],
      ['ssl.ca.pem', '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n'],
    ].map(
      ([name = '', value]) =>
        [{ ...WITH_SECRETS, kafka_config: { ...SASL, [name]: value } }, kafka] as const,
    ),
  ]
  for (const [body, fields] of moves) {
    const { status, body: problem } = await call('PUT', '/api/pipelines/1', body)
    assert.equal(status, 422, JSON.stringify(body))
    const errors: { field: string; detail: string }[] = problem.errors
    assert.deepEqual(errors.map(({ field }) => field).sort(), fields, JSON.stringify(body))
    for (const { detail } of errors) assert.match(detail, /^set it again, .* changed$/)
  }
  assert.equal(context.pipelines.get(1)?.revision, 1)
  const fewer = { ...WITH_SECRETS, kafka_brokers: 'k2:9092', es_url: 'https://es:9200/' }
  assert.equal((await call('PUT', '/api/pipelines/1', fewer)).status, 200, 'no new address')
  const given = { ...fewer, es_url: 'https://other:9200', es_password: 'new' }
  assert.equal((await call('PUT', '/api/pipelines/1', given)).status, 200)
  assert.equal(context.pipelines.get(1)?.secrets['es_password'], 'new')
  const removed = { ...fewer, es_username: '', es_url: 'https://third:9200', es_password: null }
  assert.equal((await call('PUT', '/api/pipelines/1', removed)).status, 200)
  assert.equal(context.pipelines.get(1)?.secrets['es_password'], undefined)
})

test('a way back to another address takes no secret along', async (t) => {
  const { call, context } = controlFixture(t)
  const first = { ...SEED_PIPELINE, es_url: 'http://a:9200', es_username: 'u' }
  await call('POST', '/api/pipelines', { ...first, es_password: 'hunter2' })
  await call('PUT', '/api/pipelines/1', { ...first, match_pattern: 'B' })
  assert.equal((await call('POST', '/api/pipelines/1/rollback', { revision: 1 })).status, 200)
  const other = { ...first, es_url: 'http://b:9200', es_password: 'hunter3' }
  assert.equal((await call('PUT', '/api/pipelines/1', other)).status, 200)
  const back = await call('POST', '/api/pipelines/1/rollback', { revision: 1 })
  assert.equal(back.status, 422)
  assert.match(back.body.detail, /^Revision 1 has secrets for another address/)
  assert.equal(back.body.errors[0].field, 'es_password')
  assert.doesNotMatch(JSON.stringify(back.body), /hunter/)
  assert.equal(context.pipelines.get(1)?.settings.fields['es_url'], 'http://b:9200')
})

test('every change is a revision, and each can be put in force again', async (t) => {
  const { call } = controlFixture(t)
  await call('POST', '/api/pipelines', { name: 'x', match_pattern: 'ONE' })
  await call('PUT', '/api/pipelines/1', { name: 'x', match_pattern: 'TWO', pool_size: 64 })
  await call('PUT', '/api/pipelines/1', { name: 'x', match_pattern: ['A', 'B'] })
  const back = await call('POST', '/api/pipelines/1/rollback', { revision: 1 })
  assert.equal(back.status, 200)
  assert.equal(back.body.match_pattern, 'ONE')
  assert.equal(back.body.revision, 4)
  const revisions = (await call('GET', '/api/pipelines/1/revisions')).body.items
  assert.deepEqual(
    revisions.map(({ revision }: { revision: number }) => revision),
    [4, 3, 2, 1],
  )
  assert.equal(revisions[2].pool_size, 64)
  const last = await call('POST', '/api/pipelines/1/rollback')
  assert.deepEqual(last.body.match_pattern, ['A', 'B'], 'without a body: the one before')
  const unkept = await call('POST', '/api/pipelines/1/rollback', { revision: 99 })
  assert.deepEqual([unkept.status, unkept.body.errors[0].field], [422, 'revision'])
  const fresh = await call('POST', '/api/pipelines', { name: 'fresh' })
  const path = `/api/pipelines/${fresh.body.id}/rollback`
  assert.equal((await call('POST', path)).status, 409, 'there is none before the first')
})

test('old revisions are dropped beyond the bound', async (t) => {
  const { call } = controlFixture(t)
  await call('POST', '/api/pipelines', { name: 'x' })
  for (let index = 0; index < 60; index++) {
    await call('PUT', '/api/pipelines/1', { name: 'x', match_pattern: String(index) })
  }
  const revisions = (await call('GET', '/api/pipelines/1/revisions')).body.items
  assert.equal(revisions.length, 50)
  assert.equal(revisions[0].revision, 61)
})

test('a change made from an old reading is refused', async (t) => {
  const { call } = controlFixture(t)
  const made = await call('POST', '/api/pipelines', { name: 'x' })
  const tag = made.headers.get('etag') ?? ''
  const first = await call('PUT', '/api/pipelines/1', { name: 'y' }, { 'if-match': tag })
  assert.equal(first.status, 200)
  const second = await call('PUT', '/api/pipelines/1', { name: 'z' }, { 'if-match': tag })
  assert.equal(second.status, 412)
  const read = await call('GET', '/api/pipelines/1')
  assert.equal(read.body.name, 'y')
  assert.equal(second.headers.get('etag'), read.headers.get('etag'))
  const any = { 'if-match': '*' }
  assert.equal((await call('PUT', '/api/pipelines/1', { name: 'z' }, any)).status, 200)
  assert.equal(
    (await call('DELETE', '/api/pipelines/1', undefined, { 'if-match': tag })).status,
    412,
  )
})

test('names are unique', async (t) => {
  const { call } = controlFixture(t)
  await call('POST', '/api/pipelines', { name: 'x' })
  await call('POST', '/api/pipelines', { name: 'y' })
  assert.equal((await call('POST', '/api/pipelines', { name: 'x' })).status, 409)
  assert.equal((await call('PUT', '/api/pipelines/2', { name: 'x' })).status, 409)
})

test('a running pipeline is not deleted, a stopped one is', async (t) => {
  const { call, beat } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await beat('w1', { state: 'running', pipeline_id: 1, revision: 1 })
  assert.equal((await call('DELETE', '/api/pipelines/1')).status, 409)
  const stopped = await call('POST', '/api/pipelines/1/stop')
  assert.equal(stopped.body.status.state, 'stopping')
  assert.equal((await call('DELETE', '/api/pipelines/1')).status, 409, 'it still drains')
  await beat('w1')
  assert.equal((await call('DELETE', '/api/pipelines/1')).status, 204)
  assert.equal((await call('GET', '/api/pipelines/1')).status, 404)
})

test('lists come in pages', async (t) => {
  const { call } = controlFixture(t)
  for (let index = 1; index <= 5; index++)
    await call('POST', '/api/pipelines', { name: `p${index}` })
  const names: string[] = []
  let cursor: number | null = 0
  while (cursor !== null) {
    const page = (await call('GET', `/api/pipelines?limit=2&cursor=${cursor}`)).body as {
      items: { name: string }[]
      total: number
      next_cursor: number | null
    }
    assert.equal(page.total, 5)
    names.push(...page.items.map(({ name }) => name))
    cursor = page.next_cursor
  }
  assert.deepEqual(names, ['p1', 'p2', 'p3', 'p4', 'p5'])
  assert.equal((await call('GET', '/api/pipelines?limit=0')).status, 422)
})

test('what is not JSON, not there or not a number is told apart', async (t) => {
  const { call, context } = controlFixture(t)
  assert.equal((await call('GET', '/api/pipelines/7')).status, 404)
  assert.equal((await call('GET', '/api/pipelines/seven')).status, 422)
  assert.equal((await call('GET', '/api/nothing')).status, 404)
  const patched = await call('PATCH', '/api/pipelines/7')
  assert.equal(patched.status, 405)
  assert.equal(patched.headers.get('allow'), 'DELETE, GET, PUT')
  for (const number of ['', '1e1', '0x1', '-1', '1.5', '1.', '01', '9007199254740993']) {
    const query = `/api/pipelines?cursor=${number}`
    assert.equal((await call('GET', query)).status, 422, `cursor ${number}`)
  }
  // To JSON Schema, 1.0 is a whole number.
  assert.equal((await call('GET', '/api/pipelines?cursor=1.0')).status, 200)
  assert.equal((await call('POST', '/api/pipelines')).status, 422)
  const form = await call('POST', '/api/pipelines', { name: 'x' }, { 'content-type': 'text/plain' })
  assert.equal(form.status, 415)
  assert.equal(context.pipelines.count(), 0)
})

test('a full disk is told as such, and changes nothing', async (t) => {
  const reported: unknown[] = []
  const { call, db, beat } = controlFixture(t, { report: (error) => reported.push(error) })
  await beat('w1')
  assert.equal((await call('POST', '/api/pipelines', { name: 'one' })).status, 201)
  db.pragma(`max_page_count = ${String(db.pragma('page_count', { simple: true }))}`)
  const large = { name: 'two', match_pattern: 'A'.repeat(8000) }
  const { status, body } = await call('POST', '/api/pipelines', large)
  assert.equal(status, 503)
  assert.match(body.detail, /Nothing was changed: .* \(SQLITE_FULL\)/)
  assert.equal(reported.length, 1)
  db.pragma('max_page_count = 1000000')
  assert.equal((await call('GET', '/api/pipelines')).body.total, 1)
  assert.equal((await call('POST', '/api/pipelines', large)).status, 201)
})
