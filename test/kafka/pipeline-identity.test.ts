/** What makes two processes one pipeline, or two. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  LABEL_MAX,
  fingerprintOf,
  identityOf,
  withFingerprint,
} from '../../src/kafka/pipeline-identity.ts'
import { resolve } from '../../src/options/resolve.ts'

function identity(args: string, env: Readonly<Record<string, string>> = {}) {
  const words = args === '' ? [] : args.split(' ')
  return identityOf(resolve({ command: 'run', args: words, env }).config, null)
}
const of = (args: string, env = {}) => identity(args, env).fingerprint

test('what is kept and where it goes make a pipeline', () => {
  const variants = [
    '',
    '--pattern FATAL',
    '--pattern ERROR --pattern FATAL',
    '--ignore-case',
    '--invert-match',
    '--output none',
    '--output file:x',
    '--es-enabled',
    '--es-enabled --es-index other',
    '--es-enabled --es-url http://other:9200',
    '--es-enabled --es-pipeline p',
    '--product-line metrics',
    '--product-line metrics --count a=x',
    '--count a=x',
    '--count a=y',
    '--count a=y --metrics-index m',
  ]
  assert.equal(new Set(variants.map((args) => of(args))).size, variants.length)
})

test('a worker is the same pipeline wherever it runs, and however it runs', () => {
  const same = (...variants: string[]) =>
    assert.equal(new Set(variants.map((args) => of(args))).size, 1, variants.join(' | '))
  same('', '--topic other', '--group other', '--start latest', '--ingress-threads 1')
  same('--output file:/a/x', '--output file:/b/y')
  same('--count a=x --count b=y', '--count b=y --count a=x')
  same('--pattern A --pattern B', '--pattern B --pattern A', '--pattern-hex 42 --pattern A')
  const elasticsearch = '--es-enabled --es-url http://a:1,http://b:2'
  same(
    elasticsearch,
    '--es-enabled --es-url http://b:2,http://u:p@a:1',
    `${elasticsearch} --es-spill-path /tmp/x`,
  )
})

test('under control the number of the pipeline decides, whatever was edited', () => {
  const { config } = resolve({ command: 'run', args: [], env: {} })
  const edited = resolve({ command: 'run', args: ['--pattern', 'X'], env: {} }).config
  const one = identityOf(config, { id: 7, name: 'web' })
  assert.equal(identityOf(edited, { id: 7, name: 'renamed' }).fingerprint, one.fingerprint)
  assert.notEqual(identityOf(config, { id: 8, name: 'web' }).fingerprint, one.fingerprint)
  assert.equal(one.label, 'pipeline 7 "web"')
})

test('people read what is kept and where it goes, on one short line without a password', () => {
  assert.equal(identity('').label, '"ERROR" to stdout')
  assert.equal(
    identity('--es-enabled --es-url http://u:secret@h:9200 --invert-match').label,
    'all but "ERROR" to logs-filtered at http://h:9200/',
  )
  const { label } = identity('', { MATCH_PATTERN: `a\tb${'x'.repeat(500)}` })
  assert.match(label, /^"a\\tbx+\.\.\.$/)
  assert.equal(label.length, LABEL_MAX)
})

test('a client id tells the pipeline, and those of others tell none', () => {
  const own = identity('')
  const [pair] = withFingerprint([['client.id', 'shipper']], own)
  assert.deepEqual(pair, ['client.id', `shipper-pipeline-${own.fingerprint}`])
  assert.equal(fingerprintOf(pair?.[1] ?? ''), own.fingerprint)
  for (const text of ['', 'logpipe', 'rdkafka', 'logpipe-pipeline-xyz', 'logpipe 12 x']) {
    assert.equal(fingerprintOf(text), undefined, text)
  }
})
