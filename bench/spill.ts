/**
 * Question: does the spill take documents as fast as this disk takes bytes, and give them back as
 * fast as a sink can send them?
 * Load: documents of 1 kB (or `--bytes`), in appends of 2,000, until `--size` MiB are stored; the
 * next append is made while one is under way, as the bulk writer does. The yardstick is
 * `dd if=/dev/zero oflag=dsync bs=4M` of as many bytes into the same directory, before each run.
 * Replay: reads of 16 MiB until all is read, from the page cache.
 *
 *   build/node bench/spill.ts [--directory .] [--size 512] [--bytes 1024] [--runs 5]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { SpillEntry } from '../src/sink/spill/contract.ts'
import { openSpill } from '../src/sink/spill/open.ts'
import { median } from '../src/bench/compare-report.ts'

const MIB = 1024 * 1024
const APPEND_ENTRIES = 2000
const READ_BYTES = 16 * MIB

const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: '.' },
    size: { type: 'string', default: '512' },
    bytes: { type: 'string', default: '1024' },
    runs: { type: 'string', default: '5' },
  },
})
const sizeMib = Number(values.size)
const documentBytes = Number(values.bytes)

interface Run {
  readonly dd: number
  readonly append: number
  readonly replay: number
}

const runs: Run[] = []
for (let run = 0; run < Number(values.runs); run++) {
  const directory = mkdtempSync(path.join(values.directory, 'bench-spill-'))
  try {
    const dd = measureDd(directory)
    const result = { dd, ...(await measureSpill(directory)) }
    runs.push(result)
    console.log(
      `run ${run + 1}: dd ${dd.toFixed(0)} MB/s, append ${result.append.toFixed(0)} MB/s ` +
        `(${(result.append / dd).toFixed(2)}x), replay ${result.replay.toFixed(0)} MB/s`,
    )
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
const ratio = median(runs.map((run) => run.append / run.dd))
console.log(
  `median of ${runs.length}, ${documentBytes} B documents: dd ${median(runs.map((run) => run.dd)).toFixed(0)} MB/s, ` +
    `append ${median(runs.map((run) => run.append)).toFixed(0)} MB/s, ratio ${ratio.toFixed(2)} (goal 0.8), ` +
    `replay ${median(runs.map((run) => run.replay)).toFixed(0)} MB/s`,
)

function measureDd(directory: string): number {
  const file = path.join(directory, 'dd')
  const started = performance.now()
  const count = `count=${Math.ceil(sizeMib / 4)}`
  const dd = spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=4M', count, 'oflag=dsync'])
  if (dd.status !== 0) throw new TypeError(`dd failed: ${dd.stderr.toString()}`)
  const rate = mbPerSecond(Math.ceil(sizeMib / 4) * 4 * MIB, started)
  rmSync(file)
  return rate
}

async function measureSpill(directory: string): Promise<{ append: number; replay: number }> {
  const spill = await openSpill({
    path: path.join(directory, 'spill'),
    maxBytes: sizeMib * 2 * MIB,
    commitOn: 'spill',
    pipeline: 'bench',
    target: 'bench',
    locks: { lock: () => 1, unlock: () => undefined },
    events: { damaged: () => undefined, trouble: (message) => console.error(message) },
  })
  const batches = makeBatches()
  const appends = Math.floor((sizeMib * MIB) / (documentBytes * APPEND_ENTRIES))
  const appendStarted = performance.now()
  const underWay: Promise<string>[] = []
  for (let append = 0; append < appends; append++) {
    underWay.push(spill.append(batches[append % batches.length] ?? []))
    if (underWay.length > 4) await underWay.shift()
  }
  await Promise.all(underWay)
  const bytes = appends * APPEND_ENTRIES * documentBytes
  const append = mbPerSecond(bytes, appendStarted)
  const replayStarted = performance.now()
  for (let left = appends * APPEND_ENTRIES; left > 0;) {
    const entries = await spill.read(READ_BYTES)
    left -= entries.length
    spill.release(entries)
  }
  const replay = mbPerSecond(bytes, replayStarted)
  await spill.close()
  return { append, replay }
}

/** Entries of eight partitions in runs, as filled slots give them. */
function makeBatches(): SpillEntry[][] {
  return Array.from({ length: 8 }, (_, batch) =>
    Array.from({ length: APPEND_ENTRIES }, (_entry, index) => ({
      topic: 'app-logs',
      partition: Math.floor(index / 250),
      offset: batch * APPEND_ENTRIES + index,
      timestampMs: 1_700_000_000_000,
      timestampType: 'create',
      index: 'logs-filtered',
      document: Buffer.alloc(documentBytes, 'abcdefgh'),
    })),
  )
}

function mbPerSecond(bytes: number, startedMs: number): number {
  return bytes / 1e6 / ((performance.now() - startedMs) / 1000)
}
