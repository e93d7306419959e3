/**
 * Rules: named expressions that say of each record which documents are made of it.
 *
 * A record goes through the list from the front. The first rule that holds takes it; with
 * `isEach`, every rule that holds does, and the record becomes one document for each.
 *
 * Plain data, made from the option RULES (options/rule-list.ts) and posted to threads.
 */

/** One set of the add-on has room for as many, and for the metrics beside them. */
export const RULES_MAX = 1000
/** A name is a label, a part of `_id`, and a column of the books. */
export const RULE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/** Which of the records that a rule takes become documents: the same ones whenever it is asked. */
export interface Sample {
  /** Above 0, at most 1. */
  readonly share: number
  /**
   * Records of one value stay together. Null: each record by itself, by topic, partition and
   * offset; and so it is with a record that has no such value.
   */
  readonly by: SampleTarget | null
}

export type SampleTarget =
  { readonly of: 'field'; readonly path: readonly string[] } | { readonly of: 'key' }

export interface RecordRule {
  readonly name: string
  /**
   * What stands for it in batches of matches, in the books and in the spill: its place in the list,
   * or, after a reload, what its name had before (`renumbered`).
   */
  readonly number: number
  /** Expressions as they were typed: any keeps, any drops. None to keep: every record. */
  readonly keep: readonly string[]
  readonly drop: readonly string[]
  /** A name or a pattern, as ES_INDEX; null: that of the pipeline. */
  readonly index: string | null
  /** An ingest pipeline; null: that of the pipeline. */
  readonly pipeline: string | null
  readonly sample: Sample | null
  /** What is done to the fields of its documents, after what is done to all; null: nothing. */
  readonly fields: FieldEdits | null
}

/** The parts of a dotted path, as in expressions. */
export type FieldPath = readonly string[]

/** Entries of all kinds: each is looked for in one walk through a document. */
export const EDITS_MAX = 1000

/** What is done to the fields of a document (filter/field-editor.ts). */
export interface FieldEdits {
  /** Regular expressions (bounded-regex.ts): what they match in any text or number is masked. */
  readonly mask: readonly string[]
  readonly remove: readonly FieldPath[]
  /** `name` takes the place of the last part. */
  readonly rename: readonly { readonly path: FieldPath; readonly name: string }[]
  readonly add: readonly { readonly path: FieldPath; readonly json: string }[]
  readonly redact: readonly { readonly path: FieldPath; readonly by: 'mask' | 'hash' }[]
  /** Texts above so many bytes of UTF-8 are cut. */
  readonly truncate: readonly { readonly path: FieldPath; readonly bytes: number }[]
}

/** All that is done to documents. */
export interface DocumentEdits {
  /** To all of them; null: nothing. */
  readonly fields: FieldEdits | null
  /** By the numbers of rules. */
  readonly byRule: readonly (FieldEdits | null)[]
  /** The field that is given the name of the rule; null: none. */
  readonly ruleField: FieldPath | null
  readonly ruleNames: readonly string[]
  /** Adds kafka.topic and its kin to JSON objects; what is wrapped has them. */
  readonly addsKafka: boolean
  /** Of hashes; null: there are none. */
  readonly redactKey: string | null
}

export interface RuleList {
  readonly isEach: boolean
  readonly rules: readonly RecordRule[]
}

/** Names that one process may have had rules of: a number has 16 bits in a batch of matches. */
export const RULE_NUMBERS_MAX = 2 ** 16

/**
 * Rules that take the place of others, while matches of those are still under way: a name keeps its
 * number, and a new one is given the next.
 * @param names all that have a number, by it; new ones are added.
 * @throws RangeError above RULE_NUMBERS_MAX.
 */
export function renumbered({ isEach, rules }: RuleList, names: string[]): RuleList {
  const numbers = new Map(names.map((name, number) => [name, number]))
  const added = rules.filter(({ name }) => !numbers.has(name))
  if (names.length + added.length > RULE_NUMBERS_MAX) {
    throw new RangeError(`more than ${RULE_NUMBERS_MAX} names of rules since the start`)
  }
  for (const { name } of added) numbers.set(name, names.push(name) - 1)
  return { isEach, rules: rules.map((rule) => ({ ...rule, number: numbers.get(rule.name)! })) }
}

/** What a rule made of records since the process started: sums, as counters are. */
export interface RuleCount {
  readonly rule: string
  readonly documents: number
  /** Records that it kept but for its `drop`, and that no other rule took. */
  readonly dropped: number
  readonly sampled: number
}
