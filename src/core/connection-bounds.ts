/**
 * Bounds the connections of an HTTP server, so that one client with many connections blocks no
 * other.
 *
 * Node's own maxConnections refuses the newcomer, such as a health probe, and keeps idle
 * connections. This closes an idle one instead: if an address exceeds its share, its oldest idle
 * connection; if the server is full, the oldest idle one of the address that has the most. It
 * refuses the newcomer only if none is idle.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

export interface ConnectionBounds {
  readonly connectionsMax: number
  /** Of one address. */
  readonly perAddressMax: number
  /** Addresses that speak for many, as a trusted proxy does: only connectionsMax binds them. */
  readonly isShared?: (address: string) => boolean
}

/** An open connection; `requests` are in progress on it. */
interface Held {
  readonly socket: Socket
  readonly address: string
  requests: number
}

export function boundConnections(server: Server, bounds: ConnectionBounds): void {
  /** By the other end, `address:port`: a TLS socket has the same as the one below it. */
  const held = new Map<string, Held>()
  const byAddress = new Map<string, Set<Held>>()
  server.on('connection', (socket) => {
    const address = socket.remoteAddress ?? ''
    const own = byAddress.get(address) ?? new Set()
    const isOverShare = own.size >= bounds.perAddressMax && bounds.isShared?.(address) !== true
    const isFull = held.size >= bounds.connectionsMax
    if (isOverShare && !endOldestIdle(own)) return void socket.destroy()
    if (!isOverShare && isFull && !endOldestIdle(largestOf(byAddress))) {
      return void socket.destroy()
    }
    const name = `${address}:${socket.remotePort}`
    const entry: Held = { socket, address, requests: 0 }
    held.set(name, entry)
    byAddress.set(address, own.add(entry))
    socket.once('close', () => {
      held.delete(name)
      own.delete(entry)
      if (own.size === 0 && byAddress.get(address) === own) byAddress.delete(address)
    })
  })
  server.on('request', ({ socket }, response) => {
    const entry = held.get(`${socket.remoteAddress ?? ''}:${socket.remotePort}`)
    if (entry === undefined) return
    entry.requests++
    response.once('close', () => {
      entry.requests--
      // The one that has waited longest stands first.
      const own = byAddress.get(entry.address)
      if (own?.delete(entry) === true) own.add(entry)
    })
  })
}

function largestOf(byAddress: ReadonlyMap<string, Set<Held>>): Set<Held> {
  let largest = new Set<Held>()
  for (const own of byAddress.values()) if (own.size > largest.size) largest = own
  return largest
}

/** @returns whether there was one. */
function endOldestIdle(own: Set<Held>): boolean {
  for (const entry of own) {
    if (entry.requests > 0 || entry.socket.destroyed) continue
    // Its 'close' comes in another turn: until then it must count no more.
    own.delete(entry)
    entry.socket.destroy()
    return true
  }
  return false
}
