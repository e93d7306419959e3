/**
 * Edits the fields of matches, before anything is made of them: what Elasticsearch, the spill, dead
 * letters, files and the live tail have is the edited document. In this order:
 *
 *   mask     what a regular expression matches in any text or number
 *   remove, redact, truncate, rename
 *            of members at their paths (core/json-members.ts), as they were after the mask
 *   add      sets a member, at the end where there is none
 *
 * Only what changes is spliced: all other bytes stay as they were, such as 1.10 and numbers beyond
 * 2^53. Of one member, remove wins over redact, redact over truncate; within what is redacted
 * nothing else is done. A name that is there already is not given by rename.
 *
 * A value that is no JSON object has no fields: mask looks at it as one text, unless it is no
 * UTF-8, and the rest leaves it as it is. Where the output wraps it, what is added is added to the
 * wrapping.
 *
 * A redacted value becomes "***", or the first 32 hex digits of the HMAC-SHA256 of its text.
 */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { isUtf8 } from 'node:buffer'
import { boundedRegex } from '../core/bounded-regex.ts'
import { membersAt, type JsonMember, scalarsIn } from '../core/json-members.ts'
import { JSON_OTHER, scanJson } from '../core/json-scan.ts'
import type { DocumentEdits, FieldEdits, FieldPath } from '../core/rules.ts'
import type { MatchedRecord } from '../pool/record-encoder.ts'

/** A document after its edits. */
export interface EditedValue {
  /** The record's own where nothing changed. */
  readonly value: Buffer | null
  /** Members of JSON for a wrapping, joined by commas; empty: none. */
  readonly added: string
}

type Source = Pick<
  MatchedRecord,
  'topic' | 'partition' | 'offset' | 'timestampMs' | 'key' | 'value'
>

export class FieldEditor {
  readonly #edits: DocumentEdits
  readonly #all: Plan | null
  /** By the numbers of rules; the last one is that of none. */
  readonly #byRule: readonly (Plan | null)[]
  readonly #added: readonly string[]

  constructor(edits: DocumentEdits) {
    const { fields, byRule, ruleField, ruleNames, addsKafka } = edits
    this.#edits = edits
    const kafka = addsKafka ? [{ path: ['kafka'], json: null }] : []
    this.#all = planOf(fields, kafka)
    const nameOf = (rule: number) =>
      ruleField === null ? [] : [{ path: ruleField, json: JSON.stringify(ruleNames[rule]) }]
    this.#byRule = [...byRule.map((own, rule) => planOf(own, nameOf(rule))), null]
    const adds = (own: FieldEdits | null) => own?.add ?? []
    this.#added = [
      ...byRule.map((own, rule) => wrapped([...adds(fields), ...adds(own), ...nameOf(rule)])),
      wrapped(adds(fields)),
    ]
  }

  /** @param rule its number; -1: there are none. */
  edit(record: Source, rule: number): EditedValue {
    const place = rule === -1 ? this.#byRule.length - 1 : rule
    const added = this.#added[place] ?? ''
    const { value } = record
    if (value === null || !isUtf8(value)) return { value, added }
    const from = value[0] === 0xef && value[1] === 0xbb && value[2] === 0xbf ? 3 : 0
    const isObject = scanJson(value, from, value.length) !== JSON_OTHER
    const document = value.subarray(from)
    let edited = document
    for (const plan of [this.#all, this.#byRule[place] ?? null]) {
      if (plan === null) continue
      if (!isObject) edited = maskedText(plan.masks, edited)
      else {
        const masked = maskedScalars(plan.masks, edited)
        edited = this.#add(plan.adds, this.#change(plan, masked), record)
      }
    }
    return { value: edited === document ? value : edited, added }
  }

  #change({ paths, acts }: Plan, bytes: Buffer): Buffer {
    if (paths.length === 0) return bytes
    const members = membersAt(bytes, paths)
    const splices = new Splices(members.filter((one) => acts[one.path]?.do === 'remove'))
    const values: { member: JsonMember; text: string }[] = []
    for (const member of members) {
      const act = acts[member.path]!
      if (act.do === 'rename') rename(bytes, member, act, members, splices)
      if (act.do === 'redact') {
        values.push({ member, text: this.#redacted(bytes, member, act.by) })
      }
    }
    for (const member of members) {
      const act = acts[member.path]!
      const text = act.do === 'truncate' ? truncated(bytes, member, act.bytes) : null
      if (text !== null) values.push({ member, text })
    }
    const size = ({ valueFrom, valueTo }: JsonMember) => valueTo - valueFrom
    // The outer ones first, and of one member what stands first.
    values.sort((one, other) => size(other.member) - size(one.member))
    for (const { member, text } of values) splices.setValue(member, text)
    return splices.applyTo(bytes)
  }

  #add(adds: readonly Added[], bytes: Buffer, record: Source): Buffer {
    if (adds.length === 0) return bytes
    const jsonOf = ({ json }: Added) => json ?? kafkaOf(record)
    const members = membersAt(
      bytes,
      adds.map(({ path }) => path),
    )
    const splices = new Splices([])
    const isThere = new Set(members.map(({ path }) => path))
    for (const member of members) splices.setValue(member, jsonOf(adds[member.path]!))
    const missing = adds
      .filter((_, path) => !isThere.has(path))
      .map((one) => `${JSON.stringify(one.path.join('.'))}:${jsonOf(one)}`)
    const set = splices.applyTo(bytes)
    return missing.length === 0 ? set : withMembers(set, missing.join(','))
  }

  #redacted(bytes: Buffer, { valueFrom, valueTo }: JsonMember, by: 'mask' | 'hash'): string {
    if (by === 'mask') return `"${MASK}"`
    const text = textOf(bytes.toString('utf8', valueFrom, valueTo))
    const digest = createHmac('sha256', this.#edits.redactKey ?? '')
      .update(text)
      .digest('hex')
    return `"${digest.slice(0, HASH_DIGITS)}"`
  }
}

