/**
 * Which fields of documents an index would refuse, by its mapping: what `logpipe try --es-url`
 * says before Elasticsearch does, one document at a time.
 *
 * Told are conflicts that are certain: text in a number, an object where a value is mapped, a value
 * where an object is, a field that a strict mapping does not have. Types that are not listed here,
 * dates with a format of their own, and fields with ignore_malformed are left to Elasticsearch.
 * Bound. FIELDS_MAX fields with a conflict.
 */
import { isIP } from 'node:net'

/** A field of a mapping as GET _mapping shows it; an object has properties. */
export interface FieldMapping {
  readonly type?: string
  readonly format?: string
  readonly ignore_malformed?: boolean | string
  readonly enabled?: boolean | string
  readonly dynamic?: boolean | string
  readonly properties?: Readonly<Record<string, FieldMapping>>
}

export interface FieldConflict {
  readonly field: string
  /** As it is mapped: `long`, `object`; or `nothing (strict)`. */
  readonly mapped: string
  records: number
  /** A value that is refused, as JSON, cut. */
  readonly example: string
}

const FIELDS_MAX = 100
const EXAMPLE_CHARS_MAX = 80
/** What Jackson reads of nested objects. */
const DEPTH_MAX = 1000

const NUMBER = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/

/** The bounds of whole numbers; a fraction is cut off (coerce). */
const WHOLE: Readonly<Record<string, readonly [min: number, max: number]>> = {
  long: [-(2 ** 63), 2 ** 63],
  integer: [-(2 ** 31), 2 ** 31 - 1],
  short: [-(2 ** 15), 2 ** 15 - 1],
  byte: [-128, 127],
  unsigned_long: [0, 2 ** 64],
}
const FRACTIONS: ReadonlySet<string> = new Set(['double', 'float', 'half_float', 'scaled_float'])
/** strict_date_optional_time: a year and what follows it. */
const DATE = new RegExp(
  String.raw`^\d{4}(?:-\d{2}(?:-\d{2}(?:T\d{2}(?::\d{2}(?::\d{2}(?:[.,]\d+)?)?)?` +
    String.raw`(?:Z|[+-]\d{2}:?\d{2})?)?)?)?$`,
)
/** Any value but an object is taken. */
const TEXTS: ReadonlySet<string> = new Set([
  'keyword',
  'text',
  'wildcard',
  'constant_keyword',
  'match_only_text',
  'search_as_you_type',
])

/** Whether a mapped field takes a value that is neither null, nor a list, nor an object. */
function takesScalar({ type = '', format }: FieldMapping, value: unknown): boolean {
  const number = typeof value === 'string' && NUMBER.test(value) ? Number(value) : value
  const bounds = WHOLE[type]
  if (bounds !== undefined) {
    return typeof number === 'number' && number >= bounds[0] && number <= bounds[1]
  }
  if (FRACTIONS.has(type)) return typeof number === 'number' && Number.isFinite(number)
  if (type === 'boolean') return ['true', 'false', ''].includes(String(value))
  if (type === 'ip') return typeof value === 'string' && isIP(value.split('/')[0] ?? '') !== 0
  if ((type === 'date' || type === 'date_nanos') && format === undefined) {
    return typeof number === 'number' || (typeof value === 'string' && DATE.test(value))
  }
  return true
}

export class MappingConflicts {
  readonly #mapping: FieldMapping
  readonly #conflicts = new Map<string, FieldConflict>()

  constructor(mapping: FieldMapping) {
    this.#mapping = mapping
  }

  /** @param json one JSON object */
  add(json: string): void {
    const seen = new Set<string>()
    this.#object(JSON.parse(json), this.#mapping, '', 0, (field, mapped, value) => {
      if (seen.has(field)) return
      seen.add(field)
      const known = this.#conflicts.get(field)
      if (known !== undefined) known.records++
      else if (this.#conflicts.size < FIELDS_MAX) {
        const example = (JSON.stringify(value) ?? '').slice(0, EXAMPLE_CHARS_MAX)
        this.#conflicts.set(field, { field, mapped, records: 1, example })
      }
    })
  }

  /** The most frequent first. */
  list(): readonly FieldConflict[] {
    return [...this.#conflicts.values()].toSorted((left, right) => right.records - left.records)
  }

  #object(
    object: unknown,
    mapping: FieldMapping,
    path: string,
    depth: number,
    refuse: (field: string, mapped: string, value: unknown) => void,
  ): void {
    if (String(mapping.enabled) === 'false' || depth > DEPTH_MAX) return
    for (const [key, value] of Object.entries(object as object)) {
      // A dotted key is a path.
      let [at, field]: [FieldMapping | undefined, string] = [mapping, path]
      let isStrict = String(mapping.dynamic) === 'strict'
      for (const part of key.split('.')) {
        field = field === '' ? part : `${field}.${part}`
        at = at?.properties?.[part]
        if (at === undefined) break
        if (at.dynamic !== undefined) isStrict = String(at.dynamic) === 'strict'
      }
      if (at === undefined) {
        if (isStrict) refuse(field, 'nothing (dynamic: strict)', value)
        continue
      }
      const dynamic = isStrict ? { dynamic: at.dynamic ?? 'strict' } : {}
      this.#value(value, { ...at, ...dynamic }, field, depth, refuse)
    }
  }

  #value(
    value: unknown,
    mapping: FieldMapping,
    field: string,
    depth: number,
    refuse: (field: string, mapped: string, value: unknown) => void,
  ): void {
    if (value === null) return
    if (Array.isArray(value) && depth <= DEPTH_MAX) {
      for (const one of value) this.#value(one, mapping, field, depth + 1, refuse)
      return
    }
    const { type = 'object', properties, ignore_malformed: isTolerant } = mapping
    const isObject = properties !== undefined || type === 'object' || type === 'nested'
    if (typeof value === 'object') {
      if (isObject) this.#object(value, mapping, field, depth + 1, refuse)
      else if (TEXTS.has(type) || type in WHOLE || FRACTIONS.has(type) || type === 'boolean') {
        refuse(field, type, value)
      }
      return
    }
    if (isObject || type === 'flattened') refuse(field, type, value)
    else if (String(isTolerant) !== 'true' && !takesScalar(mapping, value)) {
      refuse(field, type, value)
    }
  }
}
