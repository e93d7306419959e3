/** How Elasticsearch is reached, over real sockets on loopback. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import dns from 'node:dns'
import { readFileSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import { connect as connectSocket, createServer as createTcpServer } from 'node:net'
import type { AddressInfo, LookupFunction, Server } from 'node:net'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { systemClock } from '../../../src/core/clock.ts'
import { ElasticTransport } from '../../../src/sink/elasticsearch/bulk-transport.ts'
import { fetchBy, proxyOf } from '../../../src/sink/elasticsearch/connections.ts'
import { DIRECT, type ConnectionSettings } from '../../../src/sink/elasticsearch/settings.ts'
import { ELASTICSEARCH_DEFAULTS } from '../../helpers/elasticsearch-defaults.ts'
import { testFolder } from '../../helpers/logpipe.ts'

const WRITTEN = '{"errors":false,"items":[{"create":{"status":201}}]}'

async function listen(t: TestContext, server: Server): Promise<string> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function send(t: TestContext, url: string, connection: Partial<ConnectionSettings> = {}) {
  const settings = { ...ELASTICSEARCH_DEFAULTS, urls: [url], timeoutMs: 10_000 }
  const transport = new ElasticTransport(
    { ...settings, connection: { ...DIRECT, ...connection } },
    systemClock,
  )
  t.after(async () => await transport.close())
  return await transport.send(Buffer.from('{"create":{"_index":"i"}}\n{}\n'), 10_000, 1)
}

const proxied = (proxy: string, ...except: string[]) => ({
  proxies: { http: proxy, https: proxy, except },
})

/** A proxy that forwards, tunnels, and remembers what it was asked for, and with which word. */
async function openProxy(t: TestContext) {
  const seen: string[] = []
  const note = (incoming: IncomingMessage) =>
    seen.push(
      `${incoming.method} ${incoming.url} ${incoming.headers['proxy-authorization'] ?? '-'}`,
    )
  const server = createServer((incoming, outgoing) => {
    note(incoming)
    const { method, headers } = incoming
    const onward = httpRequest(incoming.url ?? '', { method: method ?? 'GET', headers })
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.headers)
      answer.pipe(outgoing)
    })
    incoming.pipe(onward)
  })
  server.on('connect', (incoming, socket) => {
    note(incoming)
    const [host = '', port = ''] = (incoming.url ?? '').split(':')
    const onward = connectSocket(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connected\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    socket.on('error', () => onward.destroy())
    onward.on('error', () => socket.destroy())
    t.after(() => onward.destroy())
  })
  return { seen, host: await listen(t, server) }
}

/** A CA, with a certificate of 127.0.0.1 that serves both ends. Null where none can be made. */
function makeCertificates(t: TestContext) {
  const folder = testFolder(t)
  const [certFile, keyFile] = [path.join(folder, 'ca.pem'), path.join(folder, 'key.pem')]
  try {
    const subject = ['-subj', '/CN=stub', '-addext', 'subjectAltName=IP:127.0.0.1']
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
    const files = ['-keyout', keyFile, '-out', certFile]
    execFileSync('openssl', ['req', '-x509', ...kind, ...files, ...subject], { stdio: 'ignore' })
  } catch {
    t.skip('openssl is not installed')
    return null
  }
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}

test('an http node is reached through the proxy, with its credentials and the path', async (t) => {
  const proxy = await openProxy(t)
  const node = await listen(
    t,
    createServer((_, outgoing) => outgoing.end(WRITTEN)),
  )
  const reply = await send(t, `http://${node}/es`, proxied(`http://u:p%20w@${proxy.host}`))
  assert.equal(reply.kind === 'answer' && reply.status, 200)
  const [seen = ''] = proxy.seen
  assert(seen.startsWith(`POST http://${node}/es/_bulk?`), seen)
  assert(seen.endsWith(` Basic ${btoa('u:p w')}`), seen)
})

test('credentials in a URL are sent as they are meant, with and without a password', async (t) => {
  const seen: (string | undefined)[] = []
  const server = createServer((incoming, outgoing) => {
    seen.push(incoming.headers.authorization)
    outgoing.end(WRITTEN)
  })
  const node = await listen(t, server)
  for (const [credentials, meant] of [
    ['us%40er:p%2Fa%3As%23s%25', 'us@er:p/a:s#s%'],
    ['user', 'user:'],
    ['u:100%', 'u:100%'],
  ] as const) {
    const url = `http://${credentials}@${node}`
    assert.equal((await send(t, url)).kind, 'answer')
    await fetchBy(DIRECT)(`${url}/_cluster/health`, {})
    assert.deepEqual(seen.splice(0), [`Basic ${btoa(meant)}`, `Basic ${btoa(meant)}`])
  }
})

