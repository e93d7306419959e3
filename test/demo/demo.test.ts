/** The demo's order of things and its words, with a broker and a pipeline made up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'
import { type DemoDeps, type DemoSettings, DEMO_DEFAULTS, runDemo } from '../../src/demo/demo.ts'
import { leadRecords } from '../../src/demo/embedded.ts'

const SETTINGS: DemoSettings = {
  ...DEMO_DEFAULTS,
  recordsPerSecond: 5000,
  errorShare: 0.01,
  runSeconds: 2,
  patterns: [Buffer.from('ERROR')],
  patternText: 'ERROR',
  isExact: true,
}

interface Given {
  readonly settings?: Partial<DemoSettings>
  /** Matches that the pipeline misses. */
  readonly missed?: number
  /** Records that the pipeline reads twice. */
  readonly twice?: number
  /** Ends the pipeline by itself with this at half a second. */
  readonly failure?: Error
  /** Ctrl-C at half a second. */
  readonly interrupted?: boolean
}

async function run(given: Given) {
  const clock = new ManualClock()
  const abort = new AbortController()
  const ended = Promise.withResolvers<undefined>()
  const steps: string[] = []
  const said: string[] = []
  const state = { sent: 0, matched: 0, isDone: false }
  const deps: DemoDeps = {
    clock,
    signal: abort.signal,
    say: (line) => said.push(line),
    bridge: {
      mockOpen: () => ({ id: 7, bootstrapServers: '127.0.0.1:4242' }),
      mockClose: (id) => void steps.push(`broker ${id} closed`),
    },
    openProducer: () =>
      Promise.resolve({
        send(_topic, _partition, _key, value) {
          state.sent++
          if (Buffer.from(value).includes('ERROR')) state.matched++
          return true
        },
        flush: () => Promise.resolve(void steps.push('flushed')),
        close: () => Promise.resolve(void steps.push('producer closed')),
      }),
    startPipeline: ({ brokers }) => {
      steps.push(`pipeline on ${brokers}`)
      return Promise.resolve({
        stats: () => ({
          fetched: state.sent + (given.twice ?? 0),
          matched: state.matched - (given.missed ?? 0),
        }),
        lastKept: () => (state.matched === 0 ? null : 'level=ERROR a\u001B[31mb'),
        stop() {
          steps.push('pipeline stopped')
          ended.resolve(undefined)
          return Promise.resolve()
        },
        done: ended.promise,
      })
    },
  }
  const result = runDemo({ ...SETTINGS, ...given.settings }, deps)
  const settled = result.catch(() => null).finally(() => (state.isDone = true))
  for (let turn = 0; !state.isDone && turn < 50_000; turn++) {
    if (clock.monotonicMs() >= 500) {
      if (given.failure !== undefined) ended.reject(given.failure)
      if (given.interrupted === true) abort.abort()
    }
    clock.advance(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await settled
  return { result, steps, text: said.join('\n'), clock, state }
}

const IN_ORDER = [
  'pipeline on 127.0.0.1:4242',
  'flushed',
  'pipeline stopped',
  'producer closed',
  'broker 7 closed',
]

test('the demo runs for its time, finds all, says so, and closes in order', async () => {
  const { result, steps, text, clock, state } = await run({})
  await result
  assert.deepEqual(steps, IN_ORDER)
  assert.ok(clock.monotonicMs() >= 2000 && clock.monotonicMs() < 2200, `${clock.monotonicMs()} ms`)
  assert.ok(Math.abs(state.sent - 10_000) < 100, `${state.sent} lines`)
  assert.match(text, /5,000 lines a second .* ERROR in one line of 100$/m)
  const found = `^${state.matched} lines contained ERROR, and logpipe found every one`
  assert.match(text, new RegExp(found, 'm'))
  assert.match(text, /lines were produced, (4,9|5,0)\d\d a second, and/)
  assert.doesNotMatch(text, /were asked for/)
  assert.match(
    text,
    /^The last that was kept, whole:\n {2}level=ERROR a\\u001b\[31mb\n\nTry next:$/m,
  )
})

test('a match that was not found fails the demo', async () => {
  const { result, steps } = await run({ missed: 1 })
  await assert.rejects(result, {
    code: 'BOOKS',
    message: /lines contained ERROR, but \d+ were found/,
  })
  assert.deepEqual(steps, IN_ORDER)
})

test('a line that was read twice fails the demo', async () => {
  const { result, steps } = await run({ twice: 3 })
  await assert.rejects(result, { code: 'BOOKS', message: /^3 lines were read twice/ })
  assert.deepEqual(steps, IN_ORDER)
})

test('patterns that the demo cannot count for itself are not judged', async () => {
  const { result, text } = await run({ missed: 1, settings: { isExact: false } })
  await result
  assert.doesNotMatch(text, /found every one/)
})

test('an error of the pipeline ends the generator and comes through', async () => {
  const failure = new RangeError('a thread died')
  const { result, steps, clock } = await run({ failure })
  await assert.rejects(result, failure)
  assert.deepEqual(steps, IN_ORDER)
  assert.ok(clock.monotonicMs() < 700)
})

test('Ctrl-C ends a demo without a time', async () => {
  const { result, clock } = await run({ interrupted: true, settings: { runSeconds: 0 } })
  await result
  assert.ok(clock.monotonicMs() < 700)
})

test('what may lie unread fits into one partition of the embedded broker', () => {
  for (const bytes of [null, 1, 100, 1000, 100_000, 4 * 1024 * 1024]) {
    const records = leadRecords(bytes)
    assert.ok(records >= 1 && records <= 50_000)
    assert.ok(records * (bytes ?? 768) <= 4 * 1024 * 1024)
  }
})