/** Of a text what it says, and any other JSON as it stands. */
function textOf(json: string): string {
  return json.startsWith('"') ? (JSON.parse(json) as string) : json
}

/** Of SHA-256's 64: two values are the same once in 2^64 pairs. */
const HASH_DIGITS = 32

/** Names that a wrapping has itself. */
const WRAPPING = new Set(['@timestamp', 'message', 'message_base64', 'tags', 'kafka'])

interface Added {
  readonly path: FieldPath
  /** Null: kafka's, which differs from record to record. */
  readonly json: string | null
}

/** What is added to a wrapping, each name once: the last one counts. */
function wrapped(adds: readonly Added[]): string {
  const members = new Map(adds.map(({ path, json }) => [path.join('.'), json]))
  return [...members]
    .filter(([name]) => !WRAPPING.has(name))
    .map(([name, json]) => `${JSON.stringify(name)}:${json}`)
    .join(',')
}

function kafkaOf({ topic, partition, offset, timestampMs, key }: Source): string {
  const keyText =
    key === null
      ? {}
      : isUtf8(key)
        ? { key: key.toString('utf8') }
        : { key_base64: key.toString('base64') }
  const timestamp = timestampMs === -1 ? {} : { timestamp: timestampMs }
  return JSON.stringify({ topic, partition, offset, ...timestamp, ...keyText })
}

/** What is done to a member that is found at a path. */
type Act =
  | { readonly do: 'remove' | 'look' }
  | { readonly do: 'rename'; readonly last: string; readonly name: string; readonly probe: number }
  | { readonly do: 'redact'; readonly by: 'mask' | 'hash' }
  | { readonly do: 'truncate'; readonly bytes: number }

interface Plan {
  readonly masks: readonly RegExp[]
  readonly paths: readonly FieldPath[]
  /** By path. */
  readonly acts: readonly Act[]
  /** Each name once. */
  readonly adds: readonly Added[]
}

/** Null: there is nothing to do. */
function planOf(edits: FieldEdits | null, more: readonly Added[]): Plan | null {
  const paths: FieldPath[] = []
  const acts: Act[] = []
  const plan = (path: FieldPath, act: Act) => {
    paths.push(path)
    acts.push(act)
  }
  for (const path of edits?.remove ?? []) plan(path, { do: 'remove' })
  for (const { path, by } of edits?.redact ?? []) plan(path, { do: 'redact', by })
  for (const { path, bytes } of edits?.truncate ?? []) plan(path, { do: 'truncate', bytes })
  for (const { path, name } of edits?.rename ?? []) {
    plan([...path.slice(0, -1), name], { do: 'look' })
    plan(path, { do: 'rename', last: path.at(-1)!, name, probe: paths.length - 1 })
  }
  // Of a name that is added twice, the last one counts.
  const adds = new Map([...(edits?.add ?? []), ...more].map((one) => [one.path.join('.'), one]))
  const masks = (edits?.mask ?? []).map((source) => {
    const regex = boundedRegex(source)
    assert(regex instanceof RegExp, 'it was looked at when it was read')
    return regex
  })
  if (paths.length + adds.size + masks.length === 0) return null
  return { masks, paths, acts, adds: [...adds.values()] }
}

const MASK = '***'

function masked(masks: readonly RegExp[], text: string): string {
  return masks.reduce((rest, regex) => rest.replaceAll(regex, MASK), text)
}

/** Of a value that is no JSON object. */
function maskedText(masks: readonly RegExp[], bytes: Buffer): Buffer {
  if (masks.length === 0) return bytes
  const text = bytes.toString('utf8')
  const after = masked(masks, text)
  return after === text ? bytes : Buffer.from(after)
}

/** Texts and numbers of an object; a number that is masked becomes a text. */
function maskedScalars(masks: readonly RegExp[], bytes: Buffer): Buffer {
  if (masks.length === 0) return bytes
  const splices: Splice[] = []
  for (const { from, to } of scalarsIn(bytes)) {
    const text = textOf(bytes.toString('utf8', from, to))
    const after = masked(masks, text)
    if (after !== text) splices.push({ from, to, text: JSON.stringify(after) })
  }
  return spliced(bytes, splices)
}

