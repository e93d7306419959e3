/**
 * A chaos run: a world, a schedule of faults, and at the end the question what became of every
 * record. `npm run test:chaos` (main.ts) is the long form, chaos.test.ts the short one.
 */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { checkGroups } from './checker.ts'
import { FAULTS } from './faults.ts'
import { pause } from './pause.ts'
import { render, type Outcome } from './report.ts'
import { KINDS, laneName, makeSchedule, type Fault, type Kind } from './schedule.ts'
import { settle } from './settle.ts'
import { World } from './world.ts'

export interface ChaosOptions {
  readonly seed: number
  readonly faults: number
  readonly minutes: number
  readonly brokers: 1 | 3
  readonly members: Readonly<Record<string, number>>
  readonly perSecond: number
  readonly stopSeconds?: number
  readonly say: (line: string) => void
}

/** Small, so that the spill is needed, is full at times, and has several segments. */
const SPILL_BYTES_MAX = 2 * 1024 * 1024

export async function runChaos(options: ChaosOptions): Promise<Outcome> {
  const output = path.resolve(`test/output/chaos-${options.seed}-${process.pid}`)
  mkdirSync(output, { recursive: true })
  options.say(`seed ${options.seed}; what the members say is kept in ${output}`)
  const world = await World.start({ ...options, output, spillBytesMax: SPILL_BYTES_MAX })
  try {
    return await new Run(world, options).toTheEnd()
  } finally {
    await world.stop()
  }
}

class Run {
  readonly #world: World
  readonly #options: ChaosOptions
  readonly #injected = new Map<Kind, number>()
  readonly #missed = new Map<Kind, number>()
  readonly #failures: string[] = []
  /** The end of the last fault of each lane: one that takes longer than planned delays the next. */
  readonly #lanes = new Map<string, Promise<void>>()
  readonly #startedMs = performance.now()

  constructor(world: World, options: ChaosOptions) {
    this.#world = world
    this.#options = options
  }

  async toTheEnd(): Promise<Outcome> {
    const { seed, brokers } = this.#options
    const schedule = makeSchedule({
      ...this.#options,
      members: this.#world.members.length,
      joiners: this.#world.joiners.length,
      indices: this.#world.indices.length,
    })
    await this.#inject(schedule)
    const minutes = this.#minutes
    await this.#world.feed.stop()
    const undelivered = await settle(this.#world, (line) => this.#say(line))
    const groups = await checkGroups(this.#world)
    const { feed, everyone, hasDisks } = this.#world
    const outcome: Outcome = {
      seed,
      minutes,
      brokers,
      hasDisks,
      planned: schedule.length,
      injected: this.#injected,
      missed: this.#missed,
      failures: this.#failures,
      acknowledged: feed.acknowledgedCount,
      refused: feed.refusedCount,
      gone: feed.goneCount,
      groups,
      endings: everyone.flatMap((member) => member.endings),
      undelivered,
    }
    for (const line of render(outcome)) this.#options.say(line)
    return outcome
  }

  get #minutes(): number {
    return (performance.now() - this.#startedMs) / 60_000
  }

  #say(line: string): void {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1).padStart(7)
    this.#options.say(`${seconds}  ${line}`)
  }

  /** Carries out the whole schedule, and waits for its last end. */
  async #inject(schedule: readonly Fault[]): Promise<void> {
    const startedMs = performance.now()
    const running: Promise<void>[] = []
    for (const fault of schedule) {
      await pause(Math.max(0, startedMs + fault.atMs - performance.now()))
      running.push(this.#onLane(fault))
    }
    await Promise.all(running)
  }

  async #onLane(fault: Fault): Promise<void> {
    const { resource } = KINDS[fault.kind]
    if (resource === 'answers') return await this.#carry(fault)
    const lane = laneName(fault)
    const carried = (this.#lanes.get(lane) ?? Promise.resolve()).then(() => this.#carry(fault))
    const recovered = carried.then(() => pause(KINDS[fault.kind].recoverSeconds * 1000))
    this.#lanes.set(lane, recovered)
    return await carried
  }

  /** Does not reject: what could not be carried out is told at the end. */
  async #carry(fault: Fault): Promise<void> {
    const { number, kind, lane, holdMs } = fault
    this.#say(`${number}: ${kind}, ${lane}, for ${(holdMs / 1000).toFixed(1)} s`)
    try {
      const hasHit = await FAULTS[kind](this.#world, fault)
      const counts = hasHit ? this.#injected : this.#missed
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    } catch (error) {
      this.#failures.push(`${number}, ${kind}: ${String(error)}`)
      this.#say(`${number}: ${String(error)}`)
    }
  }
}
