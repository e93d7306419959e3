/**
 * librdkafka's properties as logpipe sees them: which exist, which are logpipe's own, which are
 * secret.
 *
 * A name that does not exist is refused here, with the nearest that does, before anything is
 * opened; what a value may be is left to librdkafka. A test compares the names with the
 * CONFIGURATION.md of the librdkafka in use. Properties that take a pointer are not among them.
 */

/** Every property that can be set as text. */
export const PROPERTY_NAMES: ReadonlySet<string> = new Set(
  `
  acks allow.auto.create.topics api.version.fallback.ms api.version.request
  api.version.request.timeout.ms auto.commit.enable auto.commit.interval.ms auto.offset.reset
  batch.num.messages batch.size bootstrap.servers broker.address.family broker.address.ttl
  broker.version.fallback builtin.features check.crcs client.dns.lookup client.id client.rack
  compression.codec compression.level compression.type connections.max.idle.ms
  consume.callback.max.messages coordinator.query.interval.ms debug delivery.report.only.error
  delivery.timeout.ms enable.auto.commit enable.auto.offset.store enable.gapless.guarantee
  enable.idempotence enable.metrics.push enable.partition.eof enable.random.seed
  enable.sasl.oauthbearer.unsecure.jwt enable.ssl.certificate.verification enabled_events
  fetch.error.backoff.ms fetch.max.bytes fetch.message.max.bytes fetch.min.bytes
  fetch.queue.backoff.ms fetch.wait.max.ms group.id group.instance.id group.protocol
  group.protocol.type group.remote.assignor heartbeat.interval.ms https.ca.location
  https.ca.pem internal.termination.signal isolation.level linger.ms log.connection.close
  log.queue log.thread.name log_level max.in.flight max.in.flight.requests.per.connection
  max.partition.fetch.bytes max.poll.interval.ms max.poll.records message.copy.max.bytes
  message.max.bytes message.send.max.retries message.timeout.ms metadata.broker.list
  metadata.max.age.ms metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy
  offset.store.method offset.store.path offset.store.sync.interval.ms
  partition.assignment.strategy partitioner plugin.library.paths produce.offset.report
  queue.buffering.backpressure.threshold queue.buffering.max.kbytes
  queue.buffering.max.messages queue.buffering.max.ms queued.max.messages.kbytes
  queued.min.messages queuing.strategy receive.message.max.bytes reconnect.backoff.jitter.ms
  reconnect.backoff.max.ms reconnect.backoff.ms request.required.acks request.timeout.ms
  retries retry.backoff.max.ms retry.backoff.ms sasl.kerberos.keytab sasl.kerberos.kinit.cmd
  sasl.kerberos.min.time.before.relogin sasl.kerberos.principal sasl.kerberos.service.name
  sasl.mechanism sasl.mechanisms sasl.oauthbearer.assertion.algorithm
  sasl.oauthbearer.assertion.claim.aud sasl.oauthbearer.assertion.claim.exp.seconds
  sasl.oauthbearer.assertion.claim.iss sasl.oauthbearer.assertion.claim.jti.include
  sasl.oauthbearer.assertion.claim.nbf.seconds sasl.oauthbearer.assertion.claim.sub
  sasl.oauthbearer.assertion.file sasl.oauthbearer.assertion.jwt.template.file
  sasl.oauthbearer.assertion.private.key.file sasl.oauthbearer.assertion.private.key.passphrase
  sasl.oauthbearer.assertion.private.key.pem sasl.oauthbearer.client.credentials.client.id
  sasl.oauthbearer.client.credentials.client.secret sasl.oauthbearer.client.id
  sasl.oauthbearer.client.secret sasl.oauthbearer.config sasl.oauthbearer.extensions
  sasl.oauthbearer.grant.type sasl.oauthbearer.metadata.authentication.type
  sasl.oauthbearer.method sasl.oauthbearer.scope sasl.oauthbearer.sub.claim.name
  sasl.oauthbearer.token.endpoint.url sasl.password sasl.username security.protocol
  session.timeout.ms share.acknowledgement.mode socket.blocking.max.ms
  socket.connection.setup.timeout.ms socket.keepalive.enable socket.max.fails
  socket.nagle.disable socket.receive.buffer.bytes socket.send.buffer.bytes socket.timeout.ms
  ssl.ca.certificate.stores ssl.ca.location ssl.ca.pem ssl.certificate.location
  ssl.certificate.pem ssl.cipher.suites ssl.crl.location ssl.curves.list
  ssl.endpoint.identification.algorithm ssl.engine.id ssl.engine.location ssl.key.location
  ssl.key.password ssl.key.pem ssl.keystore.location ssl.keystore.password ssl.providers
  ssl.sigalgs.list statistics.interval.ms sticky.partitioning.linger.ms topic.blacklist
  topic.metadata.propagation.max.ms topic.metadata.refresh.fast.cnt
  topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.interval.ms
  topic.metadata.refresh.sparse transaction.timeout.ms transactional.id
`
    .trim()
    .split(/\s+/),
)

