/**
 * How far the window documents of a partition are written: kept beside its committed offset
 * (kafka/commit-note.ts), and moved by metrics/metric-windows.ts.
 */
export interface WindowMark {
  /** Windows that begin below this time (ms since 1970) are written; -1: none are. */
  readonly closedTo: number
  /** Decided when everything below this offset was counted: what comes later is late. */
  readonly closedAt: number
  /** As much is being written now: windows below this time, counted up to this offset; or null. */
  readonly closing: { readonly to: number; readonly at: number } | null
}

export const NO_MARK: WindowMark = { closedTo: -1, closedAt: 0, closing: null }
