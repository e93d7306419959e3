/**
 * Every sub-command, once, as data: for the command tree, the help and completion.
 */
import type { CommandName } from './spec.ts'

export interface CommandSpec {
  readonly name: CommandName
  /** What may follow besides options, for the usage line; absent: nothing. */
  readonly operands?: string
  /** How many operands there may be at most. */
  readonly operandsMax: number
  /** One line for the list of commands. */
  readonly summary: string
  /** The first paragraphs of its help. */
  readonly description: readonly string[]
  /** Command lines to start from, with what they do. */
  readonly examples: readonly (readonly [line: string, what: string])[]
}

export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'run',
    operandsMax: 0,
    summary: 'Read from Kafka, keep records that match, write them out.',
    description: [
      'Reads records from Kafka, keeps those that meet the filter, and writes them to stdout, a file or Elasticsearch. A filter has patterns, regular expressions, and expressions over fields, key and headers: see `logpipe help filters`. run commits an offset only when every record below it is written or filtered out, so a crash loses nothing.',
      'Matches go to stdout, status lines and logs to stderr. SIGINT or SIGTERM drains the records already read and exits; a second signal exits at once. SIGHUP reloads the filter, secrets and the log level, and reopens the output file (for logrotate).',
    ],
    examples: [
      ['logpipe run --embedded', 'try it without a Kafka'],
      ['logpipe run -t app-logs --pattern ERROR --run-seconds 0', 'run until stopped'],
      ['logpipe run -t app-logs --keep \'level:ERROR and not "health"\' --until end', 'for cron'],
      ['logpipe run -p ERROR -p FATAL --output file:errors.log', 'to a file'],
      ['logpipe run --es-enabled --es-url https://es:9200 --es-index app', 'to Elasticsearch'],
    ],
  },
  {
    name: 'check',
    operandsMax: 0,
    summary: 'Print the configuration and test its connections.',
    description: [
      'Takes the options of `logpipe run` but runs no pipeline. Prints every value with its source and the maximum memory, tests whether Kafka, the topics and Elasticsearch answer, and names each problem. Exits with 1 if it finds one.',
    ],
    examples: [['logpipe check --config pipeline.yaml', 'before you start the pipeline']],
  },
  {
    name: 'demo',
    operandsMax: 0,
    summary: 'Run the whole pipeline on a Kafka inside the process.',
    description: [
      'Starts a Kafka inside the process, generates log lines into it, and runs the pipeline on them. It needs no Kafka or Elasticsearch, and leaves nothing behind.',
    ],
    examples: [
      ['logpipe demo --run-seconds 10 --error-share 1%', 'ten seconds, ERROR in 1% of the lines'],
    ],
  },
  {
    name: 'replay',
    operandsMax: 0,
    summary: 'Send the matches of a time range again.',
    description: [
      'Reads the records whose timestamp is in a time range, regardless of committed offsets, and commits nothing. It filters, writes and balances its books like run; records outside the range or without a timestamp count as filtered(time). It exits when everything is written.',
      'It joins no group and may run beside a pipeline of the same group. Its spill is data/es_spill-replay.bin and its snapshot data/runtime_metrics-replay.json, unless ES_SPILL_PATH and RUNTIME_METRICS_PATH are set. A document that Elasticsearch already has counts as a duplicate and is not written twice.',
    ],
    examples: [
      ['logpipe replay --from 2026-09-01T00:00Z --to 2026-09-02T00:00Z', 'one day'],
      [
        'logpipe replay --from 2026-09-01T06:00Z --partitions 0,4-6',
        'some partitions, up to their end',
      ],
    ],
  },
  {
    name: 'try',
    operandsMax: 1,
    operands: '[-]',
    summary: 'Show what a filter would keep of a topic; write nothing.',
    description: [
      'Reads the last records of a topic, without a group and without committing, and writes nothing. Prints how many records the filter keeps and drops, which term decided, how many records the search rejects undecoded, the expected records and bytes per second and GiB per day, how many records are not JSON, and examples of both kinds.',
      'With --es-url, it also requests the mapping of ES_INDEX, and names fields of kept records that Elasticsearch would refuse. `logpipe help filters` describes the language.',
    ],
    examples: [
      ['logpipe try -t app-logs --keep level:ERROR', 'the last 10,000 records'],
      ["logpipe try -t app-logs --from -1h --keep 'status >= 500' --drop '\"health\"'", 'one hour'],
      ['logpipe try --keep level:ERROR --file app.log', 'the lines of a file; - is stdin'],
    ],
  },
  {
    name: 'explain',
    operandsMax: 1,
    operands: '[EXPR]',
    summary: 'Show how logpipe searches for an expression.',
    description: [
      'Prints the expression as logpipe reads it, the bytes that every kept record contains (logpipe searches for these before it decodes a record), and the terms that need every record decoded.',
    ],
    examples: [
      ['logpipe explain \'level:ERROR and not "health"\'', 'an expression'],
      ['logpipe explain -c pipeline.yaml', 'the filter of a config file'],
    ],
  },
  {
    name: 'test',
    operandsMax: 100,
    operands: 'FILE...',
    summary: 'Check the filter of a config file against records.',
    description: [
      'FILE is a config file with a filter, and with records and their expected verdicts under the key tests. Prints a line for each verdict that differs, with the term that decided, and exits with 1 if there is one. `logpipe help tests` shows how to write tests.',
    ],
    examples: [['logpipe test pipeline.yaml', 'in CI, before it is deployed']],
  },
  {
    name: 'bench compare',
    operandsMax: 0,
    summary: 'Compare logpipe with a plain consumer; also `bench` alone.',
    description: [
      'Reads topics with records of 100 B, 1 KB and 10 KB, and one of 1 KB with lz4, in three interleaved rounds: with a plain loop over librdkafka (memmem in each record), with logpipe in direct and in worker mode, and with a reader that only fetches, which is the upper limit. Prints medians, spread, ratios, CPU per GB and peak memory. Takes less than three minutes.',
      'Creates its own topics at KAFKA_BROKERS and deletes them at the end, even if interrupted; it never touches other topics. If KAFKA_BROKERS is not set and no broker listens at its default, it measures on a Kafka inside the process and prints no ratios.',
    ],
    examples: [
      ['logpipe bench --profile aggressive', 'with the settings for the highest throughput'],
      ['logpipe bench --brokers kafka-1:9092 --html bench.html', 'with charts'],
    ],
  },
  {
    name: 'bench consume',
    operandsMax: 0,
    summary: 'Measure how fast this machine reads and filters a topic.',
    description: [
      'Reads a topic with the pool, threads and filter of `logpipe run`, and writes nothing. Measures time and CPU from the first record to the last.',
    ],
    examples: [
      ['logpipe bench consume --profile aggressive --records 1000000', 'a million records'],
      ['logpipe bench consume -t app-logs --reader plain', 'the baseline'],
    ],
  },
  {
    name: 'bench produce',
    operandsMax: 0,
    summary: 'Fill a topic with log lines; a known share contains ERROR.',
    description: ['Produces realistic log lines; exactly BENCH_MATCH_SHARE contain ERROR.'],
    examples: [
      ['NUM_RECORDS=150000 RECORD_SIZE=1024 TOPIC=test logpipe bench produce', 'with variables'],
    ],
  },
  {
    name: 'control',
    operands: '[ACTION [FILE]]',
    operandsMax: 2,
    summary: 'Run the control plane: REST API, dashboard and database.',
    description: [
      'Stores pipelines, and assigns them to workers. With ACTION it works on the database instead: backup FILE copies the database, even while it is in use.',
      'The key in the file CONTROL_DB_PATH.key encrypts the secrets of pipelines. The backup does not contain it: keep a copy elsewhere. ACTION rotate-key encrypts the secrets with a new key; forget-secrets deletes them all, for when the key is lost. Stop the control plane before either.',
      'Your own processes on this machine need no token unless CONTROL_TOKEN is set. All other clients need the token in the file control-token beside the database, and all other workers the one in worker-token. Both files are generated at the first start.',
    ],
    examples: [['logpipe control --listen 127.0.0.1:8088', 'reachable from this machine only']],
  },
  {
    name: 'sync',
    operandsMax: 0,
    summary: 'Run a worker, which runs what the control plane assigns.',
    description: [
      'Polls the control plane for one pipeline, runs it as a child process (`logpipe run`), and restarts it if it fails. Its spill, dead letters and snapshot are in data/WORKER_ID/PIPELINE_ID/. The pipeline keeps running while the control plane is unreachable, and drains when sync ends, even by kill -9.',
      'The child gets the options of run from the environment of sync, plus PATH, HOME, locale and certificates, and nothing else. Settings from the control plane override them. Secrets from the environment go only to addresses that the environment names too (see WORKER_SECRET_HOSTS).',
    ],
    examples: [['logpipe sync --worker-id worker-1', 'control plane on this machine']],
  },
  {
    name: 'top',
    operandsMax: 0,
    summary: 'Watch a pipeline, or the fleet of a control plane.',
    description: [
      'Shows the state of the pipeline on this machine once a second, from the file that it writes (RUNTIME_METRICS_PATH). If there is no such file, or CONTROL_PLANE_URL is set, shows all pipelines and workers of the control plane, busiest first. Ctrl-C exits.',
      'Without a terminal, it prints the state once and exits.',
    ],
    examples: [
      ['logpipe top', 'the pipeline on this machine'],
      ['logpipe top --control-plane-url http://control:8088', 'a fleet'],
      ['logpipe top --json', 'one object a second, for programs'],
    ],
  },
  {
    name: 'tap',
    operands: '[PIPELINE]',
    operandsMax: 1,
    summary: 'Show a sample of the matches of a running pipeline.',
    description: [
      'Prints some of the matches of a pipeline to stdout as they occur, at most a few lines a second. PIPELINE is its id or name; leave it out if only one pipeline runs. The matches come from its workers through the control plane; the pipeline itself is not affected.',
      '--keep and --drop choose among the matches that are shown. They see the document and nothing else of the record.',
    ],
    examples: [
      ['logpipe tap', 'of the only running pipeline'],
      ['logpipe tap app-errors -n 10', 'ten matches, then exit'],
      ["logpipe tap --keep 'http.status >= 500'", 'those that meet an expression'],
    ],
  },
  {
    name: 'spill',
    operands: 'ls|verify|drain',
    operandsMax: 1,
    summary: 'List, verify or send the documents that wait on disk.',
    description: [
      'ls lists the segments of the spill at ES_SPILL_PATH with their offsets; it works beside a running pipeline. verify reads every byte and names damage by file, bytes and offsets; it exits with 1 if it finds any.',
      'drain sends everything to ES_URL, whichever pipeline left it, and deletes what Elasticsearch accepted. Documents keep their _id, so sending one twice makes no duplicate. Documents of an index that rejects everything stay, without blocking others, and the exit status is 1. Damaged documents are listed with their offsets, for `logpipe replay`; their file is renamed to .spill.damaged, the exit status is 3, and the next drain skips it. Stop the pipeline before you drain its spill.',
    ],
    examples: [
      ['logpipe spill ls', 'list the segments'],
      ['logpipe spill verify --json', 'for monitoring'],
      ['logpipe spill drain --es-url https://es:9200', 'send everything'],
    ],
  },
  {
    name: 'dlq',
    operands: 'ACTION [ID...]',
    // The control plane orders 1000 by name at most.
    operandsMax: 1001,
    summary: 'List, resend or drop dead letters.',
    description: [
      'Works on the documents that Elasticsearch rejected for good, in the files of --dlq file:PATH. ACTION is ls, show, stats, replay or drop. An ID is topic-partition-offset, as ls prints it. If you give IDs and --where, both must match. Every action works beside a running pipeline.',
      'replay sends dead letters again with their original _id, so sending one twice makes no duplicate. Accepted documents leave the files; those rejected again, or waiting for an index that rejects everything, stay, and the exit status is 1. drop deletes dead letters for good and requires --where or IDs.',
    ],
    examples: [
      ['logpipe dlq stats --dlq file:dead.ndjson', 'counts by reason'],
      ['logpipe dlq show app-0-1234 --dlq file:dead.ndjson', 'one dead letter with its payload'],
      ['logpipe dlq replay --where index=app-logs', 'resend those of one index'],
      ['logpipe dlq drop --where until=2026-01-01T00:00Z', 'delete old ones'],
    ],
  },
]

