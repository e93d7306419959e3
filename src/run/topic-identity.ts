/**
 * What stands before topic-partition-offset in `_id`, from `--id-prefix` and Kafka's id of a topic.
 *
 * The prefix belongs to an assignment: it goes with the assignment's name to the threads that
 * filter, so that whatever is made of its records (documents, those in the spill, dead letters and
 * what is replayed of them) has one and the same `_id`.
 */
import { LogpipeError } from '../core/errors.ts'
import type { RuleList } from '../core/rules.ts'
import type { Of } from '../kafka/ingress-messages.ts'
import { indexNameFaults, parseIndexPattern } from '../sink/elasticsearch/index-name.ts'
import type { OutputSettings } from './settings.ts'

/** Of Kafka's 128 bits: two topics of one name meet once in 4 billion times. */
const HEX_DIGITS = 8

/** Whether the topics' ids are put to use. */
export function needsTopicIds(output: OutputSettings): boolean {
  if (output.kind !== 'elasticsearch') return false
  return output.idPrefix === 'auto' && output.settings.documentId !== 'none'
}

/** ES_ID_PREFIX; an output without ids has none. */
export function idPrefixSetting(output: OutputSettings): string {
  return output.kind === 'elasticsearch' ? output.idPrefix : 'none'
}

/**
 * @param setting as ES_ID_PREFIX: auto, none, or the prefix itself.
 * @param topicId 32 hex digits; null or absent where the broker tells none.
 * @returns the prefix, empty for none.
 */
export function idPrefixOf(setting: string, topicId: string | null | undefined): string {
  if (setting === 'none') return ''
  return setting === 'auto' ? (topicId ?? '').slice(0, HEX_DIGITS) : setting
}

/*
 * What the topics that are read mean for the output, looked at as ingress threads tell of them.
 *
 * Names. Elasticsearch knows no capitals, so `Orders` and `orders` would mix in one index although
 * the index is named by topic: that is refused, for the topics that were named, for those that an
 * expression matches at the start, and for those of every assign.
 * Ids. Without Kafka's id of a topic, `_id` does not tell it from an earlier topic of its name:
 * that is said once.
 */

export class TopicWatch {
  readonly #output: OutputSettings
  #rules: RuleList | null
  readonly #tell: (notice: string) => void
  readonly #topics = new Set<string>()
  #toldOfIds = false

  constructor(
    output: OutputSettings,
    tell: (notice: string) => void,
    rules: RuleList | null = null,
  ) {
    this.#output = output
    this.#rules = rules
    this.#tell = tell
  }

  /** @returns the error with which the pipeline must end, or null. */
  assign({
    topicIds,
    partitions,
  }: Pick<Of<'assign'>, 'topicIds' | 'partitions'>): LogpipeError | null {
    this.#lookAtIds(topicIds)
    return this.opened({ topics: partitions.map(({ topic }) => topic) })
  }

  /** As assign, of topics that are there. */
  opened({ topics }: Pick<Of<'opened'>, 'topics'>): LogpipeError | null {
    const knownCount = this.#topics.size
    for (const topic of topics) this.#topics.add(topic)
    if (this.#topics.size === knownCount || this.#output.kind !== 'elasticsearch') return null
    return indexNamesError(this.#output.settings.index, this.#rules, this.#topics)
  }

  /** Other rules from now on. @throws LogpipeError when their index names do not go with topics. */
  useRules(rules: RuleList | null): void {
    if (this.#output.kind === 'elasticsearch') {
      const fault = indexNamesError(this.#output.settings.index, rules, this.#topics)
      if (fault !== null) throw fault
    }
    this.#rules = rules
  }

  #lookAtIds(topicIds: Readonly<Record<string, string | null>>): void {
    if (this.#toldOfIds || !needsTopicIds(this.#output)) return
    const [without] = Object.entries(topicIds).find(([, id]) => id === null) ?? []
    if (without === undefined) return
    this.#toldOfIds = true
    this.#tell(
      `broker returns no topic id for ${without}: _id gets no prefix, so a recreated topic ` +
        'would collide with earlier documents; set one with --id-prefix TEXT',
    )
  }
}

/**
 * What is wrong with the index names that these topics give, by the pipeline and by each rule;
 * null: nothing.
 * @param index ES_INDEX.
 * @throws LogpipeError USAGE when no topic could make a valid name of it.
 */
export function indexNamesError(
  index: string,
  rules: RuleList | null,
  topics: Iterable<string>,
): LogpipeError | null {
  const all = [...topics]
  const own = rules?.rules.filter((rule) => rule.index !== null) ?? []
  const named = own.map((rule) => [`rule "${rule.name}": index`, rule.index ?? ''] as const)
  for (const [name, pattern] of [['ES_INDEX', index] as const, ...named]) {
    const [fault] = indexNameFaults(parseIndexPattern(pattern, name), all)
    if (fault === undefined) continue
    const advice = `read them with separate pipelines, or set ${name} without {topic}`
    return new LogpipeError('INDEX_NAME', `${name} is "${pattern}": ${fault}; ${advice}`)
  }
  return null
}
