/**
 * What rules make of a record, and why none takes it: the add-on's verdict, the samples of rules,
 * and the edits of fields, as a pipeline has them. For `logpipe try` and `test`.
 *
 * Bound: two matchers.
 */
import type { Bridge, BridgeId, Judgement } from '../bridge/bridge.ts'
import type { ProgramSet } from '../core/expression/ast.ts'
import type { DocumentEdits, RuleList } from '../core/rules.ts'
import { FieldEditor } from '../filter/field-editor.ts'
import { type RuleFields, Rules } from '../filter/rules.ts'
import { type FilterConfig, filterPlan } from '../options/filter.ts'
import { planRules } from '../options/rule-list.ts'
import {
  anyLiteral,
  type Documents,
  expressionOf,
  FilterJudge,
  type Judge,
  partsOf,
  type TriedRecord,
  type Verdict,
} from './try.ts'

export type JudgeBridge = RuleFields &
  Pick<Bridge, 'matcherOpen' | 'matcherClose' | 'matcherTest' | 'matcherJudge'>

export class RuleJudge implements Judge {
  readonly #bridge: JudgeBridge
  readonly #names: readonly string[]
  readonly #rules: Rules
  readonly #whole: BridgeId
  /** Null: each record is looked at. */
  readonly #search: BridgeId | null

  /** @throws RangeError of the add-on when it refuses the rules together. */
  constructor(bridge: JudgeBridge, list: RuleList) {
    this.#bridge = bridge
    this.#names = list.rules.map(({ name }) => name)
    this.#rules = new Rules(bridge, list)
    const set = planRules(list)
    this.#whole = bridge.matcherOpen({ expression: JSON.stringify(set) })
    this.#search = this.#openSearch(set)
  }

  get hasSearch(): boolean {
    return this.#search !== null
  }

  verdict(record: TriedRecord): Verdict {
    const { hits, droppedBy } = this.#judge(record)
    const taken = this.#rules.take({ ...record, idPrefix: '', timestampType: 'none' }, hits)
    const rules = taken.map((rule) => this.#names[rule]!)
    if (rules.length > 0) return { reason: null, rules }
    const [hit] = hits
    if (hit !== undefined) {
      return { reason: `left out by the sample of ${this.#names[hit]}`, rules }
    }
    const dropper = this.#names[droppedBy]
    return { reason: dropper === undefined ? 'no rule holds' : `dropped by ${dropper}`, rules }
  }

  isRejectedUnread(record: TriedRecord): boolean {
    return this.#search !== null && !this.#bridge.matcherTest(this.#search, ...partsOf(record))
  }

  close(): void {
    this.#bridge.matcherClose(this.#whole)
    this.#rules.close()
    if (this.#search !== null) this.#bridge.matcherClose(this.#search)
  }

  #judge(record: TriedRecord): Judgement {
    return this.#bridge.matcherJudge(this.#whole, ...partsOf(record))
  }

  /** Finds what any rule needs. */
  #openSearch({ groups }: ProgramSet): BridgeId | null {
    const needs = groups.flatMap(({ of }) => of.map(({ prefilter }) => prefilter))
    if (needs.includes(null)) return null
    const literals = needs.flatMap((prefilter) => prefilter?.literals ?? [])
    return this.#bridge.matcherOpen({ expression: expressionOf(anyLiteral(literals)) })
  }
}

/** The judge of a filter, or of rules where there are some. @throws Error as theirs. */
export function judgeOf(bridge: JudgeBridge, config: FilterConfig): Judge {
  const { rules } = config
  return rules === null ? new FilterJudge(bridge, filterPlan(config)) : new RuleJudge(bridge, rules)
}

/** What `edits` make of kept records; null: nothing. */
export function documentsBy(edits: DocumentEdits | null): Documents {
  if (edits === null)
    return ({ value }, rules) => (rules.length === 0 ? [value] : rules.map(() => value))
  const editor = new FieldEditor(edits)
  const numbers = new Map(edits.ruleNames.map((name, index) => [name, index]))
  return (record, rules) => {
    const places = rules.length === 0 ? [-1] : rules.map((rule) => numbers.get(rule) ?? -1)
    return places.map((rule) => editor.edit(record, rule).value)
  }
}
