/**
 * The Kafka and the Elasticsearch that the runner started for a whole suite, by their addresses in
 * LOGPIPE_TEST_KAFKA and LOGPIPE_TEST_ES. A test file that is run alone starts its own.
 *
 * They are shared: a test uses topics, groups and indices of its own (`uniqueName`), and one that
 * kills a server starts its own.
 */
import { randomBytes } from 'node:crypto'
import { connectKafka, startKafka, type KafkaClient } from './kafka.ts'
import { startElasticsearch } from './search.ts'

interface Hooks {
  after(close: () => Promise<void>): void
}

/** @param t closes the client, or ends the server, when the test or suite has ended */
export async function sharedKafka(t: Hooks): Promise<KafkaClient> {
  const address = process.env['LOGPIPE_TEST_KAFKA']
  if (address !== undefined) {
    const client = connectKafka(address)
    t.after(() => client.close())
    return client
  }
  const server = await startKafka()
  t.after(() => server.stop())
  return server
}

/** @returns its URL */
export async function sharedElasticsearch(t: Hooks): Promise<string> {
  const address = process.env['LOGPIPE_TEST_ES']
  if (address !== undefined) return address
  const server = await startElasticsearch()
  t.after(() => server.stop())
  return server.url
}

export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(4).toString('hex')}`
}
