/**
 * Weighs a document that fails alone against the recent success of others.
 *
 * A document is given up only when chance no longer explains its failures. Each time it fails
 * alone, the share of others that failed recently is the probability that it failed through no
 * fault of its own; the probabilities multiply (here: their logarithms add up). An attempt counts
 * only if another document succeeded since the previous one, so a server that is down, or rejects
 * everything, adds no evidence. If half of all fail, it takes some thirty attempts; with a healthy
 * server, nine or three.
 *
 * Others are counted in scopes: requests of the whole cluster, documents that an index accepted,
 * documents that it answered for.
 *
 * Bound. SCOPES_MAX indices; beyond that, the counts start over.
 */

/** The evidence against a document that fails alone, since it was first alone. */
export interface Suspicion {
  readonly scope: string
  /** Others in that scope, as counted at its last try. */
  readonly good: number
  /** How unlikely it is that all this is chance: a sum of natural logarithms. */
  readonly weight: number
  /** As weight, of its refusals alone. */
  readonly refusedWeight: number
  readonly tries: number
}

/** The scope of requests; an index cannot have this name. */
export const CLUSTER = ''

/**
 * The scope of documents of an index that were answered for good, written or found there already.
 * An existing document shows that the index answers, not that it accepts documents.
 */
export function answersOf(index: string): string {
  return `${index} answers`
}

/**
 * Weights from which a document is given up. A status 4xx says that it is about the request: a
 * chance of 1 in 1,000 is small enough (three tries in a quiet time). Resets, time-outs, 5xx and
 * busy servers come by chance, to anybody: 1 in 500 million (nine tries). Refusals are weighed by
 * themselves: after some resets, the first 401 of a gateway makes no document guilty.
 */
const REFUSED_WEIGHT = 7
const FAILED_WEIGHT = 20
/** Failures assumed where none was seen: a few good answers prove little. */
const FAILED_SHARE_MIN = 0.09
/** The weight of earlier results after a new one: some ten are remembered. */
const MEMORY = 0.9
const SCOPES_MAX = 1024
/** An index that took a document so long ago is likely to take one now. */
const RECENT_MS = 10_000

interface Scope {
  good: number
  /** Of the last ones, how many failed: 0 to 1. */
  failedShare: number
  /** When it last took one, by the clock and in the sequence. */
  goodMs: number
  goodAt: number
  /** The refusal that was last seen beside documents that the index took. */
  ownRefusal: string
}

export class Evidence {
  readonly #scopes = new Map<string, Scope>()
  #at = 0

  /** The place in the sequence of good answers: they may come within one tick of the clock. */
  get at(): number {
    return this.#at
  }

  good(scope: string, count: number, nowMs: number): void {
    const of = this.#of(scope)
    of.good += count
    of.failedShare *= MEMORY ** count
    of.goodMs = nowMs
    of.goodAt = ++this.#at
  }

  bad(scope: string, count: number): void {
    const of = this.#of(scope)
    of.failedShare = 1 - (1 - of.failedShare) * MEMORY ** count
  }

  /** Whether something went well since that place in the sequence. */
  isGoodSince(scope: string, at: number): boolean {
    return (this.#scopes.get(scope)?.goodAt ?? -1) > at
  }

  /** Whether something went well since that time, or shortly before. */
  isGoodLately(scope: string, sinceMs: number): boolean {
    return (this.#scopes.get(scope)?.goodMs ?? -Infinity) > sinceMs - RECENT_MS
  }

  /** A refusal stood beside documents that the index took: each document gets it for itself. */
  recordOwn(scope: string, refusal: string): void {
    this.#of(scope).ownRefusal = refusal
  }

  isOwn(scope: string, refusal: string): boolean {
    return this.#scopes.get(scope)?.ownRefusal === refusal
  }

  /** The beginning: nothing is held against it. */
  suspicion(scope: string): Suspicion {
    return { scope, good: this.#of(scope).good, weight: 0, refusedWeight: 0, tries: 0 }
  }

  /** It failed alone again. @param status of the answer; 0: there was none. */
  failedAlone(before: Suspicion | null, scope: string, status: number): Suspicion {
    const { good, failedShare } = this.#of(scope)
    if (before?.scope !== scope) return { ...this.suspicion(scope), tries: 1 }
    const chance = good > before.good ? Math.max(FAILED_SHARE_MIN, failedShare) : 1
    const added = -Math.log(chance)
    const isRefusal = status >= 400 && status < 500 && status !== 408 && status !== 429
    return {
      scope,
      good,
      weight: before.weight + added,
      refusedWeight: before.refusedWeight + (isRefusal ? added : 0),
      tries: before.tries + 1,
    }
  }

  #of(scope: string): Scope {
    const known = this.#scopes.get(scope)
    if (known !== undefined) return known
    if (this.#scopes.size >= SCOPES_MAX) this.#scopes.clear()
    const made = { good: 0, failedShare: 0, goodMs: -Infinity, goodAt: -1, ownRefusal: '' }
    this.#scopes.set(scope, made)
    return made
  }
}

/** Whether so much is held against a document that it is given up. */
export function isGuilty({ weight, refusedWeight }: Suspicion): boolean {
  return refusedWeight >= REFUSED_WEIGHT || weight >= FAILED_WEIGHT
}
