/**
 * When which fault happens: a list made from a seed and nothing else, so that a seed that found
 * something finds it again.
 *
 * A fault occupies a lane (a member, an index, Kafka, Elasticsearch) from its start until what it
 * hit has recovered; on one lane faults follow one another, on different lanes they overlap. What
 * the proxy does to answers has no lane: any number of those overlap.
 *
 * Used by chaos.ts; faults.ts carries out what is listed here.
 */
import assert from 'node:assert/strict'
import { seededRandom, type Random } from '../../src/core/random.ts'

type Resource =
  'member' | 'joiner' | 'twin' | 'kafka' | 'topic' | 'elasticsearch' | 'index' | 'answers'

export type Kind =
  | 'SIGKILL of logpipe'
  | 'SIGSTOP of logpipe'
  | 'a consumer leaves'
  | 'a consumer joins'
  | 'Elasticsearch killed'
  | 'broker killed'
  | 'partition without a leader'
  | 'wrong advertised address'
  | 'unclean election'
  | 'partition added'
  | 'topic made anew'
  | 'static member fenced'
  | '429 of items'
  | '429 of requests'
  | '5xx of requests'
  | '401 and 403 of requests'
  | '413 of requests'
  | 'no answer in time'
  | 'connection reset'
  | 'half an answer'
  | 'slow Elasticsearch'
  | 'poison documents'
  | 'index read-only'
  | 'index closed'
  | 'spill directory full'
  | 'spill bytes flipped'
  | 'spill tail cut'

interface KindPlan {
  readonly resource: Resource
  /** Of 200 faults at least so many; of fewer in proportion, but one of each. */
  readonly least: number
  /** How often it is drawn beyond that. */
  readonly weight: number
  /** How long it lasts, at least and at most. */
  readonly holdSeconds: readonly [number, number]
  /** What the lane needs afterwards, until the next fault on it means something. */
  readonly recoverSeconds: number
  /** It takes three brokers: with one it would be the loss of all of them. */
  readonly isForThree?: true
}

const plan = (
  resource: Resource,
  least: number,
  weight: number,
  holdSeconds: readonly [number, number],
  recoverSeconds: number,
): KindPlan => ({ resource, least, weight, holdSeconds, recoverSeconds })

const forThree = (...args: Parameters<typeof plan>): KindPlan => ({
  ...plan(...args),
  isForThree: true,
})

export const KINDS: Readonly<Record<Kind, KindPlan>> = {
  'SIGKILL of logpipe': plan('member', 30, 6, [0, 6], 5),
  'SIGSTOP of logpipe': plan('member', 5, 0, [60, 60], 5),
  'a consumer leaves': plan('member', 8, 2, [1, 10], 5),
  'a consumer joins': plan('joiner', 8, 2, [8, 25], 5),
  'Elasticsearch killed': plan('elasticsearch', 10, 0, [2, 10], 20),
  'broker killed': plan('kafka', 8, 0, [1, 8], 20),
  'partition without a leader': forThree('kafka', 2, 0, [20, 30], 20),
  'wrong advertised address': forThree('kafka', 2, 0, [20, 30], 25),
  'unclean election': forThree('kafka', 2, 0, [6, 10], 60),
  'partition added': plan('topic', 3, 0, [0, 1], 15),
  'topic made anew': plan('topic', 3, 0, [0, 6], 25),
  'static member fenced': plan('twin', 3, 0, [8, 15], 12),
  '429 of items': plan('answers', 8, 3, [4, 12], 0),
  '429 of requests': plan('answers', 8, 3, [4, 12], 0),
  '5xx of requests': plan('answers', 8, 3, [4, 12], 0),
  '401 and 403 of requests': plan('answers', 4, 1, [2, 6], 0),
  '413 of requests': plan('answers', 6, 2, [4, 12], 0),
  'no answer in time': plan('answers', 6, 2, [4, 12], 0),
  'connection reset': plan('answers', 6, 2, [4, 12], 0),
  'half an answer': plan('answers', 4, 1, [4, 12], 0),
  'slow Elasticsearch': plan('answers', 4, 1, [10, 20], 0),
  'poison documents': plan('answers', 6, 1, [0, 1], 0),
  'index read-only': plan('index', 8, 2, [3, 15], 3),
  'index closed': plan('index', 8, 2, [3, 15], 3),
  'spill directory full': plan('member', 5, 1, [8, 15], 5),
  'spill bytes flipped': plan('member', 8, 1, [4, 8], 5),
  'spill tail cut': plan('member', 8, 1, [4, 8], 5),
}

export const KIND_NAMES = Object.keys(KINDS) as readonly Kind[]

/** The faults that `least` is counted in. */
const LEAST_OF = 200