/** Properties that logpipe sets itself, and what to use instead. */
const OWNED: ReadonlyMap<string, string> = new Map([
  ['bootstrap.servers', 'use --brokers'],
  ['metadata.broker.list', 'use --brokers'],
  ['group.id', 'use --group'],
  ['group.instance.id', 'use --group-instance-id'],
  ['auto.offset.reset', 'use --start'],
  ['enable.auto.commit', 'logpipe commits what is written; --no-commit commits nothing'],
  ['auto.commit.enable', 'logpipe commits what is written; --no-commit commits nothing'],
  ['auto.commit.interval.ms', 'logpipe commits what is written; --no-commit commits nothing'],
  ['enable.auto.offset.store', 'logpipe stores the offset of what is written'],
  ['offset.store.method', 'logpipe keeps offsets in Kafka'],
  ['offset.store.path', 'logpipe keeps offsets in Kafka'],
  ['offset.store.sync.interval.ms', 'logpipe keeps offsets in Kafka'],
  ['enable.partition.eof', 'logpipe needs to see the end of a partition'],
  ['enabled_events', 'logpipe chooses the events it serves'],
  ['log.queue', 'logpipe reads the log itself; use --log-level debug'],
  ['builtin.features', 'it describes how librdkafka was built'],
])

/** SASL mechanisms of the librdkafka that logpipe carries. */
export const SASL_MECHANISMS: readonly string[] = [
  'PLAIN',
  'SCRAM-SHA-256',
  'SCRAM-SHA-512',
  'OAUTHBEARER',
]

/** Properties that group.protocol=consumer (KIP-848) forbids: the broker decides them there. */
export const CLASSIC_PROTOCOL_ONLY: readonly string[] = [
  'session.timeout.ms',
  'heartbeat.interval.ms',
  'partition.assignment.strategy',
  'group.protocol.type',
]

const SECRET =
  /(password|secret|passphrase|ssl\.key\.pem|private\.key\.pem|oauthbearer\.(config|extensions))$/

export function isSecretProperty(name: string): boolean {
  return SECRET.test(name)
}

/** Whether a value is shown to nobody, though by itself it may open nothing: who signs in, say. */
export function isHiddenProperty(name: string): boolean {
  return isSecretProperty(name) || (name.startsWith('sasl.') && !/^sasl\.mechanisms?$/.test(name))
}

/** What to use instead of a property that logpipe owns; undefined when a user may set it. */
export function ownedProperty(name: string): string | undefined {
  return OWNED.get(name)
}

/**
 * sasl.password for sasl.password.file: the secret property whose value a file holds. Undefined for
 * everything else, also for librdkafka's own properties that end in .file.
 */
export function secretOfFile(name: string): string | undefined {
  const secret = name.endsWith('.file') ? name.slice(0, -'.file'.length) : ''
  return PROPERTY_NAMES.has(secret) && isSecretProperty(secret) ? secret : undefined
}

/** sasl.mechanism for KAFKA_CONFIG_SASL_MECHANISM; undefined for every other variable. */
export function propertyOfEnv(variable: string): string | undefined {
  const prefix = 'KAFKA_CONFIG_'
  if (!variable.startsWith(prefix) || variable === prefix) return undefined
  const dotted = variable.slice(prefix.length).toLowerCase().replaceAll('_', '.')
  // The only property that is named with an underscore and set as text.
  return dotted === 'log.level' ? 'log_level' : dotted
}

/** The value of a property in a list where the last mention counts. */
export function propertyOf(
  properties: readonly (readonly [name: string, value: string])[],
  name: string,
): string | undefined {
  return properties.findLast(([each]) => each === name)?.[1]
}
