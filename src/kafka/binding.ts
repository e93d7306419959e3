/**
 * Confluent's binding: loading it when it is first needed, its configuration, and its errors as
 * ours.
 *
 * Used by producer, bulk producer and admin, which are not on the hot path; records are read
 * through the bridge. Loading takes some 40 ms and a native library, so nothing imports it before
 * it has to.
 */
import type * as RdKafka from '@confluentinc/kafka-javascript'
import { type ErrorCode, LogpipeError, messageOf } from '../core/errors.ts'
import { readToken } from './sign-in.ts'

export type Binding = typeof RdKafka

/** librdkafka properties, name and value; a later one of the same name wins. */
export type KafkaConfig = readonly (readonly [name: string, value: string])[]

export interface KafkaClientSettings {
  /** Host:port, comma separated (KAFKA_BROKERS). */
  readonly brokers: string
  /** The user's own properties: TLS, SASL and their like. */
  readonly config: KafkaConfig
  /** OAUTHBEARER's token (KAFKA_TOKEN_FILE). */
  readonly tokenFile?: string | null
  /** How long one request to the cluster may take, in ms. */
  readonly timeoutMs: number
}

export async function loadBinding(): Promise<Binding> {
  try {
    const loaded = (await import('@confluentinc/kafka-javascript')) as unknown as {
      readonly default: Binding
    }
    return loaded.default
  } catch (cause) {
    if (cause instanceof LogpipeError) throw cause
    const why = firstLine(messageOf(cause))
    const message = `cannot load the Kafka binding (${why}); run: npm run setup`
    throw new LogpipeError('BRIDGE_LOAD', message, { cause })
  }
}

/** The properties as the binding takes them: our defaults first, the user's own override them. */
export function bindingConfig(
  settings: KafkaClientSettings,
  defaults: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const { tokenFile = null } = settings
  return {
    'client.id': 'logpipe',
    ...defaults,
    ...Object.fromEntries(settings.config),
    'bootstrap.servers': settings.brokers,
    ...(tokenFile === null ? {} : { oauthbearer_token_refresh_cb: () => tokenOf(tokenFile) }),
  }
}

/** As the binding takes a token; asked for before the first connection and before it ends. */
function tokenOf(file: string): Promise<object> {
  return new Promise((resolve) => {
    const { value, expiresMs, principal } = readToken(file, Date.now())
    resolve({ tokenValue: value, lifetime: expiresMs, principal })
  })
}

/** librdkafka's error codes (rdkafka.h) that mean something to a user, as our codes. */
const CODES: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [-150, 'KAFKA_FATAL'], // _FATAL
  [-169, 'KAFKA_AUTH'], // _AUTHENTICATION
  [-181, 'KAFKA_AUTH'], // _SSL
  [29, 'KAFKA_AUTH'], // TOPIC_AUTHORIZATION_FAILED
  [30, 'KAFKA_AUTH'], // GROUP_AUTHORIZATION_FAILED
  [31, 'KAFKA_AUTH'], // CLUSTER_AUTHORIZATION_FAILED
  [33, 'KAFKA_AUTH'], // UNSUPPORTED_SASL_MECHANISM
  [34, 'KAFKA_AUTH'], // ILLEGAL_SASL_STATE
  [53, 'KAFKA_AUTH'], // TRANSACTIONAL_ID_AUTHORIZATION_FAILED
  [58, 'KAFKA_AUTH'], // SASL_AUTHENTICATION_FAILED
  [-188, 'KAFKA_TOPIC'], // _UNKNOWN_TOPIC
  [-190, 'KAFKA_TOPIC'], // _UNKNOWN_PARTITION
  [3, 'KAFKA_TOPIC'], // UNKNOWN_TOPIC_OR_PART
  [10, 'KAFKA_TOPIC'], // MSG_SIZE_TOO_LARGE: above the topic's max.message.bytes
  [17, 'KAFKA_TOPIC'], // TOPIC_EXCEPTION: not a legal name
  [36, 'KAFKA_TOPIC'], // TOPIC_ALREADY_EXISTS
  [37, 'KAFKA_TOPIC'], // INVALID_PARTITIONS
  [38, 'KAFKA_TOPIC'], // INVALID_REPLICATION_FACTOR
  [40, 'KAFKA_TOPIC'], // INVALID_CONFIG
  [44, 'KAFKA_TOPIC'], // POLICY_VIOLATION
  [87, 'KAFKA_TOPIC'], // INVALID_RECORD
  [-195, 'KAFKA_UNREACHABLE'], // _TRANSPORT
  [-193, 'KAFKA_UNREACHABLE'], // _RESOLVE
  [-192, 'KAFKA_UNREACHABLE'], // _MSG_TIMED_OUT
  [-187, 'KAFKA_UNREACHABLE'], // _ALL_BROKERS_DOWN
  [-185, 'KAFKA_UNREACHABLE'], // _TIMED_OUT
  [-180, 'KAFKA_UNREACHABLE'], // _WAIT_COORD
  [5, 'KAFKA_UNREACHABLE'], // LEADER_NOT_AVAILABLE
  [6, 'KAFKA_UNREACHABLE'], // NOT_LEADER_FOR_PARTITION
  [7, 'KAFKA_UNREACHABLE'], // REQUEST_TIMED_OUT
  [8, 'KAFKA_UNREACHABLE'], // BROKER_NOT_AVAILABLE
  [14, 'KAFKA_UNREACHABLE'], // COORDINATOR_LOAD_IN_PROGRESS
  [15, 'KAFKA_UNREACHABLE'], // COORDINATOR_NOT_AVAILABLE
  [16, 'KAFKA_UNREACHABLE'], // NOT_COORDINATOR
  [19, 'KAFKA_UNREACHABLE'], // NOT_ENOUGH_REPLICAS
  [20, 'KAFKA_UNREACHABLE'], // NOT_ENOUGH_REPLICAS_AFTER_APPEND
])

