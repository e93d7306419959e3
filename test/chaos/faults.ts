/**
 * How each fault is carried out, from its start to what takes it back. One that hit nothing (no
 * request came meanwhile, the spill was empty) is not counted.
 *
 * Whatever needs a server that is away waits until it is there again, at most PATIENCE_MS.
 */
import {
  closeSync,
  globSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { seededRandom } from '../../src/core/random.ts'
import type { Member } from './member.ts'
import { pause, untilDone } from './pause.ts'
import { TOXIC_WAYS, type Treatment } from './proxy.ts'
import type { Fault, Kind } from './schedule.ts'
import { BUSY, GROWING, REBORN, TORN, type World } from './world.ts'

const PATIENCE_MS = 400_000

/** Carries out a fault from start to end. @returns whether it hit something. */
export type Carry = (world: World, fault: Fault) => Promise<boolean>

export const FAULTS: Readonly<Record<Kind, Carry>> = {
  'SIGKILL of logpipe': onMember(async (member, fault) => {
    await member.kill()
    await pause(fault.holdMs)
    member.start()
  }),
  'SIGSTOP of logpipe': onMember(async (member, fault) => {
    member.freeze()
    await pause(fault.holdMs)
    member.thaw()
  }),
  'a consumer leaves': onMember(async (member, fault) => {
    await member.stopInOrder()
    await pause(fault.holdMs)
    member.start()
  }),
  'a consumer joins': async ({ joiners }, fault) => {
    const joiner = joiners[fault.lane]!
    joiner.start()
    await pause(fault.holdMs)
    await joiner.stopInOrder()
    return true
  },
  'Elasticsearch killed': async (world, fault) => {
    await world.search.kill()
    await pause(fault.holdMs)
    await world.search.restart().catch(() => {
      // A busy machine takes longer than the script waits: what it started goes on starting.
    })
    await untilDone('a start of Elasticsearch', PATIENCE_MS, async () => {
      await world.call('GET', '/')
    })
    return true
  },
  'broker killed': async ({ kafka }, fault) => {
    const brokers = kafka.bootstrapServers.split(',').length
    const broker = 1 + (fault.pick % brokers)
    await kafka.killBroker(broker)
    await pause(fault.holdMs)
    await untilDone('a start of the broker', PATIENCE_MS, () => kafka.startBroker(broker))
    return true
  },
  // A member starts meanwhile: it asks about a partition that nobody answers for.
  'partition without a leader': async (world, { holdMs, pick }) => {
    await world.kafka.killBroker(3)
    await restartMember(world, pick)
    await pause(holdMs)
    await bringBack(world, 3)
    return true
  },
  'wrong advertised address': async (world, { holdMs, pick }) => {
    await world.kafka.stopBroker(3)
    await world.kafka.misplaceBroker(3)
    await pause(BROKER_STARTS_MS)
    await restartMember(world, pick)
    await pause(holdMs)
    await world.kafka.stopBroker(3)
    await bringBack(world, 3)
    return true
  },
  'unclean election': async (world, fault) => {
    const { kafka, feed } = world
    await kafka.killBroker(3)
    await pause(SESSION_OF_BROKER_MS + fault.holdMs)
    // Records of this while have no second copy.
    await feed.pause(TORN)
    await kafka.killBroker(2)
    await bringBack(world, 3)
    await untilDone('an unclean election', PATIENCE_MS, () => kafka.electUnclean(TORN))
    await feed.resume(TORN)
    await bringBack(world, 2)
    return true
  },
  'partition added': async ({ kafka, feed }) => {
    const partitions = feed.partitionsOf(GROWING) + 1
    await untilDone('another partition', PATIENCE_MS, () =>
      kafka.addPartitions(GROWING, partitions),
    )
    feed.addPartition(GROWING)
    return true
  },
  'topic made anew': async (world, fault) => {
    const { kafka, feed, topics } = world
    await feed.pause(REBORN)
    await untilDone(`the end of ${REBORN}`, PATIENCE_MS, () => kafka.deleteTopic(REBORN))
    feed.forget(REBORN)
    await pause(fault.holdMs)
    const topic = topics.find(({ name }) => name === REBORN)!
    await untilDone(`${REBORN}, made anew`, PATIENCE_MS, () => world.makeTopic(topic))
    await feed.resume(REBORN)
    return true
  },
  'static member fenced': async ({ twin }, fault) => {
    if (twin === null) return false
    twin.start()
    await pause(fault.holdMs)
    await twin.stopInOrder()
    return true
  },
  '429 of items': onAnswers(0.7, () => ({
    kind: 'items',
    share: 0.4,
    error: {
      status: 429,
      type: 'es_rejected_execution_exception',
      reason: 'rejected execution of coordinating operation',
    },
  })),
  '429 of requests': onAnswers(0.7, () =>
    refusal(429, 'es_rejected_execution_exception', 'rejected execution of coordinating operation'),
  ),
  '5xx of requests': onAnswers(0.7, (turn) => {
    const status = [500, 502, 503, 504][turn % 4] ?? 503
    return turn % 2 === 0
      ? refusal(status, 'internal_server_error', 'so it was told')
      : { kind: 'status', status, body: `<html><h1>${status}</h1></html>` }
  }),
  '401 and 403 of requests': onAnswers(0.7, (turn) =>
    refusal(turn % 2 === 0 ? 401 : 403, 'security_exception', 'unable to authenticate'),
  ),
  // Twice the largest document: what is sent alone gets through.
  '413 of requests': onAnswers(1, () => ({ kind: 'too large', bytesMax: 4096 })),
  'no answer in time': onAnswers(0.6, (turn) => ({ kind: 'hang', isPassedOn: turn % 2 === 0 })),
  'connection reset': onAnswers(0.6, (turn) => ({ kind: 'reset', isPassedOn: turn % 2 === 0 })),
  'half an answer': onAnswers(0.6, (turn) => ({ kind: 'half', isPassedOn: turn % 2 === 0 })),
  'slow Elasticsearch': onAnswers(0.8, (turn) => ({ kind: 'late', ms: 3500 + (turn % 4) * 800 })),
  'poison documents': async ({ feed }, fault) => {
    feed.sendToxic(BUSY, TOXIC_WAYS[fault.pick % TOXIC_WAYS.length]!)
    await pause(fault.holdMs)
    return true
  },
  'index read-only': onIndex(
    (world, index) => world.call('PUT', `/${index}/_settings`, { 'index.blocks.write': true }),
    (world, index) => world.call('PUT', `/${index}/_settings`, { 'index.blocks.write': null }),
  ),
  'index closed': onIndex(
    (world, index) => world.call('POST', `/${index}/_close`),
    (world, index) => world.call('POST', `/${index}/_open`),
  ),
  'spill directory full': async (world, fault) => {
    const member = memberOf(world, fault)
    return await whileRefused(world, member, async () => {
      const stuffing = world.hasDisks ? stuffDisk(spillFolder(member)) : null
      await pause(fault.holdMs)
      if (stuffing !== null) rmSync(stuffing, { force: true })
      return true
    })
  },
  'spill bytes flipped': async (world, fault) => {
    const member = memberOf(world, fault)
    return await whileRefused(world, member, async () => {
      await pause(fault.holdMs)
      return flipBytes(spillFolder(member), fault.pick)
    })
  },
  'spill tail cut': async (world, fault) => {
    const member = memberOf(world, fault)
    return await whileRefused(world, member, async () => {
      await pause(fault.holdMs)
      return cutTail(spillFolder(member), fault.pick)
    })
  },
}

/** By then the cluster calls a broker dead that was killed; the default is 9 s. */
const SESSION_OF_BROKER_MS = 12_000
/** By then a broker that nobody waits for leads its partitions. */
const BROKER_STARTS_MS = 12_000

async function bringBack({ kafka }: World, broker: number): Promise<void> {
  await untilDone(`a start of broker ${broker}`, PATIENCE_MS, () => kafka.startBroker(broker))
}

async function restartMember({ members }: World, pick: number): Promise<void> {
  const member = members[pick % members.length]!
  await member.kill()
  member.start()
}

function memberOf({ members }: World, fault: Fault): Member {
  return members[fault.lane]!
}

function onMember(carry: (member: Member, fault: Fault) => Promise<void>): Carry {
  return async (world, fault) => {
    await carry(memberOf(world, fault), fault)
    return true
  }
}

/** Seconds to wait for a request, of a member that is dead or has no partition just then. */
const HIT_WAITS_MAX = 60

/** @param make gets the number of the request that it treats, from 0. */
function onAnswers(chance: number, make: (turn: number) => Treatment): Carry {
  return async ({ proxy, members }, fault) => {
    let turn = fault.pick % 1024
    const injection = proxy.add({
      member: members[fault.lane]?.name ?? null,
      chance,
      treatment: () => make(turn++),
    })
    await pause(fault.holdMs)
    for (let waits = 0; injection.hitCount === 0 && waits < HIT_WAITS_MAX; waits++)
      await pause(1000)
    proxy.remove(injection)
    return injection.hitCount > 0
  }
}

function onIndex(
  begin: (world: World, index: string) => Promise<unknown>,
  end: (world: World, index: string) => Promise<unknown>,
): Carry {
  return async (world, fault) => {
    const index = world.indices[fault.lane]!
    await untilDone(
      `a fault of ${index}`,
      PATIENCE_MS,
      async () => void (await begin(world, index)),
    )
    await pause(fault.holdMs)
    await untilDone(`the end of it`, PATIENCE_MS, async () => void (await end(world, index)))
    return true
  }
}

function refusal(status: number, type: string, reason: string): Treatment {
  return { kind: 'status', status, body: JSON.stringify({ error: { type, reason }, status }) }
}

/** Refuses every request of a member meanwhile, so that its spill fills. */
async function whileRefused(
  { proxy }: World,
  member: Member,
  carry: () => Promise<boolean>,
): Promise<boolean> {
  const treatment = () => refusal(503, 'unavailable', 'the spill is needed')
  const injection = proxy.add({ member: member.name, chance: 1, treatment })
  try {
    return await carry()
  } finally {
    proxy.remove(injection)
  }
}

function spillFolder({ settings }: Member): string {
  return path.join(settings.folder, 'spill')
}

/** Writes to the disk until it is full. @returns the file. */
function stuffDisk(folder: string): string {
  const file = path.join(folder, 'stuffing')
  const handle = openSync(file, 'w')
  const chunk = Buffer.alloc(64 * 1024)
  try {
    for (;;) writeSync(handle, chunk)
  } catch {
    // ENOSPC: as was wanted.
  } finally {
    closeSync(handle)
  }
  return file
}

/** A segment has a header of 32 bytes; less than this holds hardly an entry. */
const SEGMENT_BYTES_LEAST = 512

interface SegmentOnDisk {
  readonly file: string
  readonly size: number
}

/** The segments that hold something, oldest first. */
function segmentsOf(folder: string): SegmentOnDisk[] {
  return globSync('queue.bin.d/*.spill', { cwd: folder })
    .sort()
    .map((name) => path.join(folder, name))
    .map((file) => ({ file, size: statSync(file, { throwIfNoEntry: false })?.size ?? 0 }))
    .filter(({ size }) => size >= SEGMENT_BYTES_LEAST)
}

const SEGMENTS_FLIPPED = 3

/**
 * Flips a byte in some segments. One in each: where both an entry and what tells its offset are
 * damaged, nothing could bring it back.
 */
function flipBytes(folder: string, pick: number): boolean {
  const segments = segmentsOf(folder)
  const random = seededRandom(pick)
  const flipCount = Math.min(SEGMENTS_FLIPPED, segments.length)
  for (let flip = 0; flip < flipCount; flip++) {
    const [{ file, size }] = segments.splice(random.index(segments.length), 1) as [SegmentOnDisk]
    const position = random.index(size)
    const handle = openSync(file, 'r+')
    const byte = Buffer.alloc(1)
    readSync(handle, byte, 0, 1, position)
    byte[0] = (byte[0] ?? 0) ^ (1 + random.index(255))
    writeSync(handle, byte, 0, 1, position)
    closeSync(handle)
  }
  return flipCount > 0
}

/**
 * Cuts the newest segment somewhere among the entries that its last ranges block tells of: what is
 * cut together with the block that tells of it, nobody could miss.
 */
function cutTail(folder: string, pick: number): boolean {
  const segment = segmentsOf(folder).at(-1)
  if (segment === undefined) return false
  const bytes = readFileSync(segment.file)
  const entriesFrom = lastRangesEnd(bytes, path.basename(segment.file))
  if (entriesFrom >= bytes.length) return false
  truncateSync(segment.file, entriesFrom + (pick % (bytes.length - entriesFrom)))
  return true
}

/** Where the last ranges block (kind 2, src/sink/spill/format.ts) of a segment ends. */
function lastRangesEnd(bytes: Buffer, name: string): number {
  const sync = Buffer.from(/-([0-9a-f]{16})\.spill$/.exec(name)?.[1] ?? '', 'hex')
  for (let at = bytes.lastIndexOf(sync); at > 0; at = bytes.lastIndexOf(sync, at - 1)) {
    const isWhole = at + 18 <= bytes.length
    if (isWhole && bytes.readUInt16LE(at + 16) === 2) return at + bytes.readUInt32LE(at + 12)
  }
  return bytes.length
}
