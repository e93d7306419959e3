/**
 * What a worker says when it calls, once it was checked.
 */

export interface Heartbeat {
  readonly state: string
  readonly pid: number | null
  /** Which pipeline and revision the child runs; null: none. */
  readonly pipelineId: number | null
  readonly revision: number | null
  /** Revision that would not run, when an older one runs in its place. */
  readonly failedRevision: number | null
  readonly error: { readonly message: string; readonly lines: readonly string[] } | null
  readonly metrics: Readonly<Record<string, number>>
  readonly deadLetters: number
  readonly pollMs: number
  /** Made anew at each start of sync: tells two processes of one name apart. */
  readonly instance: string | null
  readonly version: string | null
}
