/**
 * Goal: a change that the control plane accepted survives kill -9, whenever it comes. Method: the
 * program is killed at random instants (also while it starts) under changes of every kind; after
 * each restart everything must be as it was answered last. Of the one change that was under way,
 * each part may be as before or as after.
 *
 * LOGPIPE_TEST_FULL=1 kills fifty times; LOGPIPE_TEST_SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { startProgram, temporaryFolder } from '../helpers/program.ts'

const KILLS = process.env['LOGPIPE_TEST_FULL'] === '1' ? 50 : 6
/** One in so many is killed before it listens. */
const KILLED_EARLY_EVERY = 6
/** From the first change on, or from the start. */
const CHANGES_MS_MAX = 400
const STARTS_MS_MAX = 800
const PIPELINES_MAX = 30
const WORKERS = ['w1', 'w2', 'w3']

/** What the control plane shall know, as flat texts: they compare part by part. */
type State = ReadonlyMap<string, string>

interface Known {
  readonly name: string
  readonly id: number
  /** The pattern of each revision, the first at 0. */
  readonly patterns: readonly string[]
  readonly enabled: boolean
}

interface Model {
  readonly pipelines: ReadonlyMap<string, Known>
  /** Worker to the name of its pipeline. */
  readonly pins: ReadonlyMap<string, string>
}

/** A change as a request, and what it makes of the model when it is accepted. */
interface Change {
  readonly method: string
  readonly route: string
  readonly body?: unknown
  readonly after: (answer: { readonly id: number } | null) => Model
}

function stateOf({ pipelines, pins }: Model): State {
  const state = new Map<string, string>()
  for (const { name, patterns, enabled } of pipelines.values()) {
    state.set(`${name} pattern`, `${patterns.at(-1)} at revision ${patterns.length}`)
    state.set(`${name} enabled`, String(enabled))
  }
  for (const [worker, name] of pins) state.set(`${worker} pin`, name)
  return state
}

/** Mulberry32: small, and the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Makes changes of every kind that the model allows. */
class Changer {
  readonly #random: () => number
  #count = 0

  constructor(random: () => number) {
    this.#random = random
  }

