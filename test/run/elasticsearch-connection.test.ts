/** Files and proxies that cannot serve are refused in one line, before anything is opened. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { resolve } from '../../src/options/resolve.ts'
import { connectionSettings } from '../../src/run/elasticsearch-connection.ts'
import { testFolder } from '../helpers/logpipe.ts'

const connect = (...args: string[]) =>
  connectionSettings(resolve({ command: 'check', args, env: {} }).config)

test('a file of certificates is taken as it is, with what stands between them', (t) => {
  const file = path.join(testFolder(t), 'ca.pem')
  const text = `# two of them\n${rootCertificates.slice(0, 2).join('\n# and\n')}\n`
  writeFileSync(file, text)
  assert.equal(connect('--es-ca-file', file).caPem, text)
})

test('a file that is missing or holds no certificate is refused by its option', (t) => {
  const file = path.join(testFolder(t), 'ca.pem')
  const says = (message: RegExp) =>
    assert.throws(() => connect('--es-ca-file', file), { code: 'USAGE', message })
  says(/^ES_CA_FILE: expected certificates in PEM, cannot read .*ca\.pem: no such file/)
  writeFileSync(file, 'not a certificate\n')
  says(/^ES_CA_FILE: expected certificates in PEM, .*ca\.pem: /)
})

test('a client certificate comes with its own key, or is refused', (t) => {
  const file = (name: string, text: string) => {
    const named = path.join(testFolder(t), name)
    writeFileSync(named, text)
    return named
  }
  const [key, other] = [1, 2].map(() => generateKeyPairSync('ed25519').privateKey)
  const pem = (made: KeyObject | undefined) =>
    String(made?.export({ type: 'pkcs8', format: 'pem' }))
  const certificate = file('c.pem', rootCertificates[0] ?? '')
  const pair = (keyFile: string) => () =>
    connect('--es-client-cert', certificate, '--es-client-key', keyFile)
  const says = { code: 'USAGE', message: /^ES_CLIENT_KEY: expected the private key of ES_CLIENT_/ }
  for (const text of ['', 'no key', pem(key), pem(other)]) {
    assert.throws(pair(file('k.pem', text)), says)
  }
})

test('ES_PROXY takes the place of the variables, and none connects directly', () => {
  const proxiesOf = (env: Readonly<Record<string, string>>) =>
    connectionSettings(resolve({ command: 'check', args: [], env }).config).proxies
  const standard = { HTTPS_PROXY: 'http://secure:1', http_proxy: 'plain:2', NO_PROXY: 'a, .b' }
  assert.deepEqual(proxiesOf(standard), {
    https: 'http://secure:1',
    http: 'http://plain:2',
    except: ['a', '.b'],
  })
  assert.deepEqual(proxiesOf({ ...standard, ES_PROXY: 'https://own:3', NO_PROXY: '' }), {
    https: 'https://own:3',
    http: 'https://own:3',
    except: [],
  })
  const direct = proxiesOf({ ...standard, ES_PROXY: 'none' })
  assert.deepEqual([direct.https, direct.http], [null, null])
  assert.deepEqual(proxiesOf({}), { https: null, http: null, except: [] })
})

test('a proxy of another kind is refused where it would be used, without its password', () => {
  const env = { HTTPS_PROXY: 'socks5://u:hidden@p:1' }
  const { config } = resolve({ command: 'run', args: [], env })
  assert.doesNotMatch(JSON.stringify(config), /hidden/)
  assert.throws(
    () => connectionSettings(config),
    (error: Error) => {
      assert.match(error.message, /^HTTPS_PROXY: expected an HTTP proxy such as .*ES_PROXY=none/)
      assert.doesNotMatch(error.message, /hidden/)
      return true
    },
  )
})
