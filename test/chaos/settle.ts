/** The end of a run: everything is delivered and committed, and every process ends in order. */
import { pause } from './pause.ts'
import type { World } from './world.ts'

/** How long the rest may take to be delivered. */
const DELIVER_MS_MAX = 300_000
/** What has not changed for so long will not: longer than a session and a rebalance take. */
const STUCK_MS = 60_000
const LOOK_EVERY_MS = 1000

/**
 * Where something is left, all are started once more, to know whether that would help.
 * @returns what was not delivered, or not by the first start; null when all was.
 */
export async function settle(world: World, say: (line: string) => void): Promise<string | null> {
  const left = await runUntilDelivered(world)
  say(left ?? 'all is delivered')
  if (left === null) return null
  const leftAgain = await runUntilDelivered(world)
  return leftAgain ?? `delivered only by another start: ${left}`
}

async function runUntilDelivered(world: World): Promise<string | null> {
  const members = world.everyone.filter((member) => member.hasRun && member !== world.twin)
  for (const member of members) member.start()
  const left = await untilDelivered(world)
  await Promise.all(members.map((member) => member.stopInOrder()))
  return left
}

async function untilDelivered(world: World): Promise<string | null> {
  const startedMs = performance.now()
  let before: string | null = null
  let changedMs = startedMs
  for (;;) {
    const left = await undelivered(world)
    const nowMs = performance.now()
    if (left === null || nowMs > startedMs + DELIVER_MS_MAX) return left
    if (left !== before) changedMs = nowMs
    else if (nowMs > changedMs + STUCK_MS) return left
    before = left
    await pause(LOOK_EVERY_MS)
  }
}

/** What is not committed, or lies in a spill, by now. */
async function undelivered({ kafka, topics, groups, everyone }: World): Promise<string | null> {
  const left: string[] = []
  for (const { name: topic } of topics) {
    const ends = await kafka.endOffsets(topic)
    for (const { name } of groups) {
      const committed = await kafka.groupOffsets(name, topic)
      const lags = ends.map((end, partition) => end - Math.max(0, committed[partition] ?? 0))
      if (lags.some((lag) => lag > 0)) left.push(`${name} lags ${lags.join(' ')} in ${topic}`)
    }
  }
  for (const member of everyone) {
    const bytes = member.metric('es_spill_queue_bytes')
    if (bytes > 0) left.push(`${member.name} has ${bytes} bytes in its spill`)
  }
  return left.length === 0 ? null : `not delivered: ${left.join('; ')}`
}