  next(model: Model): Change {
    const known = [...model.pipelines.values()]
    const one = known[Math.floor(this.#random() * known.length)]
    if (one === undefined) return this.#insert(model)
    const isFull = known.length >= PIPELINES_MAX
    const kinds = [
      () => (isFull ? this.#deleteOrStop(model, one) : this.#insert(model)),
      () => this.#replace(model, one),
      () => this.#rollback(model, one),
      () => setEnabled(model, one, !one.enabled),
      () => pin(model, one, WORKERS[Math.floor(this.#random() * WORKERS.length)] ?? 'w1'),
      () => this.#deleteOrStop(model, one),
    ]
    const kind = kinds[Math.floor(this.#random() * kinds.length)]
    assert.ok(kind !== undefined)
    return kind()
  }

  #insert(model: Model): Change {
    const [name, pattern] = [`p${++this.#count}`, `A${this.#count}`]
    const body = { name, match_pattern: pattern, enabled: false }
    const after: Change['after'] = (answer) =>
      withPipeline(model, { name, id: answer?.id ?? 0, patterns: [pattern], enabled: false })
    return { method: 'POST', route: '/api/pipelines', body, after }
  }

  #replace(model: Model, one: Known): Change {
    const pattern = `B${++this.#count}`
    const body = { name: one.name, match_pattern: pattern }
    const after = () => withPipeline(model, { ...one, patterns: [...one.patterns, pattern] })
    return { method: 'PUT', route: `/api/pipelines/${one.id}`, body, after }
  }

  #rollback(model: Model, one: Known): Change {
    const revision = 1 + Math.floor(this.#random() * one.patterns.length)
    // The fifty newest are kept.
    if (one.patterns.length - revision >= 50) return this.#replace(model, one)
    const patterns = [...one.patterns, one.patterns[revision - 1] ?? '']
    const route = `/api/pipelines/${one.id}/rollback`
    const after = () => withPipeline(model, { ...one, patterns })
    return { method: 'POST', route, body: { revision }, after }
  }

  #deleteOrStop(model: Model, one: Known): Change {
    if (one.enabled) return setEnabled(model, one, false)
    const after = () => ({
      pipelines: new Map([...model.pipelines].filter(([name]) => name !== one.name)),
      pins: new Map([...model.pins].filter(([, name]) => name !== one.name)),
    })
    return { method: 'DELETE', route: `/api/pipelines/${one.id}`, after }
  }
}

function setEnabled(model: Model, one: Known, enabled: boolean): Change {
  const route = `/api/pipelines/${one.id}/${enabled ? 'start' : 'stop'}`
  return { method: 'POST', route, after: () => withPipeline(model, { ...one, enabled }) }
}

function pin(model: Model, one: Known, worker: string): Change {
  const body = { pipeline_id: one.id, desired_state: 'running' }
  const after = () => ({
    ...withPipeline(model, { ...one, enabled: true }),
    pins: new Map([...model.pins, [worker, one.name]]),
  })
  return { method: 'PUT', route: `/api/workers/${worker}/assignment`, body, after }
}

function withPipeline(model: Model, one: Known): Model {
  return { ...model, pipelines: new Map([...model.pipelines, [one.name, one]]) }
}

async function call(url: string, { method, route, body }: Omit<Change, 'after'>) {
  const answer = await fetch(url + route, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  const text = await answer.text()
  assert.ok(answer.ok, `${method} ${route}: ${answer.status} ${text}`)
  return text === '' ? null : JSON.parse(text)
}

/** What the control plane tells now. */
async function told(
  url: string,
): Promise<{ readonly state: State; readonly ids: Map<string, number> }> {
  const list = await call(url, { method: 'GET', route: '/api/pipelines?limit=500' })
  const workers = await call(url, { method: 'GET', route: '/api/workers' })
  const state = new Map<string, string>()
  const names = new Map<number, string>()
  for (const { id, name, match_pattern: pattern, revision, enabled } of list.items) {
    names.set(id, name)
    state.set(`${name} pattern`, `${pattern} at revision ${revision}`)
    state.set(`${name} enabled`, String(enabled))
  }
  for (const { id, assignment } of workers.items) {
    if (assignment?.pinned === true)
      state.set(`${id} pin`, names.get(assignment.pipeline_id) ?? '?')
  }
  return { state, ids: new Map([...names].map(([id, name]) => [name, id])) }
}

/** The one of the models that is told; asserts that each part is of one of them. */
function settled(found: Awaited<ReturnType<typeof told>>, models: readonly Model[]): Model {
  const states = models.map(stateOf)
  const keys = new Set([found.state, ...states].flatMap((state) => [...state.keys()]))
  for (const key of keys) {
    const allowed = states.map((state) => state.get(key))
    assert.ok(
      allowed.includes(found.state.get(key)),
      `${key} is ${found.state.get(key)}, was accepted as ${allowed.join(' or ')}`,
    )
  }
  const newest = models.at(-1)
  assert.ok(newest !== undefined)
  const pipelines = new Map<string, Known>()
  for (const [name, id] of found.ids) {
    const pattern = found.state.get(`${name} pattern`)
    const known = models
      .flatMap((model) => model.pipelines.get(name) ?? [])
      .find(
        (one) =>
          stateOf(withPipeline({ pipelines: new Map(), pins: new Map() }, one)).get(
            `${name} pattern`,
          ) === pattern,
      )
    assert.ok(known !== undefined)
    pipelines.set(name, { ...known, id, enabled: found.state.get(`${name} enabled`) === 'true' })
  }
  const pins = WORKERS.flatMap((worker) => {
    const name = found.state.get(`${worker} pin`)
    return name === undefined ? [] : [[worker, name] as const]
  })
  return { pipelines, pins: new Map(pins) }
}

/** Changes one thing after another until it is killed; the models that may be found afterwards. */
async function changeUntilKilled(
  url: string,
  changer: Changer,
  start: Model,
): Promise<{ readonly models: readonly Model[]; readonly accepted: number }> {
  let model = start
  for (let accepted = 0; ; accepted++) {
    const change = changer.next(model)
    try {
      model = change.after(await call(url, change))
    } catch (error) {
      // The connection ended with the process. An answer that is an error is one of ours.
      if (error instanceof assert.AssertionError) throw error
      return { models: [model, change.after(null)], accepted }
    }
  }
}

async function startAndLook(t: TestContext, folder: string, models: readonly Model[]) {
  const control = startProgram(t, folder, ['control', '--listen', '127.0.0.1:0'])
  const [, url = ''] = await control.heard(/control plane at (http:\/\/127\.0\.0\.1:\d+)/)
  return { control, url, model: settled(await told(url), models) }
}

async function killEarly(t: TestContext, folder: string, random: () => number): Promise<void> {
  const control = startProgram(t, folder, ['control', '--listen', '127.0.0.1:0'])
  const timer = setTimeout(() => control.signal('SIGKILL'), random() * STARTS_MS_MAX)
  t.after(() => clearTimeout(timer))
  await control.ended
}

test('kill -9 of the control plane loses no change that it accepted', async (t) => {
  const seed = Number(process.env['LOGPIPE_TEST_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`seed ${seed}`)
  const random = randomOf(seed)
  const changer = new Changer(random)
  const folder = temporaryFolder(t)
  let models: readonly Model[] = [{ pipelines: new Map(), pins: new Map() }]
  let accepted = 0
  for (let kills = 1; kills <= KILLS; kills++) {
    if (kills % KILLED_EARLY_EVERY === 0) {
      await killEarly(t, folder, random)
      continue
    }
    const { control, url, model } = await startAndLook(t, folder, models)
    const timer = setTimeout(() => control.signal('SIGKILL'), random() * CHANGES_MS_MAX)
    const result = await changeUntilKilled(url, changer, model)
    clearTimeout(timer)
    await control.ended
    models = result.models
    accepted += result.accepted
  }
  await startAndLook(t, folder, models)
  t.diagnostic(`${accepted} changes accepted over ${KILLS} kills`)
  assert.ok(accepted > KILLS)
})
