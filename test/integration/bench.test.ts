/** `logpipe bench` on the embedded broker: its readers are processes of this program. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { CompareReport } from '../../src/bench/compare-report.ts'
import { compareReaders } from '../../src/cli/bench-compare.ts'
import { QUIET_HOST } from '../cli/quiet-host.ts'
import { testFolder } from '../helpers/logpipe.ts'
import { ARGUMENTS, COMMAND } from '../helpers/program-command.ts'

const MEANS = { loadsMax: 1, program: [COMMAND, ...ARGUMENTS] }

test('every reader reads the topic it made, and the result is JSON and an HTML file', async (t) => {
  const html = path.join(testFolder(t), 'bench.html')
  const said: string[] = []
  let printed = ''
  const args = ['--embedded', '--bytes', '8MiB', '--rounds', '1', '--json', '--html', html]
  const status = await compareReaders(
    {
      ...QUIET_HOST,
      args: [...args, '--profile', 'aggressive'],
      print: (text) => (printed += text),
      stderr: { ...QUIET_HOST.stderr, write: (text) => said.push(text) },
    },
    MEANS,
  )
  assert.equal(status, 0)
  const report = JSON.parse(printed) as CompareReport
  assert.equal(report.broker, 'embedded')
  assert.equal(report.profile, 'aggressive')
  const [load] = report.loads
  assert.equal(load?.records, Math.floor((8 * 1024 * 1024) / 100))
  assert.deepEqual(
    load.readers.map(({ reader, rounds, rate_ratio }) => [reader, rounds, rate_ratio]),
    ['plain', 'direct', 'worker', 'raw'].map((reader) => [reader, 1, null]),
  )
  for (const reader of load.readers) {
    assert.ok(reader.records_per_second > 0 && reader.cpu_seconds_per_gb > 0, reader.reader)
    assert.ok(reader.peak_rss_bytes > 0)
  }
  assert.ok(said.some((line) => /^100 B: round 1 of 1: plain [\d.]+, direct/.test(line)))
  assert.match(readFileSync(html, 'utf8'), /^<!doctype html>[\s\S]*<svg[\s\S]*<\/html>\n$/)
})

test('an interrupted bench has no result and says that its topics are gone', async () => {
  const stop = new AbortController()
  const running = compareReaders(
    {
      ...QUIET_HOST,
      args: ['--embedded', '--bytes', '8MiB'],
      stopSignal: () => stop.signal,
      stderr: {
        ...QUIET_HOST.stderr,
        write: (text) => {
          if (/^100 B: [\d,]+ records/.test(text)) stop.abort()
        },
      },
    },
    MEANS,
  )
  await assert.rejects(running, { code: 'STOPPED', message: /its topics are deleted$/ })
})
