import assert from 'node:assert/strict'
import type { Bridge } from '../../src/bridge/bridge.ts'
import { Consumer } from '../../src/kafka/consumer.ts'

/** A consumer on a bridge that can do no more than what a test gives it. */
export function consumerOn(bridge: Partial<Bridge>): Consumer {
  const warn = (message: string) => assert.fail(message)
  const whole = { consumerOpen: () => 1, ...bridge } as Bridge
  return new Consumer(whole, { properties: [], tokenFile: null, warn })
}
