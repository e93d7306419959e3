/**
 * As much of a Kafka broker as a consumer needs to ask for its group: one broker, one topic of one
 * partition. It answers at once, tells when the first JoinGroup came, and answers nothing more.
 *
 * Requests and answers: https://kafka.apache.org/protocol (the versions that ApiVersions offers).
 */
import net from 'node:net'

const METADATA = 3
const FIND_COORDINATOR = 10
const JOIN_GROUP = 11
const API_VERSIONS = 18
const UNSUPPORTED_VERSION = 35

/** [key, highest version]; the lowest is 0. What a consumer looks for before it joins a group. */
const OFFERED: readonly (readonly [key: number, max: number])[] = [
  [0, 3],
  [1, 4],
  [2, 1],
  [METADATA, 1],
  [8, 2],
  [9, 1],
  [FIND_COORDINATOR, 0],
  [JOIN_GROUP, 0],
  [12, 0],
  [13, 0],
  [14, 0],
  [API_VERSIONS, 0],
]

export interface Broker {
  readonly port: number
  /** performance.now() when the first JoinGroup came. */
  readonly joinedAtMs: Promise<number>
  close(): void
}

const int16 = (value: number) => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const text = (value: string) => Buffer.concat([int16(value.length), Buffer.from(value)])

export async function startBroker(): Promise<Broker> {
  const sockets = new Set<net.Socket>()
  let joined: (atMs: number) => void = () => undefined
  const joinedAtMs = new Promise<number>((resolve) => (joined = resolve))
  const server = net.createServer((socket) => {
    sockets.add(socket.setNoDelay(true))
    let pending = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      pending = Buffer.concat([pending, bytes])
      while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
        const size = pending.readInt32BE(0)
        const request = pending.subarray(4, 4 + size)
        pending = pending.subarray(4 + size)
        const key = request.readInt16BE(0)
        if (key === JOIN_GROUP) joined(performance.now())
        const body = answer(key, request.readInt16BE(2), port)
        if (body === null) continue
        const head = request.subarray(4, 8)
        socket.write(Buffer.concat([int32(head.length + body.length), head, body]))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  return {
    port,
    joinedAtMs,
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** The answer without its length and correlation id; null: none. */
function answer(key: number, version: number, port: number): Buffer | null {
  const host = [text('127.0.0.1'), int32(port)]
  switch (key) {
    case API_VERSIONS: {
      const offered = OFFERED.map(([api, max]) => Buffer.concat([int16(api), int16(0), int16(max)]))
      const error = version === 0 ? 0 : UNSUPPORTED_VERSION
      return Buffer.concat([int16(error), int32(offered.length), ...offered])
    }
    case METADATA: {
      const partition = [int16(0), int32(0), int32(1), int32(1), int32(1), int32(1), int32(1)]
      return Buffer.concat([
        int32(1),
        int32(1),
        ...host,
        int16(-1),
        int32(1),
        int32(1),
        int16(0),
        text('startup'),
        Buffer.from([0]),
        int32(1),
        ...partition,
      ])
    }
    case FIND_COORDINATOR:
      return Buffer.concat([int16(0), int32(1), ...host])
    default:
      return null
  }
}
