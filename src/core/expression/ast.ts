/**
 * The tree of an expression, as the parser makes it and as the add-on evaluates it.
 *
 * There is one evaluator, in the add-on: run, replay, tap, try, test and dlq --where all hand it
 * this tree as JSON text (see `Program`). The planner reads the tree to find what a kept record
 * must hold; the printer turns it back into text.
 *
 * What a test means, for whoever evaluates:
 *
 * ```
 *   field      the parts of a dotted path. {"a.b":1} and {"a":{"b":1}} both have a.b. Any element
 *              of an array may meet the test, in arrays within arrays too, and so may any object
 *              within an array on the way. Of a key that stands twice the last one counts
 *   scalar     the text of a string is what it decodes to; a number, true and false are their JSON.
 *              null, objects and arrays have no text
 *   exists     something other than null is there; of an array, at least one element
 *   equals     a string: equal bytes, or equal numbers where both are JSON numbers. A number: equal
 *              numbers. true and false: equal text
 *   < <= > >=  both are JSON numbers (a string that is one counts): as numbers. Otherwise two
 *              strings: byte by byte. Anything else is false
 * ```
 *
 * A test is false, and never an error, where the value is null, empty, or not one valid JSON
 * object; so `not` of it is true. A header that has no value exists, and meets no other test.
 */

/** Nodes of a program, keep and drop together: 1,000 rules of ten terms each. */
export const EXPRESSION_NODES_MAX = 10_000
/** Of a tree: what recursion in the add-on takes of a stack. */
export const EXPRESSION_DEPTH_MAX = 64
/** Parentheses and nots within one another: each is at most two levels of the tree. */
export const EXPRESSION_NESTING_MAX = 30
/** Characters of one expression: above it, a list belongs into several --keep. */
export const EXPRESSION_CHARS_MAX = 65_536
/** Bytes of one literal, regular expression, field or header name. */
export const EXPRESSION_TEXT_MAX = 1024
/** Parts of a dotted path: Elasticsearch's index.mapping.depth.limit is 20. */
export const EXPRESSION_PATH_MAX = 32

export type ExpressionNode =
  /** Of none: true. */
  | { readonly kind: 'all'; readonly of: readonly ExpressionNode[] }
  /** Of none: false. */
  | { readonly kind: 'any'; readonly of: readonly ExpressionNode[] }
  | { readonly kind: 'not'; readonly of: ExpressionNode }
  | BytesNode
  | RegexNode
  | CompareNode

/**
 * These bytes, anywhere in the value. ignoreCase folds A to Z only. No bytes: true of every value,
 * null too.
 */
export interface BytesNode {
  readonly kind: 'bytes'
  /** Two lower-case digits a byte. */
  readonly hex: string
  readonly ignoreCase: boolean
}

/** A regular expression (Vectorscan's syntax), anywhere in the bytes of the value. */
export interface RegexNode {
  readonly kind: 'regex'
  readonly source: string
  readonly ignoreCase: boolean
}

export interface CompareNode {
  readonly kind: 'compare'
  readonly target: Target
  readonly test: Test
}

/** What a record is asked for. time: ms since 1970; a record without a timestamp has none. */
export type Target =
  | { readonly of: 'field'; readonly path: readonly string[] }
  | { readonly of: MetaName }
  /** Any header of that name. */
  | { readonly of: 'header'; readonly name: string }

export const META_NAMES = ['topic', 'key', 'partition', 'offset', 'time'] as const
export type MetaName = (typeof META_NAMES)[number]

const ORDERS = ['<', '<=', '>', '>='] as const
export type Order = (typeof ORDERS)[number]

export type Test =
  | { readonly op: 'exists' }
  | { readonly op: 'equals'; readonly text: string }
  /** pre*mid* is ['pre', 'mid', '']: at least two parts, in their order, from end to end. */
  | { readonly op: 'wildcard'; readonly parts: readonly string[] }
  | { readonly op: Order; readonly text: string }
  | { readonly op: 'contains'; readonly text: string }
  | { readonly op: 'regex'; readonly source: string; readonly ignoreCase: boolean }

export interface Literal {
  readonly hex: string
  readonly ignoreCase: boolean
}

/**
 * Bytes of which the value of every kept record holds at least one, exactly as they stand here.
 * Null: there are none to search for, and each record is evaluated.
 */
export type Prefilter = { readonly literals: readonly Literal[] } | null

/** What the add-on is given, as JSON: a record is kept when `keep` is true and `drop` is not. */
export interface Program {
  readonly keep: ExpressionNode
  readonly drop: ExpressionNode | null
  readonly prefilter: Prefilter
}

/**
 * Many programs at once, for whoever wants to know which of them hold (rules, metrics): a record is
 * kept when any does. They are numbered over all groups, from 0.
 *
 * The bytes of a batch are searched once for what any of them needs; with one that has no
 * prefilter, each record is evaluated.
 */
export interface ProgramSet {
  readonly groups: readonly ProgramGroup[]
}

export interface ProgramGroup {
  /** Whether all that hold are told; otherwise the first one. */
  readonly all: boolean
  readonly of: readonly Program[]
}

/** Programs of a set: a thousand rules, and as many metrics. */
export const ALTERNATIVES_MAX = 2000
