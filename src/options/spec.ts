/**
 * What an option is: the shape of a row of table.ts, and the words its columns may use.
 *
 * Used by the table, by the parser and the resolver, and by every renderer (help, README,
 * completion, the control plane's form).
 */

/** Sub-commands that take options, as a user types them. */
export const COMMAND_NAMES = [
  'run',
  'check',
  'demo',
  'replay',
  'try',
  'explain',
  'test',
  'bench compare',
  'bench consume',
  'bench produce',
  'control',
  'sync',
  'top',
  'tap',
  'spill',
  'dlq',
] as const
export type CommandName = (typeof COMMAND_NAMES)[number]

/** Headings of the help and of the README's tables, in their order. */
export const GROUPS = {
  general: 'General',
  kafka: 'Kafka',
  filter: 'Filter',
  counts: 'Metrics from logs',
  output: 'Output',
  elasticsearch: 'Elasticsearch',
  delivery: 'Delivery',
  spill: 'Spill and dead letters',
  pool: 'Threads and memory',
  replay: 'Replay',
  try: 'Try',
  metrics: 'Status and logs',
  demo: 'Demo',
  bench: 'Bench',
  control: 'Control plane',
  sync: 'Sync worker',
  watch: 'Top and tap',
} as const satisfies Record<string, string>
export type GroupName = keyof typeof GROUPS

/**
 * How a value is typed and what it becomes; kinds.ts has one parser for each.
 *
 *   switch      1|0, true|false, yes|no, on|off   boolean
 *   string      any text                          string
 *   path        a file or folder                  string
 *   count       a whole number                    number
 *   bytes       1048576, 1MiB, 16m                number of bytes
 *   duration    20, 500ms, 10m                    number, in the unit that ends the variable's name
 *   share       0.01 or 1%                        number from 0 to 1
 *   choice      one of `choices`                  that word
 *   url         http(s)://HOST[:PORT][/PATH]      string
 *   urls        several, comma separated          strings
 *   proxy       a proxy's URL, http:// if left out, or none   string
 *   address     HOST:PORT or :PORT                ListenAddress
 *   addresses   HOST:PORT, comma separated        strings
 *   topics      names or ^regex, comma separated  strings
 *   names       words, comma separated            strings
 *   partitions  0,3,7-9                           numbers
 *   literal     UTF-8 text                        string
 *   hex         de ad be ef                       string of hex digits
 *   regex       a regular expression              string
 *   expression  level:ERROR and not health        string, as core/expression reads it
 *   metric      NAME=EXPR by FIELD               string, as core/expression/metric.ts reads it
 *   rules       [{"name":"errors",...}]           RuleList
 *   fields      {"remove":["a"]}                  FieldEdits
 *   field       user.name                         FieldPath
 *   pair        NAME=VALUE                        [name, value]
 *   output      stdout|none|elasticsearch|file:PATH   OutputTarget
 *   letters     file:PATH|topic:NAME              DeadLetterTarget
 *   start       earliest|latest|TIME|-1h          TypedStart
 *   time        ISO 8601 with a zone              number, ms since 1970
 *   dateSpan    DURATION,DURATION or off          DateSpan, or off
 */
export type Kind =
  | 'switch'
  | 'string'
  | 'path'
  | 'count'
  | 'bytes'
  | 'duration'
  | 'share'
  | 'choice'
  | 'url'
  | 'urls'
  | 'proxy'
  | 'address'
  | 'addresses'
  | 'topics'
  | 'names'
  | 'networks'
  | 'partitions'
  | 'literal'
  | 'hex'
  | 'regex'
  | 'expression'
  | 'metric'
  | 'rules'
  | 'fields'
  | 'field'
  | 'pair'
  | 'answer'
  | 'output'
  | 'letters'
  | 'start'
  | 'time'
  | 'dateSpan'

/** One option. Flag, environment variable, file key, bounds, --help and README come from it. */
export interface OptionSpec {
  /** The variable, as ES_QUEUE_CAP. The flag (--es-queue-cap) and the file's key are derived. */
  readonly env: string
  /** Further flags and keys, without dashes: pattern for MATCH_PATTERN. Help shows the first. */
  readonly aliases?: readonly string[]
  /** Further variables: FILTER_THREADS for RUST_WORKERS. */
  readonly envAliases?: readonly string[]
  /** The one of them that messages and lists name in place of `env`. */
  readonly envShown?: string
  /** A one-letter flag: q for -q. */
  readonly letter?: string
  /** Whether the control plane may set it; paths, programs and listen addresses are local. */
  readonly scope: 'remote' | 'local'
  readonly group: GroupName
  readonly commands: readonly CommandName[]
  readonly kind: Kind
  /** What stands for the value in the help; absent for switches. */
  readonly variable?: string
  readonly choices?: readonly string[]
  /** Inclusive; in the unit of the value. */
  readonly min?: number
  readonly max?: number
  /** As a user would type it; null: off, required, or as defaultText says. */
  readonly default: string | null
  /** What null means, for the reader. */
  readonly defaultText?: string
  /** Refused when missing. */
  readonly required?: true
  /** Never printed back; also read from a file: NAME_FILE, --name-file. */
  readonly secret?: true
  /** May be given several times; in the environment one a line, in the file a list. */
  readonly repeatable?: true
  /** A running pipeline takes a new value over at SIGHUP. */
  readonly reloads?: true
  /** One line of at most 72 columns, with a full stop. */
  readonly short: string
  /** What it costs, what it works with, when to change it. */
  readonly long: string
}

/** --es-queue-cap for ES_QUEUE_CAP, without the dashes: also the key in a config file. */
export function flagOf(env: string): string {
  return env.toLowerCase().replaceAll('_', '-')
}

/** Names under which a user may type the option, the one shown first at the front. */
export function namesOf(spec: OptionSpec): readonly [string, ...string[]] {
  const [first, ...rest] = [...(spec.aliases ?? []), flagOf(spec.env)]
  return [first ?? flagOf(spec.env), ...rest]
}

/** The variables that set it, the one that messages and lists name at the front. */
export function variablesOf(spec: OptionSpec): readonly [string, ...string[]] {
  const first = spec.envShown ?? spec.env
  const all = [spec.env, ...(spec.envAliases ?? [])]
  return [first, ...all.filter((name) => name !== first)]
}
