/**
 * Orders to workers: show matches, list or replay dead letters, check the configuration, try a
 * filter.
 *
 * What they ask for lies on the worker's machine, and workers are behind firewalls: an order waits
 * here until the worker's next heartbeat takes it along. It is sent with every heartbeat until its
 * result has come or its time is over; the worker does each id once. Orders live in memory: a
 * restart of the control plane forgets them, and the person asks again.
 *
 *   queued --taken by a heartbeat--> sent --result--> done | failed
 *      \------------ expiry ----------/------------> expired
 *
 * Bounds: PER_WORKER_MAX unfinished orders a worker, KEPT_MAX in all; results of RESULT_BYTES_MAX.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { CommandKind } from '../core/control-api.ts'
import { Problem } from './problem.ts'

export interface Command {
  readonly id: string
  readonly workerId: string
  readonly pipelineId: number
  readonly kind: CommandKind
  readonly args: Readonly<Record<string, unknown>>
  readonly createdMs: number
  /** Wall time after which the worker shall not begin it. */
  readonly expiresMs: number
  readonly state: 'queued' | 'sent' | 'done' | 'failed' | 'expired'
  readonly result: unknown
}

export interface CommandResult {
  readonly id: string
  readonly ok: boolean
  readonly result: unknown
}

/** More than a person clicks; a worker does them one after another. */
const PER_WORKER_MAX = 16
/** Finished ones are kept to be asked for, and go first: 64 KiB each at most makes 64 MiB. */
const KEPT_MAX = 1000
export const RESULT_BYTES_MAX = 65_536
/** Replaying many dead letters takes a while; a check takes seconds. */
const EXPIRY_MS_DEFAULT = 60_000
export const EXPIRY_MS_MAX = 3_600_000

export class CommandQueue {
  readonly #clock: Clock
  /** In order of age. */
  readonly #commands = new Map<string, Command>()
  readonly #byWorker = new Map<string, Set<string>>()
  /** By pipeline and kind; asked for every pipeline of a list. */
  readonly #latest = new Map<string, string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @throws Problem 429 when the worker has too many unfinished orders. */
  add(order: {
    readonly workerId: string
    readonly pipelineId: number
    readonly kind: CommandKind
    readonly args: Readonly<Record<string, unknown>>
    readonly expiryMs?: number
  }): Command {
    this.#expire(order.workerId)
    const open = this.#byWorker.get(order.workerId) ?? new Set()
    if (open.size >= PER_WORKER_MAX) {
      const detail = `Worker ${order.workerId} has ${open.size} unfinished commands; retry later.`
      throw new Problem(429, detail, { headers: { 'retry-after': '5' } })
    }
    const createdMs = this.#clock.wallMs()
    const command: Command = {
      id: randomUUID(),
      workerId: order.workerId,
      pipelineId: order.pipelineId,
      kind: order.kind,
      args: order.args,
      createdMs,
      expiresMs: createdMs + (order.expiryMs ?? EXPIRY_MS_DEFAULT),
      state: 'queued',
      result: null,
    }
    this.#commands.set(command.id, command)
    this.#latest.set(`${command.pipelineId} ${command.kind}`, command.id)
    open.add(command.id)
    this.#byWorker.set(order.workerId, open)
    this.#forgetOldest()
    return command
  }

  /** Adds an order of our own making, unless the worker has the same before it, or too many. */
  offer(order: Parameters<CommandQueue['add']>[0]): void {
    this.#expire(order.workerId)
    const open = [...(this.#byWorker.get(order.workerId) ?? [])]
    const isQueued = open.some((id) => {
      const { state, kind, pipelineId } = this.#commands.get(id) ?? {}
      return state === 'queued' && kind === order.kind && pipelineId === order.pipelineId
    })
    if (!isQueued && open.length < PER_WORKER_MAX) this.add(order)
  }

  get(id: string): Command | undefined {
    const command = this.#commands.get(id)
    if (command !== undefined) this.#expire(command.workerId)
    return this.#commands.get(id)
  }

  /** The newest order of this kind for a pipeline. */
  latest(pipelineId: number, kind: CommandKind): Command | undefined {
    const id = this.#latest.get(`${pipelineId} ${kind}`)
    return id === undefined ? undefined : this.get(id)
  }

  /** What a worker shall do: its unfinished orders, oldest first. */
  take(workerId: string): Command[] {
    this.#expire(workerId)
    return [...(this.#byWorker.get(workerId) ?? [])].flatMap((id) => {
      const command = this.#commands.get(id)
      if (command === undefined) return []
      this.#commands.set(id, { ...command, state: 'sent' })
      return [command]
    })
  }

  /** Takes in a result; of an order unknown, finished or another worker's, it is ignored. */
  finish(workerId: string, { id, ok, result }: CommandResult): void {
    const command = this.#commands.get(id)
    if (command === undefined || this.#byWorker.get(workerId)?.delete(id) !== true) return
    this.#commands.set(id, { ...command, state: ok ? 'done' : 'failed', result })
  }

  #expire(workerId: string): void {
    const open = this.#byWorker.get(workerId)
    if (open === undefined) return
    for (const id of open) {
      const command = this.#commands.get(id)
      if (command !== undefined && command.expiresMs > this.#clock.wallMs()) continue
      open.delete(id)
      if (command !== undefined) this.#commands.set(id, { ...command, state: 'expired' })
    }
    if (open.size === 0) this.#byWorker.delete(workerId)
  }

  /** One at most: an order is added at a time. */
  #forgetOldest(): void {
    if (this.#commands.size <= KEPT_MAX) return
    const all = [...this.#commands.values()]
    const nowMs = this.#clock.wallMs()
    const isOpen = ({ state, expiresMs }: Command): boolean =>
      (state === 'queued' || state === 'sent') && expiresMs > nowMs
    const over = all.filter((each) => !isOpen(each))
    // A watched pipeline is asked for its tail every few seconds, and nobody asks what came of it;
    // what was tried is old when the next is typed.
    const isPassing = ({ kind }: Command): boolean => kind === 'tail' || kind === 'try'
    const command = over.find(isPassing) ?? over[0] ?? all[0]
    if (command === undefined) return
    const { id, pipelineId, kind, workerId } = command
    this.#commands.delete(id)
    const key = `${pipelineId} ${kind}`
    if (this.#latest.get(key) === id) this.#latest.delete(key)
    this.#byWorker.get(workerId)?.delete(id)
  }
}
