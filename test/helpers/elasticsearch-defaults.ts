/** The settings of the Elasticsearch output by the defaults of the option table. */
import { DIRECT, type ElasticsearchSettings } from '../../src/sink/elasticsearch/settings.ts'

/** Spread and override. */
export const ELASTICSEARCH_DEFAULTS: ElasticsearchSettings = {
  urls: ['http://localhost:9200'],
  index: 'logs-filtered',
  indexDateSpan: { pastMs: 30 * 86_400_000, futureMs: 86_400_000 },
  document: 'auto',
  documentId: 'offset',
  maxRecordBytes: 100 * 1024 * 1024,
  pipeline: null,
  bulkActions: 5000,
  bulkBytes: 16 * 1024 * 1024,
  flushMs: 100,
  queueCap: 200_000,
  queueBytes: 256 * 1024 * 1024,
  spillBytesMax: 4 * 1024 ** 3,
  dropWhenFull: false,
  timeoutMs: 3000,
  timeoutMaxMs: 60_000,
  compression: 'none',
  auth: { kind: 'none' },
  connection: DIRECT,
  // A data node has 2 x cores + 1 write threads; more in flight than a few per node only queues.
  concurrencyMax: 8,
  answerOverrides: [],
  commitOn: 'index',
}