/** librdkafka's local queue has no room: wait and try again. */
export const QUEUE_FULL = -184

/** librdkafka's code of anything that the binding threw or reported; NaN when it has none. */
export function kafkaCodeOf(thrown: unknown): number {
  const { code } = Object(thrown) as { readonly code?: unknown }
  return typeof code === 'number' ? code : Number.NaN
}

/**
 * An error that the binding threw or reported, as a LogpipeError with a message of one line.
 * @param doing the attempted action, for example `create topic "logs"`.
 */
export function kafkaError(thrown: unknown, doing: string, brokers: string): LogpipeError {
  if (thrown instanceof LogpipeError) return thrown
  const said = firstLine(textOf(thrown))
  const code = CODES.get(kafkaCodeOf(thrown)) ?? 'BRIDGE_CALL'
  return new LogpipeError(
    code,
    `cannot ${doing}: ${said}; ${ADVICE[code] ?? ADVICE_ELSE} (${brokers})`,
    {
      cause: thrown,
    },
  )
}

const ADVICE_ELSE = 'see the message of librdkafka'
const ADVICE: Partial<Record<ErrorCode, string>> = {
  KAFKA_AUTH: 'check the credentials, certificates and access rights for the brokers',
  KAFKA_TOPIC: 'check the topic and its settings on the brokers',
  KAFKA_UNREACHABLE: 'check that the brokers run and can be reached',
  KAFKA_FATAL: 'restart the client',
}

/** A constructor that throws does so for a property: unknown, or of a wrong value. */
export function kafkaConfigError(thrown: unknown): LogpipeError {
  return new LogpipeError('KAFKA_CONFIG', `librdkafka: ${firstLine(messageOf(thrown))}`, {
    cause: thrown,
  })
}

/**
 * Remembers why a client cannot connect. The request that fails says "timed out" or "transport
 * failure" only; what the broker said of the password, or the system of the address, comes as
 * events and log lines.
 */
export class ConnectionTrouble {
  #code: number | null = null
  #detail: string | null = null

  /** For the client's `event.error`: the binding passes librdkafka's text on, but not its code. */
  recordError(error: unknown): void {
    const code = EVENT_CODES.get(
      textOf(error)
        .toLowerCase()
        .replace(/^\w+: /, ''),
    )
    // Later events only repeat that the connection is down.
    if (code !== undefined) this.#code ??= code
  }

  /** For the client's `event.log`. */
  recordLog(line: { readonly fac?: unknown; readonly message?: unknown }): void {
    if (line.fac !== 'FAIL') return
    // "[thrd:sasl://b:9092/1]: sasl://b:9092/1: Connect failed: refused (after 0ms in state
    // CONNECT)"
    this.#detail = firstLine(String(line.message))
      .replace(/^\[thrd:.*?\]: /, '')
      .replace(/ \(after \d+ms in state .*$/, '')
  }

  /** The better explanation of `error`: itself, unless it only says that no answer came. */
  explain(error: unknown): unknown {
    const isVague = CODES.get(kafkaCodeOf(error)) === 'KAFKA_UNREACHABLE'
    if (!isVague || (this.#code === null && this.#detail === null)) return error
    return {
      code: this.#code ?? kafkaCodeOf(error),
      message: this.#detail ?? textOf(error),
    }
  }
}

/** What `event.error` may say that explains a failed connection (rdkafka.c: rd_kafka_err_descs). */
const EVENT_CODES: ReadonlyMap<string, number> = new Map([
  ['authentication failure', -169],
  ['sasl authentication failed', -169],
  ['ssl error', -181],
  ['host resolution failure', -193],
])

/** An Error's message, or that of the binding's plain objects. */
function textOf(thrown: unknown): string {
  const { message } = Object(thrown) as { readonly message?: unknown }
  return typeof message === 'string' ? message : messageOf(thrown)
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
