/**
 * Bounds the connections of an HTTP server, so that one client with many connections blocks no
 * other.
 *
 * Node's own maxConnections refuses the newcomer, such as a health probe, and keeps all others.
 * This closes another connection instead: if an address exceeds its share, one of its own; if the
 * server is full, one of the address that has the most. The first to go is the one that has been
 * idle, or has not completed its request, the longest; then the one whose request has run the
 * longest, because a client that reads no answer never finishes. A connection of somebody who is
 * known is spared during a request. The newcomer is refused only if no other is left.
 */
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { networkOf } from './ip-address.ts'

export interface ConnectionBounds {
  readonly connectionsMax: number
  /** Of one address; of IPv6, of one network. */
  readonly perAddressMax: number
  /** Addresses that speak for many, as a trusted proxy does: only connectionsMax binds them. */
  readonly isShared?: (address: string) => boolean
  /** Whose requests are not cut off. */
  readonly isSpared?: (socket: Socket) => boolean
}

/** An open connection. */
interface Held {
  readonly socket: Socket
  readonly network: string
  /** Under way, the one that came last; the others are before it on the same connection. */
  request: IncomingMessage | null
  requests: number
}

export function boundConnections(server: Server, bounds: ConnectionBounds): void {
  /** By both ends: a TLS socket has the same as the one below it. */
  const held = new Map<string, Held>()
  /** Of each network, the one that has stood still the longest first. */
  const byNetwork = new Map<string, Set<Held>>()
  const isSpared = ({ request }: Held) =>
    request !== null && bounds.isSpared?.(request.socket) === true
  const endOne = (own: Set<Held>) =>
    endFirst(own, (entry) => isIdle(entry, isSpared(entry))) ||
    endFirst(own, (entry) => !isSpared(entry))
  server.on('connection', (socket) => {
    const address = socket.remoteAddress ?? ''
    const network = networkOf(address)
    const own = byNetwork.get(network) ?? new Set()
    const isOverShare = own.size >= bounds.perAddressMax && bounds.isShared?.(address) !== true
    const isFull = held.size >= bounds.connectionsMax
    if (isOverShare && !endOne(own)) return void socket.destroy()
    if (!isOverShare && isFull && !endOne(largestOf(byNetwork))) return void socket.destroy()
    const name = nameOf(socket)
    const entry: Held = { socket, network, request: null, requests: 0 }
    held.set(name, entry)
    byNetwork.set(network, own.add(entry))
    socket.once('close', () => {
      held.delete(name)
      own.delete(entry)
      if (own.size === 0 && byNetwork.get(network) === own) byNetwork.delete(network)
    })
  })
  server.on('request', (request, response) => {
    const entry = held.get(nameOf(request.socket))
    if (entry === undefined) return
    /** Who goes on to ask before the last answer is out moves nowhere. */
    const moveBack = () => {
      const own = byNetwork.get(entry.network)
      if (entry.requests === 0 && own?.delete(entry) === true) own.add(entry)
    }
    moveBack()
    entry.requests++
    entry.request = request
    response.once('close', () => {
      entry.requests--
      moveBack()
    })
  })
}

function nameOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress}:${remotePort} ${localAddress}:${localPort}`
}

/** Also while a request is on its way: it holds up nobody but who sends it. */
function isIdle({ requests, request }: Held, isSpared: boolean): boolean {
  return requests === 0 || (request?.complete === false && !isSpared)
}

function largestOf(byNetwork: ReadonlyMap<string, Set<Held>>): Set<Held> {
  let largest = new Set<Held>()
  for (const own of byNetwork.values()) if (own.size > largest.size) largest = own
  return largest
}

/** @returns whether there was one. */
function endFirst(own: Set<Held>, mayEnd: (entry: Held) => boolean): boolean {
  for (const entry of own) {
    if (entry.socket.destroyed || !mayEnd(entry)) continue
    // Its 'close' comes in another turn: until then it must count no more.
    own.delete(entry)
    entry.socket.destroy()
    return true
  }
  return false
}
