/**
 * Finds out whether a target is an index or a data stream, which rejects documents without
 * @timestamp. It asks Elasticsearch once per name.
 *
 *   GET _resolve/index/NAME                     the existing target
 *   POST _index_template/_simulate_index/NAME   404: the target that a template would create
 *   GET _index_template                         the same of OpenSearch, whose answers to the two
 *                                               are "exists, as nothing" and no word of streams
 *
 * The first needs view_index_metadata, the others manage_index_templates. With credentials that may
 * only write, a name stays unknown, and its documents are sent unchanged. For a data stream, a JSON
 * object without @timestamp gets the time of its record.
 *
 * Bound. TARGETS_MAX names, the oldest forgotten first; one request per name at a time.
 */
import type { Clock } from '../../core/clock.ts'

/** `none`: no such target yet, and no template makes it a data stream. */
export type TargetKind = 'data_stream' | 'index' | 'none' | 'unknown'

/** Sends a request without a body. Rejects when there is no answer. */
export type Ask = (
  method: 'GET' | 'POST',
  path: string,
) => Promise<{ readonly status: number; readonly body: string }>

/** Twice the days of a year for an index a day, or the topics of a large cluster. */
const TARGETS_MAX = 1000
/** A data stream stays one; an index may be replaced by one; a missing target may be created. */
const KEPT_MS: Readonly<Record<TargetKind, number>> = {
  data_stream: Infinity,
  index: 600_000,
  none: 60_000,
  unknown: 60_000,
}
const BACKING_INDEX = /^\.ds-/

/**
 * Finds out the kind of a target. Never rejects.
 * @param isBehindAlias such a target is no alias itself, whatever the server says
 */
export async function targetOf(ask: Ask, name: string, isBehindAlias = false): Promise<TargetKind> {
  try {
    const found = await ask('GET', `/_resolve/index/${encodeURIComponent(name)}`)
    if (found.status === 200) {
      const { data_streams: streams, aliases, indices } = parsed(found.body)
      if (!isEmpty(streams)) return 'data_stream'
      if (isEmpty(aliases) && isEmpty(indices)) return await templateKind(ask, name)
      const [alias] = Array.isArray(aliases) ? aliases : []
      const behind: unknown = Object(alias).indices?.[0]
      // An alias stands for data streams only, or for none.
      if (isBehindAlias || typeof behind !== 'string' || behind === name) return 'index'
      return BACKING_INDEX.test(behind) ? 'data_stream' : await targetOf(ask, behind, true)
    }
    if (found.status !== 404) return 'unknown'
    const path = `/_index_template/_simulate_index/${encodeURIComponent(name)}`
    const made = await ask('POST', path)
    if (made.status !== 200) return 'unknown'
    return made.body.includes('"_data_stream_timestamp"') ? 'data_stream' : 'none'
  } catch {
    // No answer, or not from Elasticsearch: sending documents will show and report it.
    return 'unknown'
  }
}

interface Template {
  readonly index_patterns?: unknown
  readonly priority?: unknown
  readonly data_stream?: unknown
}

/** What OpenSearch's templates make of a name: the one of highest priority that fits decides. */
async function templateKind(ask: Ask, name: string): Promise<TargetKind> {
  const answer = await ask('GET', '/_index_template')
  if (answer.status !== 200) return 'unknown'
  const { index_templates: entries } = parsed(answer.body)
  let best: Template = {}
  for (const entry of Array.isArray(entries) ? (entries as unknown[]) : []) {
    const template = (Object(entry) as { index_template?: Template }).index_template ?? {}
    const patterns = Array.isArray(template.index_patterns) ? template.index_patterns : []
    const fits = patterns.some((pattern) => fitsPattern(name, String(pattern)))
    if (fits && Number(template.priority ?? 0) >= Number(best.priority ?? 0)) best = template
  }
  return best.data_stream === undefined ? 'none' : 'data_stream'
}

/** Whether a name fits a pattern of a template, in which * stands for any characters. */
function fitsPattern(name: string, pattern: string): boolean {
  const [first = '', ...parts] = pattern.split('*')
  const last = parts.pop()
  if (last === undefined) return name === pattern
  if (!name.startsWith(first)) return false
  let from = first.length
  for (const part of parts) {
    const at = name.indexOf(part, from)
    if (at < 0) return false
    from = at + part.length
  }
  return name.length - last.length >= from && name.endsWith(last)
}

export class Targets {
  readonly #ask: Ask | undefined
  readonly #clock: Clock
  readonly #known = new Map<string, { readonly kind: TargetKind; readonly untilMs: number }>()
  readonly #asked = new Map<string, Promise<void>>()

  constructor({ ask }: { readonly ask?: Ask }, clock: Clock) {
    this.#ask = ask
    this.#clock = clock
  }

  /** Null: what these names stand for is known, or was asked for a moment ago. */
  learn(names: Iterable<string>): Promise<unknown> | null {
    const ask = this.#ask
    if (ask === undefined) return null
    const nowMs = this.#clock.monotonicMs()
    const questions: Promise<void>[] = []
    for (const name of names) {
      if (nowMs < (this.#known.get(name)?.untilMs ?? -Infinity)) continue
      const question = this.#asked.get(name) ?? this.#askFor(ask, name)
      this.#asked.set(name, question)
      questions.push(question)
    }
    return questions.length === 0 ? null : Promise.all(questions)
  }

  isDataStream(name: string): boolean {
    return this.#known.get(name)?.kind === 'data_stream'
  }

  async #askFor(ask: Ask, name: string): Promise<void> {
    const kind = await targetOf(ask, name)
    this.#asked.delete(name)
    this.#keep(name, kind)
  }

  #keep(name: string, kind: TargetKind): void {
    this.#known.delete(name)
    this.#known.set(name, { kind, untilMs: this.#clock.monotonicMs() + KEPT_MS[kind] })
    const oldest = this.#known.keys().next()
    if (this.#known.size > TARGETS_MAX && oldest.done !== true) this.#known.delete(oldest.value)
  }
}

function parsed(body: string): Readonly<Record<string, unknown>> {
  return Object(JSON.parse(body)) as Record<string, unknown>
}

function isEmpty(list: unknown): boolean {
  return !Array.isArray(list) || list.length === 0
}
