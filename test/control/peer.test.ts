/** Whose process stands at the other end of a connection, and behind a proxy. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { addressSet, clientAddress, isOwnUserSocket } from '../../src/control/peer.ts'

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n'
/** A row of the table for a peer at 127.0.0.1:40000 that is connected to 127.0.0.1:8088. */
const row = (uid: number, state = '01') =>
  `1: 0100007F:9C40 0100007F:1F98 ${state} 00000000:00000000 00:00000000 00000000 ${uid} 0 1\n`
const loopback = {
  remoteAddress: '127.0.0.1',
  remotePort: 40_000,
  localAddress: '127.0.0.1',
  localPort: 8088,
}

test('the kernel names the user of a real connection on loopback', async (t) => {
  if (process.platform !== 'linux') return t.skip('only Linux has the table')
  for (const host of ['127.0.0.1', '::1']) {
    const server = createServer().listen(0, host)
    t.after(() => server.close())
    await once(server, 'listening')
    const client = connect((server.address() as AddressInfo).port, host)
    t.after(() => client.destroy())
    const [socket] = (await once(server, 'connection')) as [Socket]
    t.after(() => socket.destroy())
    assert.equal(isOwnUserSocket(socket), true, host)
    const readTable = undefined
    assert.equal(isOwnUserSocket(socket, readTable, (process.geteuid?.() ?? 0) + 1), false)
  }
})

test('only an established row of the same user is our own', () => {
  const isOwn = (table: string, user: number | undefined = 1000) =>
    isOwnUserSocket(loopback, () => table, user)
  assert.equal(isOwn(HEAD + row(1000)), true)
  assert.equal(isOwn(HEAD + row(33)), false, 'a proxy runs as another user')
  assert.equal(isOwn(HEAD + row(1000, '06')), false, 'TIME_WAIT names nobody')
  assert.equal(isOwn(HEAD), false, 'no row')
  assert.equal(isOwn('garbage\n\n: : :'), false)
})

test('an id that stands for strangers too is nobody’s own', () => {
  const isOwn = (standsForMany: boolean) =>
    isOwnUserSocket(
      loopback,
      () => HEAD + row(65_534),
      65_534,
      () => standsForMany,
    )
  assert.equal(isOwn(false), true)
  assert.equal(isOwn(true), false)
})

test('an IPv4 client of a server on :: stands in the table as it connected', () => {
  const mapped = {
    ...loopback,
    remoteAddress: '::ffff:127.0.0.1',
    localAddress: '::ffff:127.0.0.1',
  }
  assert.equal(
    isOwnUserSocket(mapped, () => HEAD + row(1000), 1000),
    true,
  )
})

test('where there is no table, or the peer is elsewhere, nobody is our own', () => {
  const missing = () => {
    throw Object.assign(new RangeError('ENOENT'), { code: 'ENOENT' })
  }
  assert.equal(isOwnUserSocket(loopback, missing, 1000), false)
  const away = { ...loopback, remoteAddress: '10.0.0.1' }
  assert.equal(
    isOwnUserSocket(away, () => HEAD + row(1000), 1000),
    false,
  )
  assert.equal(
    isOwnUserSocket({}, () => HEAD + row(1000), 1000),
    false,
  )
})

test('the client behind trusted proxies is the last address that is none of them', () => {
  const proxies = addressSet(['10.0.0.0/8', '127.0.0.1'])
  const of = (peer: string, forwardedFor?: string) => clientAddress(peer, forwardedFor, proxies)
  assert.equal(of('192.0.2.1', '203.0.113.9'), '192.0.2.1', 'a stranger is not believed')
  assert.equal(of('10.1.1.1', '203.0.113.9, 10.2.2.2'), '203.0.113.9')
  assert.equal(of('::ffff:127.0.0.1', '1.1.1.1, 203.0.113.9'), '203.0.113.9')
  assert.equal(of('10.1.1.1', 'nonsense'), '10.1.1.1')
  assert.equal(of('10.1.1.1'), '10.1.1.1')
})
