/** `logpipe top`: what it shows of a snapshot, of a fleet, and where it looks. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { top, fitted, fleetText, pipelineText, ratesBetween, rateText } from '../../src/cli/top.ts'
import { systemClock, type Clock } from '../../src/core/clock.ts'
import { startTestControl } from '../control/running-control.ts'
import { recordedHost } from './recorded-host.ts'

const DOWN = {
  kind: 'elasticsearch_down',
  place: null,
  text: 'Elasticsearch is down',
  since: '2026-12-01T00:00:00.000Z',
}
const CALM = { atMs: 0, troubles: [], books: null, logMetrics: [] }

test('rates come from two readings, and a counter that fell began anew', () => {
  const before = {
    ...CALM,
    atMs: 1000,
    metrics: { polled_total: 100, written_total: 50, kafka_lag: 7 },
  }
  const now = {
    ...CALM,
    atMs: 3000,
    metrics: { polled_total: 700, written_total: 20, kafka_lag: 5 },
  }
  assert.deepEqual(ratesBetween(before, now), { polled_per_second: 300, written_per_second: 10 })
  assert.deepEqual(ratesBetween(now, now), {}, 'the same reading twice says nothing')
  assert.deepEqual([9.96, 0.04, 12.4, 85_000].map(rateText), ['10', '0', '12', '85,000'])
})

test('a pipeline is shown with its flow, its queues, and what is not as it should be', () => {
  const metrics = { polled_total: 85_000, kafka_lag: 12, dead_letters_total: 3, pool_total: 256 }
  const rates = { polled_per_second: 85_000, polled_bytes_per_second: 86_302_720 }
  const trouble = {
    kind: 'elasticsearch_down',
    place: null,
    text: 'Elasticsearch is down: connect\u001B[31m ECONNREFUSED',
    since: '1970-01-01T00:00:03.000Z',
  }
  const text = pipelineText(
    'data/x.json',
    { ...CALM, atMs: 15_000, metrics, troubles: [trouble] },
    rates,
  )
  assert.match(text, /^polled +85,000 +82\.3 MiB\/s +85,000$/m)
  assert.match(text, /^lag +12 records$/m)
  assert.match(text, /^counted +dead_letters 3$/m)
  const line = 'trouble  Elasticsearch is down: connect\\u001b[31m ECONNREFUSED (for 12.0 s)'
  assert.ok(text.includes(`\n${line}\n`), text)
  const { polled_total: total } = metrics
  const calm = pipelineText('data/x.json', { ...CALM, metrics: { polled_total: total } }, {})
  assert.match(calm, /^lag +unknown$/m)
  assert.match(calm, /^trouble +none$/m)
})

test('a fleet is shown with the busiest pipeline first, and what is wrong beneath', () => {
  const item = (id: number, state: string, reason: string | null) => ({
    id,
    name: `p${id}`,
    status: {
      state,
      reason,
      reasons: id === 2 ? [{ worker_id: 'b', ...DOWN }] : [],
    },
  })
  const runs = (id: number, polled: number, workers: readonly string[]) => ({
    pipeline_id: id,
    workers,
    metrics: { kafka_lag: 5 },
    rates: { polled_per_second: polled },
  })
  const worker = (id: string, pipelineId: number | null, live = true) => ({
    id,
    live,
    state: 'running',
    pipeline_id: pipelineId,
    error: null,
  })
  const text = fleetText('http://c:8088', {
    runtime: {
      at: '2026-12-01T00:00:05.000Z',
      fleet: { rates: {} },
      pipelines: [runs(1, 10, ['a']), runs(2, 2000, ['b', 'c', 'd'])],
    },
    pipelines: [
      item(1, 'running', null),
      item(2, 'degraded', 'b: Elasticsearch is down'),
      item(3, 'pending', 'no\nworker'),
    ],
    workers: { items: [worker('a', 1), worker('b', 2), worker('e', null), worker('f', 1, false)] },
  })
  const lines = text.split('\n')
  assert.equal(lines[0], 'http://c:8088   3 of 4 workers live, 1 idle   2 of 3 pipelines run')
  assert.match(lines[3] ?? '', /^ 2 +p2 +degraded +3 workers +2,000 /)
  assert.match(lines[4] ?? '', /^ 1 +p1 +running +a +10 /)
  assert.match(lines[5] ?? '', /^ 3 +p3 +pending +- +0 /)
  assert.equal(lines[7], '2 p2: b: Elasticsearch is down (for 5.0 s)')
  assert.equal(lines[8], '3 p3: no\\nworker')
})

test('a screen shows what fits, and says how much does not', () => {
  const text = Array.from({ length: 20 }, (_, index) => `line ${index} ${'.'.repeat(90)}`).join(
    '\n',
  )
  const shown = fitted(text, 10, 20)
  assert.equal(shown.length, 9)
  assert.equal(shown.at(-1), '... and 12 more lines')
  assert.ok(shown.every((line) => line.length <= 21))
  assert.equal(fitted(text, 50, 20).length, 20)
})

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-top-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Waits for nothing; `onWait` is what happens meanwhile. */
const impatient = (onWait: () => void): Clock => ({
  ...systemClock,
  after(_delayMs, callback) {
    onWait()
    setImmediate(callback)
    return () => undefined
  },
})

test('a snapshot that is named is shown with the rates of a second', async (t) => {
  const file = path.join(folderOf(t), 'metrics.json')
  const endMs = Date.now()
  const write = (polled: number, agoMs: number) => {
    writeFileSync(file, JSON.stringify({ polled_total: polled, uptime_seconds: 61 }))
    const atS = (endMs - agoMs) / 1000
    utimesSync(file, atS, atS)
  }
  write(1000, 3000)
  const host = recordedHost({ RUNTIME_METRICS_PATH: file })
  const clock = impatient(() => write(5000, 1000))
  assert.equal(await top(host.context(['--once']), clock), 0)
  assert.match(host.printed(), /up 1m 1s\n[^]*^polled +2,000 .* 5,000$/m)
  await assert.rejects(top(recordedHost({ RUNTIME_METRICS_PATH: `${file}.x` }).context([])), {
    code: 'CONTROL',
    message: /is not the snapshot of a running pipeline/,
  })
})

test('a control plane that is named is shown, as text or as one object', async (t) => {
  const { url } = await startTestControl(t)
  const host = recordedHost({ CONTROL_PLANE_URL: url })
  assert.equal(await top(host.context([])), 0)
  assert.match(host.printed(), /0 of 0 workers live, 0 idle {3}0 of 0 pipelines run/)
  assert.equal(await top(host.context(['--once', '--json'])), 0)
  const data = JSON.parse(host.printed())
  assert.deepEqual(data.pipelines, [])
})
