/**
 * Reads the text of a _bulk response.
 *
 * The usual response, all documents written, is recognised without parsing: at 300,000 documents a
 * second, JSON.parse would create as many objects for nothing. Any other response is parsed and
 * checked; one that does not cover every document is invalid.
 *
 * Bound. What is parsed has ANSWER_VALUES values, and DOCUMENT_VALUES more per document.
 */
import { parseBounded } from '../../core/bounded-json.ts'

export interface BulkItem {
  /** The index that it was going to; empty where the answer does not say. */
  readonly index: string
  readonly status: number
  readonly errorType: string
  readonly reason: string
  readonly failureStore: boolean
  /** The ingest pipeline dropped it: the index does not have it. */
  readonly isDropped: boolean
}

export type BulkAnswer =
  /** Every document was written; `tookMs` is the server's own time. */
  | { readonly kind: 'written'; readonly tookMs: number }
  /** One item for each document, in order. */
  | { readonly kind: 'items'; readonly tookMs: number; readonly items: readonly BulkItem[] }
  /** The whole request was refused; status 0: this is no answer of Elasticsearch. */
  | {
      readonly kind: 'refused'
      readonly status: number
      readonly errorType: string
      readonly reason: string
    }

/** Reasons are logged and stored; some quote the whole document. */
const REASON_LENGTH_MAX = 1000
/** The head of an answer; an error about the whole request, with its causes. */
const ANSWER_VALUES = 10_000
/** A document that is refused has some 10; where a script of a pipeline failed, some 40. */
const DOCUMENT_VALUES = 128
/** Names of indices have 255 bytes, those of errors some 40. */
const NAME_LENGTH_MAX = 255
/** Causes of causes; Elasticsearch gives two or three. */
const CAUSES_MAX = 5

/**
 * @param documentCount how many the request held.
 * @param isCurious it matters which index took which document.
 */
export function readBulkAnswer(
  status: number,
  text: string,
  documentCount: number,
  isCurious = false,
): BulkAnswer {
  if (status === 200 && !isCurious && isAllWritten(text, documentCount)) {
    return { kind: 'written', tookMs: Number(/"took":(\d+)/.exec(text.slice(0, 80))?.[1] ?? 0) }
  }
  // What cannot be read was cut short, or is not from Elasticsearch: the caller says so.
  const parsed = parseBounded(text, ANSWER_VALUES + DOCUMENT_VALUES * documentCount)
  if (status < 200 || status > 299) return readRefusal(status, parsed, text)
  const items = readItems(isRecord(parsed) ? parsed['items'] : undefined)
  if (!isRecord(parsed) || items?.length !== documentCount) {
    const reason = `the response does not cover all ${documentCount} documents: ${text}`
    return { kind: 'refused', status: 0, errorType: '', reason: reason.slice(0, 200) }
  }
  return {
    kind: 'items',
    tookMs: typeof parsed['took'] === 'number' ? parsed['took'] : 0,
    items,
  }
}

const HEAD_NO_ERRORS = /^\{(?:"took":\d+,)?"errors":false,/
const STATUS = '"status":20'

function isAllWritten(text: string, documentCount: number): boolean {
  if (!HEAD_NO_ERRORS.test(text) || !text.endsWith(']}')) return false
  if (text.includes('"failure_store"') || text.includes('"noop"')) return false
  let count = 0
  for (let at = text.indexOf(STATUS); at >= 0; at = text.indexOf(STATUS, at + STATUS.length)) {
    count++
  }
  return count === documentCount
}

/**
 * `{"create":{"status":400,"error":{"type","reason"}}}`, one for each document. Undefined when one
 * has no status: it says nothing of its document, neither that it was written nor that it was not.
 */
function readItems(list: unknown): BulkItem[] | undefined {
  if (!Array.isArray(list)) return undefined
  const items: BulkItem[] = []
  for (const item of list as readonly unknown[]) {
    const result = isRecord(item) ? Object.values(item)[0] : undefined
    if (!isRecord(result) || typeof result['status'] !== 'number') return undefined
    items.push({
      index: nameIn(result['_index']),
      status: result['status'],
      ...readError(result['error']),
      failureStore: result['failure_store'] === 'used',
      isDropped: result['result'] === 'noop',
    })
  }
  return items
}

function readRefusal(status: number, parsed: unknown, text: string): BulkAnswer {
  const error = readError(isRecord(parsed) ? parsed['error'] : undefined)
  const reason = error.reason === '' ? text.slice(0, REASON_LENGTH_MAX) : error.reason
  return { kind: 'refused', status, errorType: error.errorType, reason }
}

function readError(error: unknown): { errorType: string; reason: string } {
  // A proxy, and Elasticsearch for a bad path, send the error as text.
  if (typeof error === 'string') return { errorType: '', reason: error.slice(0, REASON_LENGTH_MAX) }
  if (!isRecord(error)) return { errorType: '', reason: '' }
  return { errorType: nameIn(error['type']), reason: reasonOf(error) }
}

function nameIn(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, NAME_LENGTH_MAX) : ''
}

/** The reason with the causes below it, which often say more; each once. */
function reasonOf(error: Record<string, unknown>): string {
  const parts: string[] = []
  let cause: unknown = error
  for (let depth = 0; depth < CAUSES_MAX && isRecord(cause); depth++) {
    const { type, reason } = cause
    // The type of the error itself is reported beside the reason.
    const name = depth > 0 && typeof type === 'string' ? type : ''
    const text = typeof reason === 'string' && reason !== '' ? reason : name
    if (text !== '' && !parts.some((part) => part.includes(text))) parts.push(text)
    cause = cause['caused_by']
  }
  return parts.join(': ').slice(0, REASON_LENGTH_MAX)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
