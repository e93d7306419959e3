/** Whom a bound for each address means. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkOf } from '../../src/core/ip-address.ts'

test('an IPv4 address is one, however a socket shows it', () => {
  assert.equal(networkOf('192.0.2.7'), '192.0.2.7')
  assert.equal(networkOf('::ffff:192.0.2.7'), '192.0.2.7')
})

test('all addresses of a /64 are one network, in every way to write them', () => {
  const network = networkOf('2001:db8:0:1::1')
  for (const same of ['2001:db8:0:1:ffff::', '2001:DB8::1:0:0:0:9', '2001:db8:0:1::2%eth0']) {
    assert.equal(networkOf(same), network, same)
  }
  // Short ones have their parts in other places.
  assert.equal(networkOf('2001:db8::1'), networkOf('2001:db8::2'))
  assert.notEqual(networkOf('2001:db8:0:2::1'), network)
})

test('what is no address stands for itself', () => {
  assert.equal(networkOf(''), '')
  assert.equal(networkOf('unknown'), 'unknown')
})
