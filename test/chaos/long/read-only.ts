/**
 * One index is read-only for five minutes: the other one, fed by the same process, goes on at 90 %
 * of its rate or more, and what waited arrives afterwards.
 *
 *   --minutes M    5, after one fifth of that to know the rate before
 *   --rate N       1000 records a second, half of them for each index
 */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { checkGroups } from '../checker.ts'
import { pause, untilDone } from '../pause.ts'
import { settle } from '../settle.ts'
import { indexName, World } from '../world.ts'

export interface ReadOnlyOptions {
  readonly minutes: number
  readonly perSecond: number
  readonly say: (line: string) => void
}

const HELD = indexName('cache', 'orders')
const FLOWING = indexName('cache', 'events')
/** The share of the rate before that must be left. */
const SHARE_LEAST = 0.9
const WARM_UP_MS = 15_000

export async function runReadOnly({ minutes, perSecond, say }: ReadOnlyOptions): Promise<void> {
  const output = path.resolve(`test/output/read-only-${process.pid}`)
  mkdirSync(output, { recursive: true })
  const heldMs = minutes * 60_000
  const world = await World.start({
    seed: 1,
    brokers: 1,
    members: { cache: 1 },
    perSecond,
    // The held index has used up its half after a tenth of the time.
    spillBytesMax: Math.round((perSecond / 4) * (heldMs / 10_000) * 1000 * 2),
    output,
  })
  try {
    await pause(WARM_UP_MS)
    const before = await rateOf(world, heldMs / 5)
    say(`before: ${before.toFixed(1)} documents a second in ${FLOWING}`)
    await setReadOnly(world, true)
    const meanwhile = await rateOf(world, heldMs)
    await setReadOnly(world, false)
    const share = meanwhile / before
    say(
      `meanwhile: ${meanwhile.toFixed(1)} documents a second, ${(share * 100).toFixed(1)} %, ` +
        `over ${minutes} minutes of a read-only ${HELD}`,
    )
    await world.feed.stop()
    assert.equal(await settle(world, say), null)
    for (const { expected, lost, duplicated } of (await checkGroups(world)).values()) {
      say(`${expected} expected, ${lost.length} lost, ${duplicated.length} duplicated`)
      assert.deepEqual([lost, duplicated], [[], []])
    }
    assert.ok(share >= SHARE_LEAST, `${share} of the rate before`)
  } finally {
    await world.stop()
  }
}

/** Documents a second that come into the index that flows. */
async function rateOf(world: World, ms: number): Promise<number> {
  const startedMs = performance.now()
  const before = await countOf(world)
  await pause(ms)
  return ((await countOf(world)) - before) / ((performance.now() - startedMs) / 1000)
}

async function countOf(world: World): Promise<number> {
  await world.call('POST', `/${FLOWING}/_refresh`)
  return ((await world.call('GET', `/${FLOWING}/_count`)) as { count: number }).count
}

async function setReadOnly(world: World, isReadOnly: boolean): Promise<void> {
  const settings = { 'index.blocks.write': isReadOnly ? true : null }
  await untilDone('the block', 60_000, async () => {
    await world.call('PUT', `/${HELD}/_settings`, settings)
  })
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      rate: { type: 'string', default: '1000' },
    },
  })
  const { minutes, rate } = values
  await runReadOnly({
    minutes: Number(minutes),
    perSecond: Number(rate),
    say: (line) => void process.stdout.write(`${line}\n`),
  })
  // The servers' hooks run at the exit.
  process.exit(0)
}
