/**
 * Elasticsearch is away for a quarter of an hour, under both settings of --commit-on at once: no
 * member leaves its group, memory stays bounded, and everything is delivered afterwards.
 *
 *   --minutes M    15
 *   --rate N       200 records a second; the spill takes half of the outage, then reading waits
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { checkGroups } from '../checker.ts'
import { pause } from '../pause.ts'
import { settle } from '../settle.ts'
import { World } from '../world.ts'

export interface OutageOptions {
  readonly minutes: number
  readonly perSecond: number
  readonly say: (line: string) => void
}

/** About what a record of the feed takes in the spill. */
const SPILLED_BYTES = 1000
const SAMPLE_MS = 2000
/** Before the outage, so that every member has its partitions and all memory it starts with. */
const WARM_UP_MS = 15_000

export async function runOutage({ minutes, perSecond, say }: OutageOptions): Promise<void> {
  const output = path.resolve(`test/output/outage-${process.pid}`)
  mkdirSync(output, { recursive: true })
  const outageMs = minutes * 60_000
  const world = await World.start({
    seed: 1,
    brokers: 1,
    members: { cache: 1, durable: 1 },
    perSecond,
    // Half of the feed matches, and both members take all of it.
    spillBytesMax: Math.round((perSecond / 2) * (outageMs / 2000) * SPILLED_BYTES),
    output,
  })
  try {
    await pause(WARM_UP_MS)
    await world.search.kill()
    say(`Elasticsearch is away for ${minutes} minutes`)
    const rss = new Map(world.members.map((member) => [member.name, [] as number[]]))
    for (const endMs = performance.now() + outageMs; performance.now() < endMs;) {
      for (const { name, pid } of world.members) rss.get(name)?.push(residentBytes(pid))
      await pause(SAMPLE_MS)
    }
    for (const { name, metric } of world.members.map((member) => ({
      name: member.name,
      metric: (key: string) => member.metric(key),
    }))) {
      say(`${name}: spill ${mib(metric('es_spill_queue_bytes'))}, lag ${metric('kafka_lag')}`)
    }
    await world.search.restart()
    await world.feed.stop()
    assert.equal(await settle(world, say), null)
    for (const member of world.members) {
      say(`${member.name}: ${memoryLine(rss.get(member.name) ?? [])}`)
      assertBounded(rss.get(member.name) ?? [])
      assertStayed(path.join(output, `${member.name}.log`))
    }
    for (const [group, findings] of await checkGroups(world)) {
      const { expected, lost, duplicated, wrong, lettersMissing, lettersWrong } = findings
      say(`${group}: ${expected} expected, ${lost.length} lost, ${duplicated.length} twice`)
      assert.deepEqual(
        [lost, duplicated, wrong, lettersMissing, lettersWrong],
        [[], [], [], [], []],
      )
    }
    for (const { member, status, books } of world.members.flatMap(({ endings }) => endings)) {
      assert.equal(status, 0, member)
      assert.ok(books?.balanced, member)
    }
    say('both were delivered whole')
  } finally {
    await world.stop()
  }
}

function residentBytes(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found?.[1] ?? 0) * 1024
}

const mib = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(0)} MiB`

function quarters(samples: readonly number[]): number[] {
  const length = Math.max(1, Math.floor(samples.length / 4))
  return [0, 1, 2, 3].map((at) => Math.max(...samples.slice(at * length, (at + 1) * length)))
}

function memoryLine(samples: readonly number[]): string {
  return `resident at most, by quarters of the outage: ${quarters(samples).map(mib).join(', ')}`
}

/** What the last quarter may have above the second: garbage that waits to be collected. */
const GROWTH_FACTOR = 1.25

function assertBounded(samples: readonly number[]): void {
  const [, second = 0, , last = 0] = quarters(samples)
  assert.ok(last <= second * GROWTH_FACTOR, memoryLine(samples))
}

/** It was given partitions once, and gave none back. */
function assertStayed(logFile: string): void {
  const lines = readFileSync(logFile, 'utf8').split('\n')
  const assigned = lines.filter((line) => line.includes('"msg":"assigned '))
  const revoked = lines.filter((line) => line.includes('"msg":"revoked '))
  assert.equal(assigned.length, 1, assigned.join('\n'))
  assert.deepEqual(revoked, [])
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '15' },
      rate: { type: 'string', default: '200' },
    },
  })
  const { minutes, rate } = values
  await runOutage({
    minutes: Number(minutes),
    perSecond: Number(rate),
    say: (line) => void process.stdout.write(`${line}\n`),
  })
  // The servers' hooks run at the exit.
  process.exit(0)
}
