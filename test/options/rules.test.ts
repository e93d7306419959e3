/** Every rule between options is broken once, and says so in the user's terms. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogpipeError } from '../../src/core/errors.ts'
import { poolHolders, RULES } from '../../src/options/rules.ts'
import { resolve } from '../../src/options/resolve.ts'
import type { CommandName } from '../../src/options/spec.ts'

const BROKEN: Readonly<
  Record<string, readonly [command: CommandName, args: string, says: RegExp]>
> = {
  'pool-holders': [
    'run',
    '--pool-size=11',
    /^--pool-size: expected at least 12 slots, got 11: 2 ingress/,
  ],
  'batch-fits-slot': ['run', '--buffer-bytes=64k', /^--buffer-bytes: BATCH_BYTES \(262144\)/],
  'unresolved-holds-batch': [
    'run',
    '--max-unresolved=1000 --batch-msgs=1001',
    /^--max-unresolved: BATCH_MSGS/,
  ],
  'request-fits-queue': ['run', '--es-queue-bytes=1m', /^--es-queue-bytes: ES_BULK_BYTES/],
  'request-actions-fit-queue': ['run', '--es-queue-cap=10', /^--es-queue-cap: ES_BULK_ACTIONS/],
  'one-way-to-sign-in': [
    'run',
    '--es-api-key=x --es-username=y',
    /^--es-api-key: ES_API_KEY and ES_USER/,
  ],
  'user-and-password': ['run', '--es-username=y', /^--es-username: requires ES_PASSWORD as well$/],
  'client-certificate-and-key': [
    'run',
    '--es-client-cert=c.pem',
    /^--es-client-cert: requires ES_CLIENT_KEY as well$/,
  ],
  'rule-field-of-rules': ['run', '--rule-field rule', /^--rule-field: is given the name of a rule/],
  'hash-with-key': [
    'run',
    '--fields {"redact":{"a":"hash"}}',
    /^--fields: redact: hash needs a key: set REDACT_KEY/,
  ],
  'rules-alone': [
    'run',
    '--rules [{"name":"a"}] --keep b',
    /^--rules: rules say what is kept, and --keep says it again: write it into the rules$/,
  ],
  'copies-have-ids': [
    'run',
    '--rules {"all":true,"list":[{"name":"a"}]} --document-id key',
    /^--rules: with all: true a record may become several documents/,
  ],
  'rules-write': [
    'run',
    '--rules [{"name":"a"}] --product-line metrics',
    /^--rules: rules say where documents go/,
  ],
  'patterns-are-inverted-alone': [
    'run',
    '-v --keep a',
    /^-v: inverts patterns, and does not go with --keep/,
  ],
  'patterns-are-folded-alone': [
    'run',
    '-i --keep a',
    /^-i: is for patterns, and does not go with --keep/,
  ],
  'drain-within-poll-interval': [
    'run',
    '--kafka-config max.poll.interval.ms=10000',
    /^--revoke-drain-ms: 10000 ms must be below/,
  ],
  'metrics-write-nothing': [
    'run',
    '--product-line=metrics --output=none',
    /^--product-line: metrics writes no documents, but --output is set/,
  ],
  'metrics-have-names': [
    'run',
    '--count=a=x --count=b=x --count=a=y',
    /^--count: two metrics are named a: rename one$/,
  ],
  'metrics-count-all-that-is-read': [
    'run',
    '--count=a=x -n 5',
    /^--count: counts whatever is read/,
  ],
  'metrics-select-for-themselves': [
    'run',
    '--product-line=metrics --count=a=x --keep=y',
    /^--product-line: metrics writes no documents, so --keep selects none/,
  ],
  'windows-are-of-metrics': [
    'run',
    '--metrics-index=m',
    /^--metrics-index: needs metrics to write/,
  ],
  'windows-are-kept-by-commits': [
    'run',
    '--metrics-index=m --count=a=x --output=none',
    /^--metrics-index: counts each record once by what the group commits, and --output none/,
  ],
  'windows-are-bounded': [
    'run',
    '--metrics-lateness=24h --metrics-window=10s',
    /^--metrics-lateness: 86400 s are more than 1000 windows of 10 s/,
  ],
  'token-and-mechanism': [
    'run',
    '--kafka-token-file=t',
    /^--kafka-token-file: needs .*OAUTHBEARER/,
  ],
  'embedded-has-no-brokers': [
    'run',
    '--embedded --brokers=a:1',
    /^--embedded: .*together with --brokers/,
  ],
  'embedded-makes-topics': ['run', '--embedded --topic=^a', /^--embedded: .*requires topic names/],
  'group-by-name': ['run', '--group=', /^--group: expected a name, got nothing$/],
  'rate-to-produce-at': ['bench produce', '--throughput=0', /^--throughput: expected -1 or a/],
  'topic-to-produce-to': ['bench produce', '--topic=a,b', /^--topic: is not a topic name/],
  'id-prefix': ['run', '--id-prefix=äöü', /^--id-prefix: expected auto, none, or up to 64/],
  'replay-span': [
    'replay',
    '--from=2026-01-02T00:00Z --to=2026-01-01T00:00Z',
    /^--to: must be later than --from/,
  ],
  'worker-id-is-a-folder': ['sync', '--worker-id=../x', /^--worker-id: expected up to 100/],
  'tls-pair': [
    'control',
    '--control-tls-cert=x',
    /^--control-tls-cert: .*set CONTROL_TLS_CERT and CONTROL_TLS_KEY together/,
  ],
  'own-worker-without-tls': [
    'control',
    '--with-worker --control-tls-cert=x --control-tls-key=y',
    /^--with-worker: start the worker by itself/,
  ],
}

test('each rule is broken by a case of its own', () => {
  assert.deepEqual(Object.keys(BROKEN).toSorted(), RULES.map((rule) => rule.name).toSorted())
  for (const [name, [command, args, says]] of Object.entries(BROKEN)) {
    assert.throws(
      () => resolve({ command, args: args.split(' '), env: {} }),
      (error) =>
        error instanceof LogpipeError && error.code === 'USAGE' && says.test(error.message),
      name,
    )
  }
})

test('the smallest pool that has a slot for each holder is accepted', () => {
  const least = (args: string[]) => resolve({ command: 'run', args, env: {} }).config
  const config = least(['--pool-size=12'])
  assert.equal(
    poolHolders(config).reduce((sum, { slots }) => sum + slots, 0),
    12,
  )
  assert.equal(least(['--pool-size=4', '--mode=direct']).poolSize, 4)
  assert.throws(() => least(['--pool-size=3', '--mode=direct']))
})
