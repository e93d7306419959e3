/**
 * What a pipeline may have left in its spill under COMMIT_ON=spill: Kafka will not give it again,
 * so it is sent before anything starts that would not send it: another pipeline, or a revision
 * whose spill is another.
 *
 *   none --a pipeline runs that commits on spill--> held --sent, or its secrets are gone--> none
 *
 * Held across a restart of sync, it lacks its secrets, which are not on disk: the control plane is
 * asked for them, and nothing is sent without. Where that has forgotten the pipeline the spill
 * stays as it is, for an operator. After a failure it is asked, too, for the secrets may be what is
 * wrong, but those at hand are tried again meanwhile.
 */
import { runsTheSame, type Assignment } from './assignment.ts'
import type { Leftovers } from './home.ts'

/** Drains the spill of a pipeline, reporting progress; false: not everything was sent. */
export type DrainSpill = (
  assignment: Assignment,
  signal: AbortSignal,
  report: (message: string) => void,
) => Promise<boolean>

export class LeftoverSpill {
  readonly #drain: DrainSpill
  #held: Leftovers | null
  #hasFailed = false
  #interrupt: AbortController | null = null

  /** @param saved by an earlier sync process. */
  constructor(drain: DrainSpill, saved: Leftovers | null) {
    this.#drain = drain
    this.#held = saved
  }

  /** As it is saved. */
  get held(): Leftovers | null {
    return this.#held
  }

  get pipelineId(): number | null {
    return this.#held?.assignment.pipelineId ?? null
  }

  /** Without whose secrets nothing can be sent; null: nothing waits for secrets. */
  get lacksSecretsOf(): number | null {
    return this.#held?.lacksSecrets === true ? this.pipelineId : null
  }

  /** Whose secrets the control plane is asked for; null: nobody's. */
  get asksSecretsOf(): number | null {
    return this.#hasFailed ? this.pipelineId : this.lacksSecretsOf
  }

  /** The revision whose secrets are asked for; null: none are. */
  get asksRevision(): number | null {
    return this.asksSecretsOf === null ? null : (this.#held?.assignment.revision ?? null)
  }

  /** From now on this one's spill may hold documents; null: none does. */
  hold(assignment: Assignment | null): void {
    this.#held = assignment === null ? null : { assignment, lacksSecrets: false }
    this.#hasFailed = false
  }

  /**
   * Null: nobody has them any more. Those at hand are kept; without any nothing is held.
   * @returns whether that makes a difference.
   */
  giveSecrets(secrets: Assignment['secrets'] | null): boolean {
    if (this.#held === null) return false
    const { assignment, lacksSecrets } = this.#held
    const isGone = secrets === null && lacksSecrets
    const next = { ...assignment, secrets: secrets ?? assignment.secrets }
    this.hold(isGone ? null : next)
    return lacksSecrets || !runsTheSame(assignment, next)
  }

  /** The child that is wanted now will send it. */
  interrupt(): void {
    this.#interrupt?.abort()
  }

  /** Sends it; nothing is held once everything is sent. @returns stopped when it was stopped. */
  async send(
    signal: AbortSignal,
    report: (message: string) => void,
  ): Promise<'sent' | 'failed' | 'stopped'> {
    if (this.#held === null) return 'sent'
    this.#interrupt = new AbortController()
    const stop = AbortSignal.any([signal, this.#interrupt.signal])
    const isDone = await this.#drain(this.#held.assignment, stop, report)
    this.#interrupt = null
    if (isDone) {
      this.hold(null)
      return 'sent'
    }
    if (stop.aborted) return 'stopped'
    this.#hasFailed = true
    return 'failed'
  }
}
