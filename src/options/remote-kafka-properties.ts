/**
 * Which librdkafka properties the API may set: an allow-list, since some of the others run programs
 * (sasl.kerberos.kinit.cmd), load code (plugin.library.paths) or read files (ssl.*.location).
 *
 * A property that is not here can still be set on the worker's own machine.
 * Names and meanings: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
 */

const ALLOWED: ReadonlySet<string> = new Set([
  'api.version.request.timeout.ms',
  'broker.address.family',
  'broker.address.ttl',
  'check.crcs',
  'client.dns.lookup',
  'client.id',
  'client.rack',
  'connections.max.idle.ms',
  'coordinator.query.interval.ms',
  'enable.ssl.certificate.verification',
  'fetch.error.backoff.ms',
  'fetch.max.bytes',
  'fetch.message.max.bytes',
  'fetch.min.bytes',
  'fetch.queue.backoff.ms',
  'fetch.wait.max.ms',
  'group.protocol',
  'group.remote.assignor',
  'heartbeat.interval.ms',
  'isolation.level',
  'max.in.flight',
  'max.partition.fetch.bytes',
  'max.poll.interval.ms',
  'message.max.bytes',
  'metadata.max.age.ms',
  'metadata.recovery.strategy',
  'partition.assignment.strategy',
  'queued.max.messages.kbytes',
  'queued.min.messages',
  'receive.message.max.bytes',
  'reconnect.backoff.max.ms',
  'reconnect.backoff.ms',
  'retry.backoff.max.ms',
  'retry.backoff.ms',
  'sasl.mechanism',
  'sasl.mechanisms',
  'sasl.password',
  'sasl.username',
  'security.protocol',
  'session.timeout.ms',
  'socket.connection.setup.timeout.ms',
  'socket.keepalive.enable',
  'socket.max.fails',
  'socket.nagle.disable',
  'socket.receive.buffer.bytes',
  'socket.send.buffer.bytes',
  'socket.timeout.ms',
  'ssl.ca.pem',
  'ssl.certificate.pem',
  'ssl.cipher.suites',
  'ssl.curves.list',
  'ssl.endpoint.identification.algorithm',
  'ssl.key.password',
  'ssl.key.pem',
  'ssl.sigalgs.list',
  'topic.metadata.refresh.interval.ms',
])

/** Values of properties: certificates as PEM are the longest that are sensible. */
const VALUE_CHARS_MAX = 32_768

/** Every property that the API may set, in order of name. */
export const REMOTE_PROPERTIES: readonly string[] = [...ALLOWED].sort()

/** Why a property may not be set by the API, or undefined when it may. */
export function propertyFault(name: string, value: unknown): string | undefined {
  if (!ALLOWED.has(name)) {
    return (
      `the API cannot set the librdkafka property ${name}; ` +
      'set it in the environment of the worker, as KAFKA_CONFIG_...'
    )
  }
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
    return 'expected a string, a number or a boolean'
  }
  const text = String(value)
  if (text.length > VALUE_CHARS_MAX) return `expected at most ${VALUE_CHARS_MAX} characters`
  if (text.includes('\0')) return 'expected no NUL character'
  // A field of one line makes a certificate one line, which librdkafka refuses in the end.
  if (name.endsWith('.pem') && !/-----\r?\n/.test(text)) {
    return 'expected PEM with its line breaks, from -----BEGIN to -----END'
  }
  // GSSAPI makes librdkafka run kinit through a shell.
  if (name.startsWith('sasl.mechanism') && /gssapi/i.test(text)) {
    return 'GSSAPI is not supported; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512'
  }
  return undefined
}

/** Whether a property says how the server proves who it is, or how a secret is sent to it. */
export function protectsConnection(name: string): boolean {
  return /^(security\.|enable\.ssl\.|ssl\.(?!certificate\.pem|key\.)|sasl\.mechanisms?$)/.test(name)
}

/** The environment variable by which `logpipe run` takes a property. */
export function propertyVariable(name: string): string {
  return `KAFKA_CONFIG_${name.toUpperCase().replaceAll('.', '_')}`
}