test('an https node is reached by a tunnel, and speaks TLS with us itself', async (t) => {
  const pair = makeCertificates(t)
  if (pair === null) return
  const proxy = await openProxy(t)
  const node = await listen(
    t,
    createTlsServer(pair, (_, outgoing) => outgoing.end(WRITTEN)),
  )
  const connection = { caPem: pair.cert, ...proxied(`http://${proxy.host}`) }
  const reply = await send(t, `https://${node}`, connection)
  assert.equal(reply.kind === 'answer' && reply.status, 200)
  assert.deepEqual(proxy.seen, [`CONNECT ${node} -`])
  const direct = await send(t, `https://${node}`, {
    ...connection,
    ...proxied('http://127.0.0.1:9', '127.0.0.1'),
  })
  assert.equal(direct.kind, 'answer')
})

test('a proxy that refuses is named, and its password is not', async (t) => {
  const refusing = createServer((_, outgoing) => outgoing.writeHead(407).end('no, secret-word'))
  refusing.on('connect', (_, socket) => socket.end('HTTP/1.1 407 No\r\n\r\n'))
  const proxy = `http://u:secret-word@${await listen(t, refusing)}`
  const tunnel = await send(t, 'https://es.example.invalid', proxied(proxy))
  assert(tunnel.kind === 'unreachable')
  assert.equal(tunnel.message, 'the proxy answers 407: check ES_PROXY')
  const forward = await send(t, 'http://es.example.invalid', proxied(proxy))
  assert.doesNotMatch(JSON.stringify(forward), /secret-word/)
})

test('NO_PROXY lists names, their sub-domains, ports, addresses and networks', () => {
  const isDirect = (url: string, except: string) => {
    const proxies = { http: 'http://p', https: 'http://p', except: except.split(',') }
    return proxyOf(new URL(url), proxies) === null
  }
  for (const [url, except] of [
    ['http://es.lan:9200', '*'],
    ['http://es.lan:9200', 'x,es.lan'],
    ['http://ES.lan:9200', '.LAN'],
    ['http://a.es.lan:9200', 'es.lan'],
    ['http://es.lan:9200', '*.lan:9200'],
    ['https://es.lan', 'es.lan:443'],
    ['http://10.1.2.3', '10.0.0.0/8'],
    ['http://[fd00::1]:9200', 'fd00::1'],
    ['http://[fd00::1]:9200', '[fd00::1]:9200'],
    ['http://[fd00::1]:9200', 'fd00::/8'],
  ] as const) {
    assert(isDirect(url, except), `${url} with ${except}`)
  }
  for (const [url, except] of [
    ['http://es.lan:9200', ''],
    ['http://es.lan:9200', 's.lan'],
    ['http://es.lan:9200', 'es.lan:80'],
    ['http://11.1.2.3', '10.0.0.0/8'],
    ['http://es.lan', '10.0.0.0/8'],
    ['http://10.1.2.3', '10.0.0.0/99'],
  ] as const) {
    assert(!isDirect(url, except), `${url} with ${except}`)
  }
})

test('a server that asks for a client certificate is shown one, or said to want it', async (t) => {
  const pair = makeCertificates(t)
  if (pair === null) return
  const node = await listen(
    t,
    createTlsServer({ ...pair, ca: pair.cert, requestCert: true }, (_, outgoing) =>
      outgoing.end(WRITTEN),
    ),
  )
  const client = { certificatePem: pair.cert, keyPem: pair.key }
  const shown = await send(t, `https://${node}`, { caPem: pair.cert, client })
  assert.equal(shown.kind, 'answer')
  const without = await send(t, `https://${node}`, { caPem: pair.cert })
  assert(without.kind === 'unreachable')
  assert.match(without.message, /wants a client certificate: set ES_CLIENT_CERT/)
})

test('a server that speaks the other protocol is told from one that breaks off', async (t) => {
  const pair = makeCertificates(t)
  if (pair === null) return
  const tls = await listen(t, createTlsServer(pair))
  const plain = await listen(
    t,
    createServer((_, outgoing) => outgoing.end(WRITTEN)),
  )
  const rude = await listen(
    t,
    createTcpServer((socket) => socket.destroy()),
  )
  const messageOf = async (url: string) => {
    const reply = await send(t, url)
    return reply.kind === 'unreachable' ? reply.message : reply.kind
  }
  assert.equal(await messageOf(`http://${tls}`), `the server at ${tls} speaks TLS: use https://`)
  assert.match(await messageOf(`https://${plain}`), /speaks plain HTTP, not TLS: use http:\/\/$/)
  assert.match(await messageOf(`https://${tls}`), /not trusted \(self-signed .*\): set ES_CA_FILE/)
  assert.doesNotMatch(await messageOf(`http://${rude}`), /TLS/)
  assert.doesNotMatch(await messageOf(`https://${rude}`), /plain HTTP/)
})

