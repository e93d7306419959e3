/** IP addresses as numbers, and the network that one who has an address has all of. */
import { isIP } from 'node:net'

/** Without the prefix by which an IPv6 socket shows an IPv4 client. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
}

/** The sixteen bytes of an IPv6 address, whose zone is left out. */
export function bytesOfIPv6(address: string): number[] {
  const [head = '', tail] = address.split('%')[0]!.split('::')
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map((part) => Number(`0x${part}`))
  const before = groups(head)
  const after = groups(tail ?? '')
  const filler = tail === undefined ? 0 : 8 - before.length - after.length
  const all = [...before, ...Array.from({ length: filler }, () => 0), ...after]
  return all.flatMap((group) => [group >> 8, group & 0xff])
}

/**
 * Names whom a bound for each address means: one IPv4 address, or a /64 of IPv6, which is the
 * least that anybody gets. Another text stands for itself.
 */
export function networkOf(address: string): string {
  const plain = plainAddress(address)
  return isIP(plain) === 6 ? bytesOfIPv6(plain).slice(0, 8).join(':') : plain
}
