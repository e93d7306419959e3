/**
 * Which options the control plane may set for a pipeline, and thereby what a worker lets it set.
 *
 * Both sides ask here: the control plane refuses a field, and the worker refuses a variable, so
 * that whoever takes over the control plane still cannot name a program or a file on a worker.
 */
import { propertyFault, propertyVariable } from './remote-kafka-properties.ts'
import { isHiddenProperty, propertyOfEnv } from './kafka-properties.ts'
import { ROWS } from './table.ts'

/** Decided by sync: it runs until stopped, into Elasticsearch, in a home of its own. */
const OWNED_BY_SYNC: ReadonlySet<string> = new Set([
  'RUN_SECONDS',
  'RUN_UNTIL',
  'RUN_MATCHES',
  'KAFKA_FROM_BEGINNING',
  'ES_ENABLED',
  'PIPELINE_OUTPUT',
  'WAIT_FOR_KAFKA',
])

/**
 * What is decided for a pipeline with these variables: it runs until it is stopped, waits for what
 * is away at its start, and writes to Elasticsearch, or nowhere when it counts.
 */
export function decidedBySync(productLine: string | undefined): Readonly<Record<string, string>> {
  const writes = productLine !== 'metrics'
  return { RUN_SECONDS: '0', WAIT_FOR_KAFKA: '1', ES_ENABLED: writes ? '1' : '0' }
}

export interface RemoteRow {
  readonly env: string
  readonly scope: 'remote' | 'local'
  readonly commands: readonly string[]
}

/** Why an option is no field of a pipeline; undefined when it is one. */
export function remoteFault(row: RemoteRow): string | undefined {
  if (row.scope === 'local') {
    return (
      'can only be set on the worker, not by the API, because it names a file, a program or an ' +
      'address there'
    )
  }
  return !row.commands.includes('run') || OWNED_BY_SYNC.has(row.env)
    ? 'cannot be set for a pipeline: sync sets it'
    : undefined
}

const VARIABLES: ReadonlySet<string> = new Set(
  ROWS.filter((row) => remoteFault(row) === undefined).map(({ env }) => env),
)

const SECRETS: ReadonlySet<string> = new Set(
  ROWS.filter(({ secret, env }) => secret === true && VARIABLES.has(env)).map(({ env }) => env),
)

/** What decides which records are kept: these may be tried before they are saved. */
export const FILTER_VARIABLES: ReadonlySet<string> = new Set(
  ROWS.filter(
    (row) =>
      row.group === 'filter' && row.commands.includes('try') && remoteFault(row) === undefined,
  ).map(({ env }) => env),
)

/** What a try may have in place of what is saved: a filter, and where its records are. */
export const TRY_VARIABLES: ReadonlySet<string> = new Set([
  ...FILTER_VARIABLES,
  'KAFKA_BROKERS',
  'KAFKA_TOPIC',
])

/** Whether a worker takes this variable with this value from the control plane. */
export function isRemoteVariable(name: string, value: string): boolean {
  const property = propertyOfEnv(name)
  if (property === undefined) return VARIABLES.has(name) && !value.includes('\0')
  // In one spelling: of two that mean the same property, one check would see one.
  return name === propertyVariable(property) && propertyFault(property, value) === undefined
}

/** The same, by the way of secrets: an address among them would pass by all that looks at those. */
export function isRemoteSecret(name: string, value: string): boolean {
  const property = propertyOfEnv(name)
  const isSecret = property === undefined ? SECRETS.has(name) : isHiddenProperty(property)
  return isSecret && isRemoteVariable(name, value)
}
