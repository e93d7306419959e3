/** `logpipe run` as a process: its metrics over HTTP, and its lock. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { balanceOf, booksIn } from '../../src/core/live-books.ts'
import { ARGUMENTS, COMMAND } from '../helpers/program-command.ts'

const READY_MS_MAX = 60_000

/** Asks until the answer has the status and says the words, or the time is up. */
async function until(url: string, status: number, says = /./): Promise<string> {
  const endMs = performance.now() + READY_MS_MAX
  for (;;) {
    const answer = await fetch(url)
    const text = await answer.text()
    if (answer.status === status && says.test(text)) return text
    assert.ok(performance.now() < endMs, `${url}: ${answer.status} ${text}`)
  }
}

test('a running pipeline tells its metrics and its state, and keeps others out', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-run-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const env = {
    PATH: process.env['PATH'] ?? '',
    RUNTIME_METRICS_PATH: path.join(folder, 'metrics.json'),
    LOCK_FILE: path.join(folder, 'lock'),
    RUN_SECONDS: '0',
    RUST_WORKERS: '1',
    POOL_SIZE: '16',
  }
  const args = ['run', '--embedded', '--output', 'none', '--metrics-listen']
  const child = spawn(COMMAND, [...ARGUMENTS, ...args, '127.0.0.1:0'], { env })
  t.after(() => child.kill('SIGKILL'))
  let told = ''
  const port = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      told += chunk.toString('utf8')
      const [, found] = /metrics at http:\/\/127\.0\.0\.1:(\d+)\/metrics/.exec(told) ?? []
      if (found !== undefined) resolve(found)
    })
    child.once('exit', () => reject(new assert.AssertionError({ message: told })))
  })
  const base = `http://127.0.0.1:${port}`
  assert.equal(await until(`${base}/health`, 200), 'ok\n')
  assert.equal(await until(`${base}/ready`, 200), 'ready\n')
  const metrics = await until(`${base}/metrics`, 200, /^kafka_lag_bytes /m)
  assert.match(metrics, /^polled_total \d+$/m)
  assert.match(metrics, /^kafka_lag \d+$/m)
  assert.match(metrics, /^kafka_lag_bytes [\d.]+$/m)
  assert.match(metrics, /^kafka_lag_seconds [\d.]+$/m)
  assert.match(metrics, /^es_spill_drain_seconds 0$/m)
  assert.match(metrics, /^kafka_partition_lag\{topic="[^"]+",partition="0"\} \d+$/m)

  assert.match(metrics, /^pipeline_trouble\{kind="elasticsearch_down"\} 0$/m)

  // The books of a running pipeline balance at any moment, not only at its end.
  for (let look = 0; look < 20; look++) {
    const text = await until(
      `${base}/metrics`,
      200,
      /^pipeline_books_total\{entry="fetched"\} [1-9]/m,
    )
    const found = text.matchAll(/^pipeline_books_(?:total|open)\{entry="(\w+)"\} (\d+)$/gm)
    const books = booksIn(Object.fromEntries([...found].map(([, name, n]) => [name, Number(n)])))
    assert.ok(books)
    const { sources, ends } = balanceOf(books)
    assert.ok(sources > 0)
    assert.equal(sources, ends, JSON.stringify(books))
  }

  const refused = (more: Record<string, string>, address: string) => {
    const options = { env: { ...env, ...more }, encoding: 'utf8', timeout: READY_MS_MAX } as const
    const { status, stderr } = spawnSync(COMMAND, [...ARGUMENTS, ...args, address], options)
    return { status, lines: stderr.trimEnd().split('\n') }
  }
  assert.deepEqual(refused({}, '127.0.0.1:0'), {
    status: 75,
    lines: [
      `logpipe: ${env.LOCK_FILE} (--lock) is held by another process: that run goes on, ` +
        'this one ends',
    ],
  })
  const inUse = refused({ LOCK_FILE: path.join(folder, 'other') }, `127.0.0.1:${port}`)
  assert.equal(inUse.status, 1)
  assert.match(
    inUse.lines.at(-1) ?? '',
    /^logpipe: cannot listen on 127\.0\.0\.1:\d+: another process .* METRICS_LISTEN$/,
  )

  child.kill('SIGTERM')
  const [status] = (await once(child, 'exit')) as [number | null]
  assert.equal(status, 0, told)
})
