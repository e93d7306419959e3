/**
 * A Kafka in this process for tests of what goes through the binding: librdkafka's mock cluster,
 * held by a client of the binding (`test.mock.num.brokers`), so that these tests need no bridge.
 *
 * It makes topics when they are first asked for, with 4 partitions.
 */
import { loadBinding } from '../../src/kafka/binding.ts'

export interface MockCluster {
  readonly brokers: string
  close(): Promise<void>
}

export async function openMockCluster(): Promise<MockCluster> {
  const { Producer } = await loadBinding()
  // A property for tests, which the binding's types do not list.
  const config: object = { 'test.mock.num.brokers': 1, 'bootstrap.servers': 'mock' }
  const holder = new Producer(config)
  const metadata = await new Promise<{ brokers: { host: string; port: number }[] }>(
    (resolve, reject) => {
      holder.connect({ timeout: 5000 }, (error: unknown, found) =>
        error ? reject(error) : resolve(found),
      )
    },
  )
  return {
    brokers: metadata.brokers.map(({ host, port }) => `${host}:${port}`).join(','),
    close: () => new Promise((resolve) => holder.disconnect(() => resolve())),
  }
}
