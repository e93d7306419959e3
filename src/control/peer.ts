/**
 * Who stands at the other end of a connection: its address, and whether it is a process of the
 * server's own user on this machine.
 *
 * The place of a peer says nothing: a proxy, a tunnel and a sidecar all come from loopback. The
 * kernel's table of sockets (/proc/net/tcp, tcp6) names the user of each socket on this machine, so
 * the peer's own row tells whose process it is. Where there is no such table, or no such row, the
 * peer is a stranger. The table is read once a connection, and only where trust may depend on it.
 */
import { readFileSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { bytesOfIPv6, plainAddress } from '../core/ip-address.ts'
import { isUnmapped } from '../core/own-file.ts'

export interface Peer {
  /** Of the client: behind a trusted proxy, the one that the proxy names. */
  readonly address: string
  /** Loopback, and its socket belongs to the user that runs this process. */
  readonly isOwnUser: boolean
}

/** The four numbers of a TCP connection, as this end sees them. */
export interface Connection {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
}

const ESTABLISHED = '01'
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'] as const

/**
 * @param readTable for tests.
 * @param ownUser the numeric user id of this process; undefined where there are none.
 * @param standsForMany whether the table shows strangers by this id too.
 */
export function isOwnUserSocket(
  connection: Connection,
  readTable: (path: string) => string = (path) => readFileSync(path, 'latin1'),
  ownUser: number | undefined = process.geteuid?.(),
  standsForMany: (uid: number) => boolean = isUnmapped,
): boolean {
  const { remoteAddress, remotePort, localAddress, localPort } = connection
  if (remoteAddress === undefined || localAddress === undefined || ownUser === undefined)
    return false
  if (!isLoopback(remoteAddress)) return false
  // The row of the other end: its local address is our remote one.
  const theirs = endpointNames(remoteAddress, remotePort ?? 0)
  const ours = endpointNames(localAddress, localPort ?? 0)
  for (const path of TABLES) {
    let table: string
    try {
      table = readTable(path)
    } catch {
      continue // A kernel without IPv6, or another system: nothing is known.
    }
    for (const line of table.split('\n')) {
      const [, local = '', remote = '', state, , , , user] = line.trim().split(/\s+/)
      if (state !== ESTABLISHED || !theirs.has(local) || !ours.has(remote)) continue
      return Number(user) === ownUser && !standsForMany(ownUser)
    }
  }
  return false
}

export function isLoopback(address: string): boolean {
  const plain = plainAddress(address)
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'))
}

/**
 * An endpoint in the table's notation: each group of four bytes as one number of this machine's
 * byte order (little-endian on every machine that Node runs on). An IPv4 address may stand in the
 * table of IPv6, mapped.
 */
function endpointNames(address: string, port: number): ReadonlySet<string> {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const plain = plainAddress(address)
  if (isIP(plain) === 4) {
    const four = wordOf(plain.split('.').map(Number))
    return new Set([`${four}${end}`, `0000000000000000FFFF0000${four}${end}`])
  }
  const bytes = bytesOfIPv6(plain)
  const words = [0, 4, 8, 12].map((at) => wordOf(bytes.slice(at, at + 4)))
  return new Set([`${words.join('')}${end}`])
}

const wordOf = (bytes: readonly number[]) =>
  bytes
    .toReversed()
    .map((byte) => byte.toString(16).toUpperCase().padStart(2, '0'))
    .join('')

/** Addresses, and ranges such as 10.0.0.0/8, as one set. @throws RangeError, TypeError */
export function addressSet(entries: readonly string[]): BlockList {
  const set = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) set.addAddress(address, family)
    else set.addSubnet(address, Number(bits), family)
  }
  return set
}

/**
 * The address of the client: the last one in X-Forwarded-For that is no trusted proxy, where the
 * connection itself comes from one.
 */
export function clientAddress(
  remoteAddress: string,
  forwardedFor: string | undefined,
  proxies: BlockList,
): string {
  let address = remoteAddress
  const hops = forwardedFor?.split(',').map((hop) => hop.trim()) ?? []
  while (isAmong(proxies, address)) {
    const next = hops.pop()
    if (next === undefined || isIP(next) === 0) break
    address = next
  }
  return address
}

export function isAmong(set: BlockList, address: string): boolean {
  const plain = plainAddress(address)
  const family = isIP(plain)
  return family !== 0 && set.check(plain, family === 6 ? 'ipv6' : 'ipv4')
}
