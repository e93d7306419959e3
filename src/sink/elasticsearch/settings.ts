/**
 * The settings of the Elasticsearch output: a plain object, so that it can be posted to threads.
 *
 * The names and defaults of the options are in options/table.ts; run/ creates this object from
 * them. The encoder (in the filter threads) and the sink use it.
 */
import type { BackoffTimes } from '../../core/backoff.ts'
import type { Auth } from '../sink.ts'
import type { AnswerRow, ItemVerdict } from './answers.ts'

/** Documents and batches that were refused for the moment. */
export const RETRY_TIMES: BackoffTimes = { firstMs: 100, maxMs: 10_000 }
/**
 * A held index, and a cluster that is down or refuses us: one small request is sent to look.
 * Often enough that every screen shows a recovery within ten seconds.
 */
export const PROBE_TIMES: BackoffTimes = { firstMs: 500, maxMs: 6000 }

export type DocumentMode = 'raw' | 'wrap' | 'auto'
export type DocumentId = 'offset' | 'key' | 'none'

/** The settings that the encoder needs, for the filter threads. */
export interface DocumentSettings {
  /** A name or a pattern: `app-{topic}-{+yyyy.MM.dd}` (index-name.ts). */
  readonly index: string
  /** How far a record's time may be from now to date its index; null: any. */
  readonly indexDateSpan: { readonly pastMs: number; readonly futureMs: number } | null
  readonly document: DocumentMode
  readonly documentId: DocumentId
  /** Of a record with a larger value or document none is made: it becomes a dead letter. */
  readonly maxRecordBytes: number
}

export interface ConnectionSettings {
  /** The CA's certificates as PEM, or null for the well-known ones. */
  readonly caPem: string | null
  /** The client certificate for a server that asks for one, or null. */
  readonly client: { readonly certificatePem: string; readonly keyPem: string } | null
  readonly proxies: ProxySettings
  /** Hosts of URLs, in lower case, that may be link-local addresses. */
  readonly linkLocalHosts: readonly string[]
}

/** URLs of proxies; null: none. */
export interface ProxySettings {
  readonly http: string | null
  readonly https: string | null
  /** NO_PROXY: HOST, .DOMAIN, HOST:PORT or *. */
  readonly except: readonly string[]
}

export const DIRECT: ConnectionSettings = {
  caPem: null,
  client: null,
  proxies: { http: null, https: null, except: [] },
  linkLocalHosts: [],
}

export interface ElasticsearchSettings extends DocumentSettings {
  /** One URL for each node; the path of a URL is put in front of /_bulk. */
  readonly urls: readonly string[]
  /** The ingest pipeline, or null. */
  readonly pipeline: string | null
  /** A request is sent when it holds this many documents or bytes, or is this old. */
  readonly bulkActions: number
  readonly bulkBytes: number
  readonly flushMs: number
  /** Bounds of the memory queue, whichever comes first. */
  readonly queueCap: number
  readonly queueBytes: number
  /** Limit of the spill; a held index gets half. */
  readonly spillBytesMax: number
  /** Drop new documents while the queue, and the spill if there is one, is full. */
  readonly dropWhenFull: boolean
  /** A request times out after this; the server gets a timeout of 80 %. */
  readonly timeoutMs: number
  /** How far that may grow where answers come late. */
  readonly timeoutMaxMs: number
  readonly compression: 'none' | 'gzip'
  readonly auth: Auth
  readonly connection: ConnectionSettings
  /** Requests in flight at most. */
  readonly concurrencyMax: number
  /** Rows that come before the table of answers (answers.ts). */
  readonly answerOverrides: readonly AnswerRow<ItemVerdict>[]
  /** What resolves an offset: Elasticsearch's word, or an fsynced entry of the spill. */
  readonly commitOn: 'index' | 'spill'
}
