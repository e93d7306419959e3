/** Who holds many connections keeps nobody else out. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { boundConnections, type ConnectionBounds } from '../../src/core/connection-bounds.ts'

const BOUNDS: ConnectionBounds = { connectionsMax: 4, perAddressMax: 3 }

async function served(t: TestContext, bounds: ConnectionBounds) {
  const server = createServer((request, response) => {
    // The path /wait is never answered.
    if (request.url !== '/wait') response.end('ok')
    else waiting.emit('one')
  })
  const waiting = new EventEmitter()
  boundConnections(server, bounds)
  server.listen(0)
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const open = async (localAddress: string) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    return socket
  }
  const ask = async (socket: Socket, path = '/', headers = ''): Promise<string> => {
    const seen = once(waiting, 'one')
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`)
    if (path === '/wait') {
      await seen
      return ''
    }
    const [answer] = (await Promise.race([
      once(socket, 'data'),
      once(socket, 'close').then(() => ['closed']),
    ])) as [Buffer | string]
    return String(answer).slice(0, 15)
  }
  return { open, ask }
}

test('the oldest idle connection of an address makes room for its next', async (t) => {
  const { open, ask } = await served(t, BOUNDS)
  const first = await open('127.0.0.1')
  const gone = once(first, 'close')
  for (let more = 1; more <= 3; more++) {
    assert.equal(await ask(await open('127.0.0.1')), 'HTTP/1.1 200 OK')
  }
  await gone
})

test('where the server is full, the address that holds the most gives one up', async (t) => {
  const { open, ask } = await served(t, BOUNDS)
  const greedy = [await open('127.0.0.2'), await open('127.0.0.2'), await open('127.0.0.2')]
  const other = await open('127.0.0.3')
  assert.equal(await ask(other), 'HTTP/1.1 200 OK')
  const gone = once(greedy[0]!, 'close')
  assert.equal(await ask(await open('127.0.0.4')), 'HTTP/1.1 200 OK')
  await gone
  assert.equal(await ask(other), 'HTTP/1.1 200 OK', 'it keeps its connection')
})

test('who reads no answer, or sends no end of a request, makes room too', async (t) => {
  const { open, ask } = await served(t, { connectionsMax: 2, perAddressMax: 2 })
  const stuck = await open('127.0.0.1')
  await ask(stuck, '/wait')
  const slow = await open('127.0.0.2')
  await ask(slow, '/wait', 'Content-Length: 9\r\n')
  const gone = [once(slow, 'close'), once(stuck, 'close')]
  assert.equal(await ask(await open('127.0.0.3')), 'HTTP/1.1 200 OK')
  assert.equal(await ask(await open('127.0.0.4')), 'HTTP/1.1 200 OK')
  await Promise.race(gone)
})

test('of those at a request, the one that is at it the longest goes', async (t) => {
  const { open, ask } = await served(t, { connectionsMax: 8, perAddressMax: 2 })
  const scraper = await open('127.0.0.1')
  const stuck = await open('127.0.0.1')
  await ask(stuck, '/wait')
  assert.equal(await ask(scraper), 'HTTP/1.1 200 OK')
  await ask(scraper, '/wait')
  const gone = once(stuck, 'close')
  assert.equal(await ask(await open('127.0.0.1')), 'HTTP/1.1 200 OK')
  await gone
  assert.equal(scraper.destroyed, false)
})

test('a request of whoever is spared is not cut off: then the newcomer is refused', async (t) => {
  const bounds = { connectionsMax: 2, perAddressMax: 2, isSpared: () => true }
  const { open, ask } = await served(t, bounds)
  const busy = [await open('127.0.0.1'), await open('127.0.0.1')]
  for (const socket of busy) await ask(socket, '/wait')
  const late = await open('127.0.0.1')
  await once(late, 'close')
  assert.ok(busy.every((socket) => !socket.destroyed))
})
