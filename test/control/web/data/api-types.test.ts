/** What the dashboard expects is what the API answers: the types here, the members below. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OPTION_FIELDS } from '../../../../src/control/pipeline-fields.ts'
import type { PipelineStatus as ServerStatus } from '../../../../src/core/control-api.ts'
import * as Web from '../../../../src/control/web/data/api-types.ts'
import { FIRST_FIELDS } from '../../../../src/control/web/form/option-labels.ts'
import type { WorkerView } from '../../../../src/core/control-api.ts'
import { controlFixture, SEED_PIPELINE } from '../../control-fixture.ts'

/** The compiler refuses this file when a shape has drifted. */
type Fits<Wanted, Given extends Wanted> = Given
export type Shapes = [Fits<Web.Worker, WorkerView>, Fits<Web.PipelineStatus, ServerStatus>]

const members = (value: object) => Object.keys(value)

test('answers have the members that the dashboard reads', async (t) => {
  const { call, beat } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await beat('w1', { state: 'running', pipeline_id: 1, metrics: { polled_total: 1 } })
  const has = async (path: string, at: (body: never) => object, wanted: readonly string[]) => {
    const { status, body } = await call('GET', path)
    assert.equal(status, 200, path)
    const found = members(at(body as never))
    for (const name of wanted) assert.ok(found.includes(name), `${path} has ${name}`)
  }
  const pipeline: (keyof Web.Pipeline)[] = [
    'id',
    'name',
    'replicas',
    'kafka_config',
    'secrets',
    'enabled',
    'revision',
    'version',
    'status',
  ]
  await has('/api/pipelines', (body: { items: [object] }) => body.items[0], pipeline)
  const runtime: (keyof Web.Runtime)[] = ['at', 'fleet', 'pipelines']
  await has('/api/metrics/runtime', (body: object) => body, runtime)
  const entry: (keyof Web.RuntimeEntry)[] = ['workers', 'metrics', 'rates']
  await has('/api/metrics/runtime', (body: { fleet: object }) => body.fleet, entry)
  const history: (keyof Web.History)[] = ['step_seconds', 'points']
  await has('/api/metrics/runtime/history?seconds=9', (body: object) => body, history)
  const about: (keyof Web.About)[] = [
    'version',
    'program',
    'worker_token_file',
    'worker_token_binds',
  ]
  await has('/api/about', (body: object) => body, about)
  const option: (keyof Web.Option)[] = ['field', 'group_title', 'choices', 'default', 'help']
  await has('/api/options', (body: { items: [object] }) => body.items[0], option)
  await has('/api/options', (body: { kafka_properties: [object] }) => body.kafka_properties[0], [
    'name',
    'secret',
  ])
  const revision: (keyof Web.Revision)[] = [
    'revision',
    'created_at',
    'audit',
    'name',
    'kafka_config',
  ]
  await has('/api/pipelines/1/revisions', (body: { items: [object] }) => body.items[0], revision)
})

test('the fields that a form shows first are options', () => {
  const fields = OPTION_FIELDS.map(({ row }) => row.env.toLowerCase())
  for (const field of FIRST_FIELDS) assert.ok(fields.includes(field), field)
})