test('a redirect is not followed, and names the address to set', async (t) => {
  const location = 'http://u:secret-word@es.example.invalid/es/_bulk?timeout=1s'
  for (const status of [301, 302, 307, 308]) {
    const node = await listen(
      t,
      createServer((_, outgoing) => outgoing.writeHead(status, { location }).end('<html>')),
    )
    const reply = await send(t, `http://${node}`)
    assert(reply.kind === 'answer' && reply.status === status)
    const said = `redirects to http://es.example.invalid/es (${status}): set ES_URL to that address`
    assert.equal(reply.text, said)
    const asked = await fetchBy(DIRECT)(`http://${node}/_bulk`, { redirect: 'manual' })
    assert.equal(asked.status, status)
  }
})

test('an answer in an encoding that nobody asked for is refused unread', async (t) => {
  const asked: (string | undefined)[] = []
  const server = createServer((incoming, outgoing) => {
    asked.push(incoming.headers['accept-encoding'])
    incoming.resume()
    outgoing.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' })
    outgoing.end(gzipSync(Buffer.alloc(64 * 1024 * 1024)))
  })
  const url = `http://${await listen(t, server)}`
  const reply = await send(t, url)
  const refusal = /^the response has Content-Encoding "gzip", which logpipe did not request/
  assert.equal(reply.kind, 'unreachable')
  assert.match(reply.kind === 'unreachable' ? reply.message : '', refusal)
  await assert.rejects(fetchBy(DIRECT)(url, {}), { message: refusal })
  assert.deepEqual(asked, [undefined, 'identity'])
})

test('an answer is read as far as its request explains it', async (t) => {
  const item = '{"create":{"status":201}}'
  let text = ''
  const server = createServer((incoming, outgoing) => {
    incoming.resume()
    outgoing.end(text)
  })
  const url = `http://${await listen(t, server)}`
  text = `{"errors":true,"items":[${'{},'.repeat(700_000)}${item}]}`
  const large = await send(t, url)
  assert.equal(large.kind, 'unreachable')
  assert.match(large.kind === 'unreachable' ? large.message : '', /bigger than the maximum/)
  text = `{"errors":true,"items":[${item}]}`.padEnd(1024 * 1024)
  assert.equal((await send(t, url)).kind, 'answer')
})

test('nothing is connected to at a link-local address that is not listed', async (t) => {
  const refusal = /169\.254\.\d+\.\d+|fe80::1|a9fe|fd00|fd20|100\.100/
  for (const host of [
    '169.254.169.254',
    '2852039166',
    '0xa9.254.43518',
    '[fe80::1]',
    '[::ffff:169.254.169.254]',
    '[64:ff9b::169.254.169.254]',
    '[2002:a9fe:a9fe::1]',
    '[::169.254.169.254]',
    '[fd00:ec2::254]',
    '[fd20:ce::254]',
    '100.100.100.200',
  ]) {
    const url = `http://${host}:9200/`
    for (const proxies of [DIRECT.proxies, proxied('http://127.0.0.1:9').proxies]) {
      const reply = await send(t, url, { proxies })
      const said = reply.kind === 'unreachable' ? reply.message : ''
      assert.match(said, refusal, url)
      assert.match(said, /is link-local: list it in ES_LINK_LOCAL_HOSTS/)
      const asked = fetchBy({ ...DIRECT, proxies })(url, {})
      await assert.rejects(asked, { message: /is link-local/ })
    }
  }
  const listed = { linkLocalHosts: ['[::ffff:a9fe:1]', '::ffff:a9fe:1'] }
  const reply = await send(t, 'http://[::ffff:169.254.0.1]:9200', listed)
  assert.doesNotMatch(reply.kind === 'unreachable' ? reply.message : '', /link-local/)
})

test('a name that resolves to a link-local address is refused, too', async (t) => {
  t.mock.method(dns, 'lookup', ((...given: Parameters<LookupFunction>) => {
    const [, , callback] = given
    callback(null, [{ address: '169.254.169.254', family: 4 }])
  }) as unknown as typeof dns.lookup)
  syncBuiltinESMExports()
  t.after(() => syncBuiltinESMExports())
  const reply = await send(t, 'http://metadata.example.invalid:9200')
  assert.match(
    reply.kind === 'unreachable' ? reply.message : '',
    /^metadata\.example\.invalid \(169\.254\.169\.254\) is link-local/,
  )
})
