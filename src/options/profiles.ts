/**
 * The profiles: sets of defaults for `--profile`. balanced is the table itself.
 *
 * A profile sets options by their variable's name and librdkafka properties by theirs. Whatever a
 * user sets in any other way overrides it.
 */
import type { OptionName } from './table.ts'

export interface Profile {
  readonly options: Partial<Readonly<Record<OptionName, string>>>
  readonly kafka: Readonly<Record<string, string>>
}

export type ProfileName = 'balanced' | 'aggressive' | 'latency'

export const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  balanced: { options: {}, kafka: {} },

  // Measured against the defaults: a full queue otherwise stalls the fetch for a second
  // (fetch.queue.backoff.ms), and larger fetches mean fewer round trips and longer runs of records
  // in one receive buffer. receive.message.max.bytes must exceed fetch.max.bytes. Checking CRCs
  // costs an eighth of the throughput.
  aggressive: {
    options: { BATCH_PULL_SIZE: '4096', BATCH_MSGS: '8192', BATCH_BYTES: '1048576' },
    kafka: {
      'check.crcs': 'false',
      'queued.min.messages': '1000000',
      'queued.max.messages.kbytes': '262144',
      'fetch.message.max.bytes': '4194304',
      'fetch.max.bytes': '67108864',
      'fetch.wait.max.ms': '50',
      'fetch.queue.backoff.ms': '1',
      'receive.message.max.bytes': '134217728',
    },
  },

  // A record waits in four places. In a slot: small batches are through the filter sooner when
  // several are queued. For company in a _bulk request: 10 ms instead of 100. In librdkafka after
  // a full queue (1 s by default) or a failed fetch (500 ms): 1 ms and 50 ms. Behind a fetch that
  // found nothing: one fetch is in flight per broker, so a partition that joins waits for it, at
  // most 100 ms instead of 500. A broker answers a fetch as soon as it has a byte, so no more is
  // to be gained there.
  latency: {
    options: {
      BATCH_PULL_SIZE: '64',
      BATCH_MSGS: '64',
      BATCH_BYTES: '65536',
      ES_BULK_ACTIONS: '1000',
      ES_BULK_FLUSH_MS: '10',
    },
    kafka: {
      'fetch.queue.backoff.ms': '1',
      'fetch.error.backoff.ms': '50',
      'fetch.wait.max.ms': '100',
    },
  },
}