/** Gives a member its new name, unless its object has that already. */
function rename(
  bytes: Buffer,
  member: JsonMember,
  { last, name, probe }: Extract<Act, { do: 'rename' }>,
  members: readonly JsonMember[],
  splices: Splices,
): void {
  const { objectFrom, keyFrom, keyTo } = member
  const isTaken = members.some((one) => one.path === probe && one.objectFrom === objectFrom)
  if (isTaken) return
  const key = JSON.parse(bytes.toString('utf8', keyFrom, keyTo)) as string
  // {"a.b":1} has a.b too: what stands before the last part stays.
  splices.setKey(member, `${key.slice(0, key.length - last.length)}${name}`)
}

/** The text in place of a longer one, cut between characters; null: it is no text, or fits. */
function truncated(bytes: Buffer, { valueFrom, valueTo }: JsonMember, max: number): string | null {
  if (bytes[valueFrom] !== 0x22 || valueTo - valueFrom - 2 <= max) return null
  const text = Buffer.from(JSON.parse(bytes.toString('utf8', valueFrom, valueTo)) as string)
  if (text.length <= max) return null
  let end = max
  while (end > 0 && (text[end]! & 0xc0) === 0x80) end--
  return JSON.stringify(text.toString('utf8', 0, end))
}

interface Splice {
  readonly from: number
  readonly to: number
  readonly text: string
}

/** The bytes with other text in some places, which come in their order; the same where none do. */
function spliced(bytes: Buffer, splices: readonly Splice[]): Buffer {
  if (splices.length === 0) return bytes
  const parts: Buffer[] = []
  let at = 0
  for (const { from, to, text } of splices) {
    parts.push(bytes.subarray(at, from), Buffer.from(text))
    at = to
  }
  return Buffer.concat([...parts, bytes.subarray(at)])
}

/** Changes of places that do not overlap. */
class Splices {
  readonly #splices: Splice[] = []
  readonly #removed: readonly JsonMember[]
  readonly #values: JsonMember[] = []
  /** Names that were given, by the object. */
  readonly #names = new Set<string>()

  constructor(removed: readonly JsonMember[]) {
    // Within one another only the outer one; by several paths, once.
    this.#removed = removed.filter(
      (one, index) =>
        !removed.some((other, at) => isWithin(one, other) && (!isSame(one, other) || at < index)),
    )
    const inObject = Map.groupBy(this.#removed, ({ objectFrom }) => objectFrom)
    for (const members of inObject.values()) {
      members.sort((one, other) => one.index - other.index)
      for (const [removedBefore, member] of members.entries()) {
        this.#splices.push({ ...removedRange(member, member.index > removedBefore), text: '' })
      }
    }
  }

  /** Nothing where another member of its object was given the same one. */
  setKey(member: JsonMember, name: string): void {
    const place = `${member.objectFrom} ${name}`
    if (this.#isGone(member) || this.#names.has(place)) return
    this.#names.add(place)
    this.#splices.push({ from: member.keyFrom, to: member.keyTo, text: JSON.stringify(name) })
  }

  /** Nothing where it, or what it lies in, is changed already. */
  setValue(member: JsonMember, text: string): void {
    if (this.#isGone(member) || this.#values.some((one) => isSame(one, member))) return
    this.#values.push(member)
    // A key within it that was renamed is no more.
    for (let at = this.#splices.length - 1; at >= 0; at--) {
      const { from, to } = this.#splices[at]!
      if (from >= member.valueFrom && to <= member.valueTo) this.#splices.splice(at, 1)
    }
    this.#splices.push({ from: member.valueFrom, to: member.valueTo, text })
  }

  applyTo(bytes: Buffer): Buffer {
    return spliced(
      bytes,
      this.#splices.toSorted((one, other) => one.from - other.from),
    )
  }

  #isGone(member: JsonMember): boolean {
    const isIn = (one: JsonMember) => isWithin(member, one) && !isSame(one, member)
    return this.#removed.some((one) => isWithin(member, one)) || this.#values.some(isIn)
  }
}

function isSame(one: JsonMember, other: JsonMember): boolean {
  return one.keyFrom === other.keyFrom
}

function isWithin(inner: JsonMember, outer: JsonMember): boolean {
  return inner.keyFrom >= outer.keyFrom && inner.valueTo <= outer.valueTo
}

/** A member with one of its commas, so that those that stay are parted as before. */
function removedRange(member: JsonMember, hasOneBefore: boolean): { from: number; to: number } {
  const { keyFrom, valueTo, commaBefore, commaAfter } = member
  if (hasOneBefore) return { from: commaBefore, to: valueTo }
  return { from: keyFrom, to: commaAfter === -1 ? valueTo : commaAfter + 1 }
}

/** The object with members at its end. */
function withMembers(bytes: Buffer, members: string): Buffer {
  const end = bytes.lastIndexOf(0x7d)
  let last = end - 1
  while (' \t\r\n'.includes(String.fromCharCode(bytes[last]!))) last--
  const comma = bytes[last] === 0x7b ? '' : ','
  const head = bytes.subarray(0, last + 1)
  return Buffer.concat([head, Buffer.from(`${comma}${members}`), bytes.subarray(last + 1)])
}
