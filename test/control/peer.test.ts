/** Whose process stands at the other end of a connection, and behind a proxy. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import {
  addressSet,
  clientAddress,
  type Connection,
  OwnConnections,
} from '../../src/control/peer.ts'

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

/** Whether a connection is our own, as these tables have it. */
const isOwn = (tables: readonly string[], connection: Connection = loopback, id?: number) =>
  new OwnConnections({
    readTables: () => Promise.resolve(tables),
    id: id ?? 1000,
    standsForMany: (uid) => uid === 65_534,
  }).isOwn(connection)

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
    assert.equal(await new OwnConnections().isOwn(socket), true, host)
    const other = new OwnConnections({ id: (process.geteuid?.() ?? 0) + 1 })
    assert.equal(await other.isOwn(socket), false)
  }
})

test('only an established row of the same user is our own', async () => {
  assert.equal(await isOwn([HEAD + row(1000)]), true)
  assert.equal(await isOwn(['', HEAD + row(1000)]), true, 'the table of IPv6')
  assert.equal(await isOwn([HEAD + row(33)]), false, 'a proxy runs as another user')
  assert.equal(await isOwn([HEAD + row(1000, '06')]), false, 'TIME_WAIT names nobody')
  assert.equal(await isOwn([HEAD]), false, 'no row')
  assert.equal(await isOwn(['garbage\n\n: : :']), false)
})

test('an id that stands for strangers too is nobody’s own', async () => {
  assert.equal(await isOwn([HEAD + row(65_533)], loopback, 65_533), true)
  assert.equal(await isOwn([HEAD + row(65_534)], loopback, 65_534), false)
})

test('an IPv4 client of a server on :: stands in the table as it connected', async () => {
  const mapped = {
    ...loopback,
    remoteAddress: '::ffff:127.0.0.1',
    localAddress: '::ffff:127.0.0.1',
  }
  assert.equal(await isOwn([HEAD + row(1000)], mapped), true)
})

test('where there is no table, or the peer is elsewhere, nobody is our own', async () => {
  assert.equal(await isOwn(['', '']), false)
  assert.equal(await isOwn([HEAD + row(1000)], { ...loopback, remoteAddress: '10.0.0.1' }), false)
  assert.equal(await isOwn([HEAD + row(1000)], {}), false)
  const gone = { ...loopback, destroyed: true }
  assert.equal(await isOwn([HEAD + row(1000)], gone), false, 'its ends may be those of another')
})

/**
 * 1. Two connections ask; one read begins for both.
 * 2. A third comes while it is under way: what is read has it not, or has another in its place.
 * 3. So the third waits for a read of its own, and whoever asks until that begins shares it.
 */
test('a read of the tables answers for connections that were there when it began', async () => {
  const begun: ((tables: readonly string[]) => void)[] = []
  const readTables = () => new Promise<readonly string[]>((resolve) => begun.push(resolve))
  const own = new OwnConnections({ readTables, id: 1000, standsForMany: () => false })
  const turn = () => new Promise((resolve) => void setImmediate(resolve))
  const early = [{ ...loopback }, { ...loopback }].map((each) => own.isOwn(each))
  await turn()
  assert.equal(begun.length, 1)
  const late = [{ ...loopback }, { ...loopback }].map((each) => own.isOwn(each))
  await turn()
  assert.equal(begun.length, 1, 'one at a time')
  begun[0]?.([HEAD + row(1000)])
  assert.deepEqual(await Promise.all(early), [true, true])
  await turn()
  assert.equal(begun.length, 2)
  begun[1]?.([HEAD + row(33)])
  assert.deepEqual(await Promise.all(late), [false, false])
  assert.equal(begun.length, 2)
})

test('a row that one read passed over is looked for once more', async () => {
  const answers = [[HEAD], [HEAD + row(1000)]]
  const readTables = () => Promise.resolve(answers.shift() ?? [])
  const own = new OwnConnections({ readTables, id: 1000, standsForMany: () => false })
  assert.equal(await own.isOwn(loopback), true)
  assert.equal(await own.isOwn(loopback), true, 'an answer stays')
  assert.equal(answers.length, 0)
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
