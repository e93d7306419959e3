/** A real Elasticsearch or OpenSearch for tests: one node, no security. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import {
  makeFolder,
  onFreePorts,
  removeFolder,
  runScript,
  serversMissing,
  type ServerKind,
} from './stack.ts'

export interface SearchServer {
  readonly url: string
  readonly logs: string
  /** SIGKILL; `restart` brings it back with the data it had made durable. */
  kill(): Promise<void>
  /** Stops it in order, if it runs, and starts it with its data on the same port. */
  restart(): Promise<void>
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

export interface SearchOptions {
  /** More lines for elasticsearch.yml, for example 'thread_pool.write.queue_size: 1'. */
  readonly opts?: readonly string[]
  /** Of Elasticsearch, if it is not to be the stack's own. */
  readonly version?: string
}

/** The last 8 when this was written. */
export const ELASTICSEARCH_8 = '8.19.8'

/** What keeps it from running here, with the command that would bring it; or null. */
export function elasticsearch8Missing(): string | null {
  const mark = path.resolve(import.meta.dirname, `../stack/es/lib/.es-${ELASTICSEARCH_8}`)
  if (!existsSync(mark)) return `not fetched: ES_VERSION=${ELASTICSEARCH_8} test/stack/es/es setup`
  return serversMissing(['elasticsearch'])
}

export function startElasticsearch(options: SearchOptions = {}): Promise<SearchServer> {
  return startSearch('elasticsearch', 'ES', options)
}

export function startOpenSearch(options: SearchOptions = {}): Promise<SearchServer> {
  return startSearch('opensearch', 'OS', options)
}

async function startSearch(
  kind: ServerKind,
  prefix: 'ES' | 'OS',
  options: SearchOptions,
): Promise<SearchServer> {
  const folder = makeFolder(kind)
  const logs = path.join(folder, 'logs')
  try {
    // HTTP, and 100 above it the nodes' own port.
    return await onFreePorts([0, 100], async (port) => {
      const env = {
        [`${prefix}_PORT`]: String(port),
        [`${prefix}_RUN`]: folder,
        [`${prefix}_HEAP`]: '512m',
        [`${prefix}_OPTS`]: (options.opts ?? []).join(';'),
        ...(options.version === undefined ? {} : { [`${prefix}_VERSION`]: options.version }),
      }
      const script = async (...args: string[]) => void (await runScript(kind, args, env, folder))
      await script('up')
      return {
        url: `http://127.0.0.1:${port}`,
        logs,
        kill: () => script('kill'),
        restart: () => script('restart'),
        stop: async () => removeFolder(folder),
      }
    })
  } catch (error) {
    // The error carries the end of the log; the folder itself goes.
    removeFolder(folder)
    throw error
  }
}
