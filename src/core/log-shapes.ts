/**
 * What the generated log lines look like: services, formats, words. A table; log-lines.ts reads it.
 *
 * A shape is one way in which a service logs. Its `text` is written once for each variant with
 * words drawn from the seed; what changes from record to record stays in as a mark, patched in
 * place:
 *
 *   %T  time as ISO 8601, 24 bytes        %L  time as nginx writes it, 26 bytes
 *   %I  an id, 16 lower-case hex digits    %N  a number of 4 digits, never with a leading zero
 *   %F  where filler goes when a size is asked for (JSON shapes put a field there)
 *
 * The level of a shape is given to it. No text but the level may contain "ERROR": log-lines.ts
 * asserts it.
 */
import type { Random } from './random.ts'

export type Level = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR'

export interface LogShape {
  readonly service: string
  /** How the filler is written: as a JSON field, or as words. */
  readonly format: 'json' | 'plain'
  /** Whether one record has several lines. */
  readonly isMultiLine: boolean
  /** Share among the shapes of the same level; a small whole number. */
  readonly weight: number
  readonly levels: readonly Level[]
  readonly text: (level: Level, random: Random) => string
}

/** Words of filler: lower case, so that none can be a level. */
export const FILLER_WORDS = (
  'cache shard lease quota retry batch token replica leader cursor window segment bucket region ' +
  'tenant session header cookie locale basket voucher courier parcel ledger invoice refund'
).split(' ')

const USERS = [
  'zoë.müller',
  'j.smith',
  'łukasz',
  'søren',
  'amélie',
  '山田太郎',
  'олена',
  'nguyễn.an',
]
const PATHS = [
  '/',
  '/cart',
  '/api/v1/search',
  '/api/v1/orders',
  '/login',
  '/static/app.js',
  '/healthz',
]
const AGENTS = ['Mozilla/5.0 (X11; Linux x86_64)', 'curl/8.5.0', 'okhttp/4.12.0', 'kube-probe/1.31']
const HOSTS = ['10.4.1.17', '10.4.2.90', '192.0.2.44', '203.0.113.8', '2001:db8::7f']
const QUERIES = [
  'schlüssel',
  'wireless keyboard',
  'コーヒー豆',
  'crème brûlée torch',
  'usb-c ☕ mug',
]
const PLANS = ['basic', 'team', 'enterprise']
const SHOPS = ['berlin', 'łódź', 'são-paulo', 'osaka']

/** What went wrong, for lines of level WARN and ERROR. */
const FAULTS = [
  'upstream timed out after 3000 ms',
  'connection reset by peer',
  'payment provider answered 502',
  'Zahlung für Bestellung abgelehnt',
  'lock wait timeout exceeded',
  'certificate expires in 2 days ⚠',
  'no healthy replica for shard 7',
  '在庫が見つかりません',
]

const NOTES = [
  'request done',
  'order placed ✓',
  'token refreshed',
  'index merged',
  'cache miss, loaded from store',
  'Warenkorb gespeichert',
  'error_rate below threshold',
]

function pick(random: Random, words: readonly string[]): string {
  return words[random.index(words.length)] ?? ''
}

function messageFor(level: Level, random: Random): string {
  return pick(random, level === 'WARN' || level === 'ERROR' ? FAULTS : NOTES)
}

const JSON_CHECKOUT: LogShape = {
  service: 'checkout',
  format: 'json',
  isMultiLine: false,
  weight: 5,
  levels: ['DEBUG', 'INFO', 'WARN', 'ERROR'],
  text: (level, random) =>
    `{"@timestamp":"%T","level":"${level}","service":"checkout","trace_id":"%I",` +
    `"message":"${messageFor(level, random)}","order":%N,"user":"${pick(random, USERS)}",` +
    `"shop":"${pick(random, SHOPS)}","duration_ms":%N,"retries":${random.index(3)}%F}`,
}

const JSON_SEARCH: LogShape = {
  service: 'search',
  format: 'json',
  isMultiLine: false,
  weight: 4,
  levels: ['DEBUG', 'INFO', 'WARN', 'ERROR'],
  text: (level, random) =>
    `{"ts":"%T","lvl":"${level}","svc":"search","span":"%I","query":"${pick(random, QUERIES)}",` +
    `"hits":%N,"took_us":%N,"shards":{"total":12,"failed":${random.index(2)}},` +
    `"msg":"${messageFor(level, random)}"%F}`,
}

const LOGFMT_AUTH: LogShape = {
  service: 'auth',
  format: 'plain',
  isMultiLine: false,
  weight: 4,
  levels: ['DEBUG', 'INFO', 'WARN', 'ERROR'],
  text: (level, random) =>
    `time=%T level=${level} service=auth request_id=%I user=${pick(random, USERS)} ` +
    `ip=${pick(random, HOSTS)} attempt=${1 + random.index(3)} latency_us=%N ` +
    `msg="${messageFor(level, random)}"%F`,
}

const NGINX_ACCESS: LogShape = {
  service: 'gateway',
  format: 'plain',
  isMultiLine: false,
  weight: 8,
  levels: ['INFO'],
  text: (_level, random) =>
    `${pick(random, HOSTS)} - - [%L] "GET ${pick(random, PATHS)}?id=%I HTTP/1.1" ` +
    `${pick(random, ['200', '200', '200', '304', '404'])} %N "-" "${pick(random, AGENTS)}" ` +
    `rt=0.%N%F`,
}

const GATEWAY_PLAIN: LogShape = {
  service: 'gateway',
  format: 'plain',
  isMultiLine: false,
  weight: 3,
  levels: ['WARN', 'ERROR'],
  text: (level, random) =>
    `%T ${level} gateway [%I] ${messageFor(level, random)}, client: ${pick(random, HOSTS)}, ` +
    `request: "GET ${pick(random, PATHS)} HTTP/1.1", upstream: "http://10.4.7.%N/"%F`,
}

const JAVA_BILLING: LogShape = {
  service: 'billing',
  format: 'plain',
  isMultiLine: false,
  weight: 3,
  levels: ['DEBUG', 'INFO', 'WARN'],
  text: (level, random) =>
    `%T  ${level} 1 --- [scheduling-${1 + random.index(4)}] c.e.billing.InvoiceJob : ` +
    `${messageFor(level, random)} invoice=%N run=%I plan=${pick(random, PLANS)}%F`,
}

const JAVA_TRACE: LogShape = {
  service: 'billing',
  format: 'plain',
  isMultiLine: true,
  weight: 2,
  levels: ['ERROR'],
  text: (level, random) =>
    `%T ${level} 1 --- [scheduling-${1 + random.index(4)}] c.e.billing.InvoiceJob : ` +
    `invoice %N failed, run=%I\n` +
    `java.lang.IllegalStateException: ${messageFor(level, random)}\n` +
    `\tat com.example.billing.Invoices.close(Invoices.java:${100 + random.index(800)})\n` +
    `\tat com.example.billing.InvoiceJob.run(InvoiceJob.java:${30 + random.index(60)})\n` +
    `\tat java.base/java.lang.Thread.run(Thread.java:1583)\n` +
    `Caused by: java.net.SocketTimeoutException: Read timed out\n` +
    `\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)\n` +
    `\t... 12 more%F`,
}

export const LOG_SHAPES: readonly LogShape[] = [
  JSON_CHECKOUT,
  JSON_SEARCH,
  LOGFMT_AUTH,
  NGINX_ACCESS,
  GATEWAY_PLAIN,
  JAVA_BILLING,
  JAVA_TRACE,
]