/** The row of a command. */
export function commandSpec(name: CommandName): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name)
}

/** A command without options that only prints. */
interface PlainCommand {
  readonly name: string
  /** What may follow, for the usage line. */
  readonly operands: string
  readonly summary: string
  readonly details: readonly string[]
  /** Words that a shell may complete behind it. */
  readonly words: readonly string[]
}

export const PLAIN_COMMANDS: readonly PlainCommand[] = [
  {
    name: 'help',
    operands: ' [COMMAND|TOPIC] [--man]',
    summary: 'Explain a command: logpipe help run.',
    details: ['--man prints the manual page: logpipe help --man > logpipe.1; man ./logpipe.1'],
    words: [...new Set(COMMANDS.map(({ name }) => name.split(' ')[0] ?? ''))],
  },
  {
    name: 'completion',
    operands: ' bash|zsh|fish',
    summary: 'Print the completion for bash, zsh or fish.',
    details: [
      'bash: logpipe completion bash > /etc/bash_completion.d/logpipe',
      'zsh:  logpipe completion zsh > "${fpath[1]}/_logpipe"',
      'fish: logpipe completion fish > ~/.config/fish/completions/logpipe.fish',
    ],
    words: ['bash', 'zsh', 'fish'],
  },
  {
    name: 'licenses',
    operands: '',
    summary: 'Print the licences of all bundled software.',
    details: [],
    words: [],
  },
  { name: 'version', operands: '', summary: 'Print the version.', details: [], words: [] },
]

/** The help on one of them, or undefined when there is none of that name. */
export function plainHelp(name: string): string | undefined {
  const command = PLAIN_COMMANDS.find((each) => each.name === name)
  if (command === undefined) return undefined
  const { operands, summary, details } = command
  const lines = [`Usage: logpipe ${name}${operands}`, '', summary, ...details]
  return `${lines.join('\n')}\n`
}