export interface Fault {
  /** From 0, in order of `atMs`. */
  readonly number: number
  readonly kind: Kind
  /** Since the start of the schedule. */
  readonly atMs: number
  readonly holdMs: number
  /** Which member, joiner or index; 0 where there is one only. */
  readonly lane: number
  /** 0 to 2^32 - 1: what else the fault has to choose. */
  readonly pick: number
}

export interface ScheduleOptions {
  readonly seed: number
  readonly faults: number
  readonly minutes: number
  /** How many of each there are. */
  readonly members: number
  readonly joiners: number
  readonly indices: number
  readonly brokers: 1 | 3
  /** How long a stopped process is stopped; 60 if left out. */
  readonly stopSeconds?: number
}

export function makeSchedule(options: ScheduleOptions): Fault[] {
  const random = seededRandom(options.seed)
  const kinds = drawKinds(options, random)
  const endMs = options.minutes * 60_000
  const taken = new Map<string, Span[]>()
  // The long ones first: the short ones find room between them.
  const placed = kinds
    .map((kind) => ({ kind, holdMs: drawHoldMs(kind, options, random), pick: random.next() }))
    .toSorted((left, right) => right.holdMs - left.holdMs)
    .map((fault) => ({ ...fault, ...place(fault, options, endMs, taken, random) }))
    .toSorted((left, right) => left.atMs - right.atMs)
  return placed.map((fault, number) => ({ number, ...fault }))
}

/** How many of a kind there are at least among so many faults. */
export function leastOf(kind: Kind, faults: number): number {
  return Math.max(1, Math.floor((KINDS[kind].least * faults) / LEAST_OF))
}

/** Faults on one lane follow one another. */
export function laneName({ kind, lane }: Pick<Fault, 'kind' | 'lane'>): string {
  return `${KINDS[kind].resource} ${lane}`
}

/** How long a lane is taken by a fault, from its start. */
export function occupiedMs(fault: Pick<Fault, 'kind' | 'holdMs'>): number {
  return fault.holdMs + KINDS[fault.kind].recoverSeconds * 1000
}

/** The kinds that this many brokers allow. */
export function kindsFor(brokers: 1 | 3): Kind[] {
  return KIND_NAMES.filter((kind) => brokers === 3 || KINDS[kind].isForThree !== true)
}

function drawKinds({ faults, brokers }: ScheduleOptions, random: Random): Kind[] {
  const names = kindsFor(brokers)
  const kinds = names.flatMap((kind) => Array.from({ length: leastOf(kind, faults) }, () => kind))
  assert.ok(kinds.length <= faults, `at least ${kinds.length} faults, for one of each kind`)
  const weighted = names.flatMap((kind) => Array.from({ length: KINDS[kind].weight }, () => kind))
  while (kinds.length < faults) kinds.push(weighted[random.index(weighted.length)]!)
  return kinds
}

function drawHoldMs(kind: Kind, { stopSeconds }: ScheduleOptions, random: Random): number {
  if (kind === 'SIGSTOP of logpipe' && stopSeconds !== undefined) return stopSeconds * 1000
  const [least, most] = KINDS[kind].holdSeconds
  return least * 1000 + random.index((most - least) * 1000 + 1)
}

interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** Times to try before the schedule is held to be too full. */
const TRIES_MAX = 10_000

function place(
  fault: { readonly kind: Kind; readonly holdMs: number },
  options: ScheduleOptions,
  endMs: number,
  taken: Map<string, Span[]>,
  random: Random,
): { atMs: number; lane: number } {
  const { resource } = KINDS[fault.kind]
  const lengthMs = occupiedMs(fault)
  const room = Math.floor(endMs - lengthMs)
  assert.ok(room >= 0, `${options.minutes} minutes are too short for ${fault.kind}`)
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const lane = random.index(laneCount(resource, options))
    const fromMs = random.index(room + 1)
    if (resource === 'answers') return { atMs: fromMs, lane }
    const spans = childOf(taken, laneName({ kind: fault.kind, lane }))
    const toMs = fromMs + lengthMs
    if (spans.some((span) => span.fromMs < toMs && fromMs < span.toMs)) continue
    spans.push({ fromMs, toMs })
    return { atMs: fromMs, lane }
  }
  return assert.fail(`${options.faults} faults do not fit into ${options.minutes} minutes`)
}

function laneCount(resource: Resource, options: ScheduleOptions): number {
  switch (resource) {
    case 'member':
      return options.members
    case 'joiner':
      return options.joiners
    case 'index':
      return options.indices
    case 'answers':
      // One member, or, beyond their number, all of them.
      return options.members + 1
    default:
      return 1
  }
}

function childOf(taken: Map<string, Span[]>, lane: string): Span[] {
  const known = taken.get(lane)
  if (known !== undefined) return known
  const spans: Span[] = []
  taken.set(lane, spans)
  return spans
}
