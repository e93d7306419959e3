/**
 * Samples of matches on their way from the child to the next heartbeat. Beyond its bound the oldest
 * go: a tail shows what is new, and is a sample anyway.
 */

/** As the control plane takes them. */
const ENTRIES_MAX = 200
const ENTRY_CHARS_MAX = 16_000
/** All of a heartbeat together stays far below its 4 MiB, in UTF-8 too. */
const ALL_CHARS_MAX = 1_000_000

export class TailBuffer {
  #entries: string[] = []

  /** Takes a reply of the child: {"kind": "tail", "entries": [text, ...]}. */
  take(reply: unknown): void {
    if (typeof reply !== 'object' || reply === null) return
    const { kind, entries } = reply as { readonly kind?: unknown; readonly entries?: unknown }
    if (kind !== 'tail' || !Array.isArray(entries)) return
    for (const entry of entries) {
      if (typeof entry === 'string') this.#entries.push(entry.slice(0, ENTRY_CHARS_MAX))
    }
    this.#entries = this.#entries.slice(-ENTRIES_MAX)
  }

  /** What there is, once. */
  drain(): readonly string[] {
    let room = ALL_CHARS_MAX
    const entries = this.#entries.filter((entry) => (room -= entry.length) >= 0)
    this.#entries = []
    return entries
  }
}
