/**
 * Who stands at the other end of a connection: its address, and whether it is a process of the
 * server's own user on this machine.
 *
 * The place of a peer says nothing: a proxy, a tunnel and a sidecar all come from loopback. The
 * kernel's table of sockets (/proc/net/tcp, tcp6) names the user of each socket on this machine, so
 * the peer's own row tells whose process it is. Where there is no such table, or no such row, the
 * peer is a stranger. The table is read only where trust may depend on it, and for all connections
 * that wait for it at once.
 */
import { readFile } from 'node:fs/promises'
import { BlockList, isIP } from 'node:net'
import { bytesOfIPv6, plainAddress } from '../core/ip-address.ts'
import { isUnmapped } from '../core/own-file.ts'

export interface Peer {
  /** Of the client: behind a trusted proxy, the one that the proxy names. */
  readonly address: string
  /** Whether it is on loopback, and its socket belongs to the user that runs this process. */
  readonly isOwnUser: () => Promise<boolean>
  /** It hears no answer any more. */
  readonly isGone: () => boolean
}

/** The four numbers of a TCP connection, as this end sees them. */
export interface Connection {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly destroyed?: boolean
}

const ESTABLISHED = '01'
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'] as const

/** How this process knows its own; for tests. */
interface OwnUser {
  /** The kernel's tables; none where there are none. */
  readonly readTables: () => Promise<readonly string[]>
  /** The numeric user id of this process; undefined where there are none. */
  readonly id: number | undefined
  /** Whether the tables show strangers by this id too. */
  readonly standsForMany: (uid: number) => boolean
}

const THIS_PROCESS: OwnUser = {
  // A kernel without IPv6, or another system: nothing is known.
  readTables: () => Promise.all(TABLES.map((path) => readFile(path, 'latin1').catch(() => ''))),
  id: process.geteuid?.(),
  standsForMany: isUnmapped,
}

/**
 * Which connections come from processes of our own user. Whenever a table is read, the kernel walks
 * through all places that it has for sockets, which takes some milliseconds. So one read at a time
 * answers all connections that were there when it began.
 *
 * Bound. An answer for each connection; one read under way, and one that waits for its end.
 */
export class OwnConnections {
  readonly #user: OwnUser
  readonly #answers = new WeakMap<Connection, Promise<boolean>>()
  #underWay: Promise<unknown> = Promise.resolve()
  #next: Promise<readonly string[]> | null = null

  constructor(user: Partial<OwnUser> = {}) {
    this.#user = { ...THIS_PROCESS, ...user }
  }

  isOwn(connection: Connection): Promise<boolean> {
    const known = this.#answers.get(connection)
    if (known !== undefined) return known
    const answer = this.#ask(connection)
    this.#answers.set(connection, answer)
    return answer
  }

  async #ask(connection: Connection): Promise<boolean> {
    const { id, standsForMany } = this.#user
    const { remoteAddress, localAddress } = connection
    if (id === undefined || remoteAddress === undefined || localAddress === undefined) return false
    if (!isLoopback(remoteAddress) || standsForMany(id)) return false
    // While other sockets come and go, a read may pass over a row.
    const user =
      userOf(connection, await this.#tables()) ?? userOf(connection, await this.#tables())
    // Its ends may belong to another connection by now.
    return user === id && connection.destroyed !== true
  }

  #tables(): Promise<readonly string[]> {
    this.#next ??= this.#underWay.then(() => {
      this.#next = null
      return this.#user.readTables()
    })
    this.#underWay = this.#next.catch(() => undefined)
    return this.#next
  }
}

/** The user at the other end of an established connection; undefined: no table names it. */
function userOf(connection: Connection, tables: readonly string[]): number | undefined {
  const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = connection
  // The row of the other end: its local address is our remote one.
  const theirs = endpointNames(remoteAddress, remotePort)
  const ours = endpointNames(localAddress, localPort)
  for (const table of tables) {
    for (const local of theirs) {
      for (const remote of ours) {
        const at = table.indexOf(` ${local} ${remote} ${ESTABLISHED} `)
        if (at === -1) continue
        const [, , , , , , user] = table.slice(at).split('\n', 1)[0]!.trim().split(/\s+/)
        return Number(user)
      }
    }
  }
  return undefined
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
function endpointNames(address: string, port: number): readonly string[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const plain = plainAddress(address)
  if (isIP(plain) === 4) {
    const four = wordOf(plain.split('.').map(Number))
    return [`${four}${end}`, `0000000000000000FFFF0000${four}${end}`]
  }
  const bytes = bytesOfIPv6(plain)
  const words = [0, 4, 8, 12].map((at) => wordOf(bytes.slice(at, at + 4)))
  return [`${words.join('')}${end}`]
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
