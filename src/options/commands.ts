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
    summary: 'Read from Kafka, keep what matches, write it out.',
    description: [
      'Reads records from Kafka, keeps those that the filter keeps (patterns, regular expressions, expressions over fields, key and headers: `logpipe help filters`), and writes them to stdout, a file or Elasticsearch. An offset is committed only when everything below it is written or filtered out, so that a crash loses nothing.',
      'Matches go to stdout, status lines and logs to stderr. SIGINT or SIGTERM drain what was read and end; a second one ends at once. SIGHUP reads the filter, secrets and the log level again, and opens an output file anew (logrotate).',
    ],
    examples: [
      ['logpipe run --embedded', 'try it without a Kafka'],
      ['logpipe run -t app-logs --pattern ERROR --run-seconds 0', 'until it is stopped'],
      ['logpipe run -t app-logs --keep \'level:ERROR and not "health"\' --until end', 'for cron'],
      ['logpipe run -p ERROR -p FATAL --output file:errors.log', 'to a file'],
      ['logpipe run --es-enabled --es-url https://es:9200 --es-index app', 'to Elasticsearch'],
    ],
  },
  {
    name: 'check',
    operandsMax: 0,
    summary: 'Show the configuration, and test what it points at.',
    description: [
      'Takes the options of `logpipe run` and runs nothing. Prints every value with its source and the memory that may be needed, tests whether Kafka, its topics and Elasticsearch can be reached, and says what is wrong. Exits with 1 when something is.',
    ],
    examples: [['logpipe check --config pipeline.yaml', 'before starting it']],
  },
  {
    name: 'demo',
    operandsMax: 0,
    summary: 'The whole pipeline on a Kafka inside the process.',
    description: [
      'Starts a Kafka in the process, a generator of log lines, and the pipeline on it. Nothing to install, nothing kept.',
    ],
    examples: [['logpipe demo --run-seconds 10 --error-share 1%', 'ten seconds, one in a hundred']],
  },
  {
    name: 'replay',
    operandsMax: 0,
    summary: 'Send the matches of a span of time once more.',
    description: [
      'Reads the records whose timestamp lies in a span of time, whatever the group has committed, and commits nothing. Filter, output and books are those of run; what does not lie in the span is filtered(time), and a record without a timestamp lies in none. Ends when everything is written.',
      'It joins no group, so a pipeline of the same group goes on undisturbed, and it may run beside it: unless ES_SPILL_PATH and RUNTIME_METRICS_PATH say otherwise, its spill is data/es_spill-replay.bin and its snapshot data/runtime_metrics-replay.json. What Elasticsearch has already is a duplicate and makes no second document.',
    ],
    examples: [
      ['logpipe replay --from 2026-09-01T00:00Z --to 2026-09-02T00:00Z', 'one day'],
      [
        'logpipe replay --from 2026-09-01T06:00Z --partitions 0,4-6',
        'some partitions, to their end',
      ],
    ],
  },
  {
    name: 'try',
    operandsMax: 1,
    operands: '[-]',
    summary: 'What a filter would keep of a topic; writes nothing.',
    description: [
      'Reads the last records of a topic, without a group and without committing, and writes nothing. Prints how many the filter keeps and drops and which term said no, what the search rejects before a record is looked at, how many records and bytes a second and GiB a day to expect, how many records are no JSON, and examples of both kinds.',
      'With --es-url it also asks for the mapping of ES_INDEX, and names fields of kept records that Elasticsearch would refuse. The language is in `logpipe help filters`.',
    ],
    examples: [
      ['logpipe try -t app-logs --keep level:ERROR', 'of the last 10,000 records'],
      [
        "logpipe try -t app-logs --from -1h --keep 'status >= 500' --drop '\"health\"'",
        'of an hour',
      ],
      ['logpipe try --keep level:ERROR --file app.log', 'of the lines of a file; - is stdin'],
    ],
  },
  {
    name: 'explain',
    operandsMax: 1,
    operands: '[EXPR]',
    summary: 'How an expression is searched for, and what cannot be.',
    description: [
      'Prints the expression as it is understood, the bytes that every kept record must hold, which are searched for before a record is looked at, and the terms that give none.',
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
      'FILE is a config file, whose filter is tested, with records and their verdicts under the key tests. Prints a line for each verdict that differs, with the term that decided, and exits with 1 when one does; `logpipe help tests` shows how to write them.',
    ],
    examples: [['logpipe test pipeline.yaml', 'in CI, before it is deployed']],
  },
  {
    name: 'bench compare',
    operandsMax: 0,
    summary: 'Measure this machine beside a plain consumer; `bench` alone.',
    description: [
      'Reads topics of 100 B, 1 KB and 10 KB a record and one of 1 KB with lz4, three times in turns: with a plain loop over librdkafka (memmem in each record), with logpipe in direct and in worker mode, and with a reader that fetches and searches nothing, which is the limit. Prints medians, spread, ratios, CPU for a GB and peak memory. Takes less than three minutes.',
      'Makes its own topics at KAFKA_BROKERS and deletes them at the end, also when it is interrupted; a topic that it did not make is left alone. Where KAFKA_BROKERS is not set and nobody listens at its default, it measures on a Kafka inside the process, and claims no ratios.',
    ],
    examples: [
      ['logpipe bench --profile aggressive', 'with the settings for the highest rate'],
      ['logpipe bench --brokers kafka-1:9092 --html bench.html', 'with charts'],
    ],
  },
  {
    name: 'bench consume',
    operandsMax: 0,
    summary: 'Measure how fast this machine reads and filters a topic.',
    description: [
      'Reads a topic with the pool, the threads and the filter of `logpipe run`, and writes nothing. Time and CPU count from the first record to the last.',
    ],
    examples: [
      ['logpipe bench consume --profile aggressive --records 1000000', 'a million records'],
      ['logpipe bench consume -t app-logs --reader plain', 'the baseline'],
    ],
  },
  {
    name: 'bench produce',
    operandsMax: 0,
    summary: 'Fill a topic with log lines, a known share of which match.',
    description: ['Produces realistic log lines; a known share of them contain ERROR.'],
    examples: [
      ['NUM_RECORDS=150000 RECORD_SIZE=1024 TOPIC=test logpipe bench produce', 'as a variable'],
    ],
  },
  {
    name: 'control',
    operands: '[ACTION [FILE]]',
    operandsMax: 2,
    summary: 'The control plane: REST API and database.',
    description: [
      'Keeps pipelines and workers, and says which worker runs what. ACTION does something with the database instead: backup FILE copies it, also while it is in use.',
      'Secrets of pipelines are sealed with the key in the file CONTROL_DB_PATH.key, which is no part of the backup: keep a copy of it in another place. ACTION rotate-key seals them with a new key, forget-secrets removes them all, as when the key was lost; both while no control plane runs.',
      'From this machine the API needs no token unless CONTROL_TOKEN is set. From elsewhere it needs the one in the file control-token beside the database, which is made at the first start; workers there need the one in worker-token.',
    ],
    examples: [['logpipe control --listen 127.0.0.1:8088', 'for this machine only']],
  },
  {
    name: 'sync',
    operandsMax: 0,
    summary: 'A worker: runs what the control plane says.',
    description: [
      'Asks the control plane what to run, and keeps it running: one pipeline, as a `logpipe run` of its own, whose spill, dead letters and snapshot lie in data/WORKER_ID/PIPELINE_ID/. It goes on while the control plane is away, and drains when sync ends, however that ends.',
      'The options of run in the environment of sync are passed on to the child, and what a process needs (PATH, HOME, locale, certificates); nothing else. What the control plane says overrides it. Secrets among them go only to addresses that the environment names as well (see WORKER_SECRET_HOSTS).',
    ],
    examples: [['logpipe sync --worker-id worker-1', 'with the control plane on this machine']],
  },
  {
    name: 'top',
    operandsMax: 0,
    summary: 'Watch a pipeline, or the fleet of a control plane.',
    description: [
      'Shows once a second what a pipeline on this machine does, out of the file that it writes (RUNTIME_METRICS_PATH); where there is none, or CONTROL_PLANE_URL is set, what every pipeline and worker of a control plane does, the busiest first. Ctrl-C ends it.',
      'Without a terminal it prints one picture and ends.',
    ],
    examples: [
      ['logpipe top', 'what runs on this machine'],
      ['logpipe top --control-plane-url http://control:8088', 'a fleet'],
      ['logpipe top --json', 'an object a second, for programs'],
    ],
  },
  {
    name: 'tap',
    operands: '[PIPELINE]',
    operandsMax: 1,
    summary: 'Show matches of a running pipeline as they come.',
    description: [
      'Asks the workers of a pipeline, through the control plane, to show some of what they match, and prints it on stdout, a few lines a second at most. PIPELINE is its id or name; the one that runs needs none. It is a sample for the eye: nothing is taken away from the pipeline, and what is shown is not all.',
    ],
    examples: [
      ['logpipe tap', 'of the one pipeline that runs'],
      ['logpipe tap app-errors --count 10', 'ten matches, then the end'],
    ],
  },
  {
    name: 'spill',
    operands: 'ls|verify|drain',
    operandsMax: 1,
    summary: 'Look at, verify or send what waits on disk.',
    description: [
      'ls shows the segments of the spill at ES_SPILL_PATH, with the offsets that they hold; it works beside a running pipeline. verify reads every byte and names what is damaged, with file, bytes and offsets; it then exits with 1.',
      'drain sends everything to ES_URL, whichever pipeline left it, and deletes what was taken. A document that is sent twice keeps its _id and makes no second one. Documents of an index that takes nothing stay, and hold up no others: it then exits with 1. Damaged documents are named with their offsets, for `logpipe replay`; their file is set aside as .spill.damaged, the status is 3, and the next drain does not meet them again. Not beside a running pipeline.',
    ],
    examples: [
      ['logpipe spill ls', 'what is there'],
      ['logpipe spill verify --json', 'for a monitor'],
      ['logpipe spill drain --es-url https://es:9200', 'send it all'],
    ],
  },
  {
    name: 'dlq',
    operands: 'ACTION [ID...]',
    // The control plane orders 1000 by name at most.
    operandsMax: 1001,
    summary: 'Look at, send again or drop dead letters.',
    description: [
      'Works on the documents that Elasticsearch refused for good, in the files of --dlq file:PATH. ACTION is ls, show, stats, replay or drop. An ID is topic-partition-offset, as ls prints it; IDs and --where narrow down together. ls, show and stats work beside a running pipeline, and so do replay and drop.',
      'replay sends them again through the output of the pipeline, with the _id that they had, so that sending twice makes no second document; what is taken leaves the files, and what is refused again, or waits for an index that takes nothing, stays (exit status 1). drop removes them for good, and needs --where or IDs.',
    ],
    examples: [
      ['logpipe dlq stats --dlq file:dead.ndjson', 'how many, and why'],
      ['logpipe dlq show app-0-1234 --dlq file:dead.ndjson', 'one, with its payload'],
      ['logpipe dlq replay --where index=app-logs', 'send those of an index again'],
      ['logpipe dlq drop --where until=2026-01-01T00:00Z', 'remove old ones'],
    ],
  },
]

/** The row of a command. */
export function commandSpec(name: CommandName): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name)
}

/** A command without options, which prints something that is there already. */
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
    summary: 'Print the licences of all that is inside.',
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
