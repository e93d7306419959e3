/**
 * What `logpipe help TOPIC` explains: how the parts behave together, where the help of a command
 * says what each option does. Also part of the manual page.
 */

export interface Topic {
  /** As a user types it; spaces may be dashes. */
  readonly name: string
  readonly summary: string
  readonly paragraphs: readonly string[]
  /** Lines to copy from, each with what it means; below the paragraphs. */
  readonly examples?: readonly (readonly [line: string, what: string])[]
}

export const TOPICS: readonly Topic[] = [
  {
    name: 'delivery',
    summary: 'What is promised about records, and what is not.',
    paragraphs: [
      'Delivery is at least once. An offset is committed only when every record below it is settled: filtered out, written, indexed, found to be indexed already, or kept as a dead letter. A crash, a kill -9 or a lost machine therefore loses nothing; the next start reads again what was not settled.',
      'In Elasticsearch a record that is sent twice makes one document, since its _id is its topic, partition and offset (--document-id). Data streams know an _id in their newest index only, so a duplicate is possible across a rollover. A file or stdout may get the same record twice after a crash.',
      'The order of records with one key is not kept when requests are tried again. With --document-id key the record with the latest timestamp stays, whichever order they arrive in; the others count as superseded.',
      'At the end the books are checked for every partition: what came in must equal what was filtered, written, indexed, dead-lettered, dropped by your order, or still waits. If they do not balance, or something was lost, the exit status is 3. The line "books balance" says that they do.',
      'What Kafka deletes before it is read is lost to every consumer. It is counted as lost(retention); keep the retention of topics at three days or more. A batch that is damaged on its broker stops its partition; with SKIP_UNREADABLE it is passed and counted as lost(unreadable). Nothing else is dropped unless ES_DROP_WHEN_FULL or OVERFLOW_DROP_NEWEST is set.',
    ],
  },
  {
    name: 'config',
    summary: 'Flags, variables, the config file, and which one wins.',
    paragraphs: [
      'Each option can be given as a flag (--kafka-topic app), as an environment variable (KAFKA_TOPIC=app) and in a YAML file (kafka-topic: app) named by --config. A flag overrides the variable, the variable the file, the file the profile, the profile the default. An empty variable counts as not set.',
      '`logpipe check` takes the same options as `logpipe run`, prints each value with where it came from, and tests whether Kafka and Elasticsearch answer. A wrong value is refused before anything is opened, with exit status 2 and one line that says what is allowed.',
      'A profile sets several options at once: aggressive for the highest rate, latency for the shortest way, balanced for the defaults.',
      'Every property of librdkafka can be set as --kafka-config NAME=VALUE or as a variable: KAFKA_CONFIG_SECURITY_PROTOCOL=SASL_SSL. Those that logpipe owns are refused, naming its own option.',
      'For cron: --until end reads what is there and stops, -n COUNT stops after so many matches, --run-seconds bounds a run; --quiet leaves warnings and errors only, --lock FILE lets a second run end at once with exit status 1 while the first one holds the lock. Without a terminal the status comes as plain lines.',
    ],
  },
  {
    name: 'filters',
    summary: 'Which records are kept: the language of --keep and --drop.',
    paragraphs: [
      '--keep EXPR keeps the records that meet an expression, --drop EXPR drops those that meet one. Both may be repeated: any --keep keeps, and any --drop drops, whatever keeps. The same in run, replay, try and explain, in the config file (keep: and drop:, a text or a list), in the API (match_keep, match_drop) and in `logpipe dlq --where`. SIGHUP reads them again.',
      'The language has the face of KQL. Terms are joined by and, or, not and parentheses, in any case; and binds tighter than or. A word is quoted where it holds blanks or signs; in quotes there are \\" \\\\ \\n \\t \\uXXXX and, for any byte, \\xHH.',
      'Text alone is searched as bytes, anywhere in the value: ERROR, "disk full", "error"i without regard to case (A to Z). /regex/ and /regex/i search a regular expression there, in time linear in the bytes; back references and looking around are not supported. * is every record.',
      'FIELD:VALUE compares a field of a value that is one JSON object: a dotted path; in arrays, any element. FIELD:(A or B) compares several, FIELD:pre* with a wildcard, FIELD:* asks whether it is there (null is not). FIELD >= 500, > < <= compare as numbers where both are numbers, and else as text; status:500 meets 500, 500.0 and "500". FIELD ~ "part" and FIELD ~ /regex/ look into the text of a field. A field whose name has blanks or begins with @ is quoted: "@timestamp":*.',
      'A record itself has @topic, @key, @partition, @offset, @time (as 2026-09-01 or 2026-09-01T08:30Z) and @header.NAME.',
      'A field that is not there, and a value that is no JSON object, make a comparison false and never an error; so not FIELD:VALUE keeps such records. Of a key that stands twice in an object the last one counts; Elasticsearch itself refuses such a document.',
      'An error points at its column. `logpipe try` shows what an expression keeps of a real topic, `logpipe explain` how it is searched for, `logpipe test FILE` checks verdicts.',
    ],
    examples: [
      ['ERROR', 'the bytes, anywhere in the value; the same as --pattern ERROR'],
      ['ERROR and not "0 ERRORs"', 'with another text ruled out'],
      ['/timeout=99\\d\\d/ or "timed out"i', 'a regular expression, or a text in any case'],
      ['level:(ERROR or FATAL)', 'a field with one of two values'],
      ['http.status >= 500 and not path:/health*', 'a number, and a wildcard ruled out'],
      ['message ~ "disk full" and host:web-*', 'a part of the text of a field'],
      ['error.code:* or status:(500 or 503)', 'a field that is there at all'],
      ['@topic:app-* and @header.env:prod', 'the topic and a header of the record'],
      ['@key ~ /^user-\\d+$/ and @time >= 2026-09-01', 'its key and its timestamp'],
    ],
  },
  {
    name: 'tests',
    summary: 'Verdicts that a filter must give: logpipe test FILE.',
    paragraphs: [
      'FILE is a config file: its keep, drop, pattern, regex and their kin are the filter, so that the file of a pipeline can be tested as it is. Under tests, which the other commands pass over, it lists records with their verdicts.',
      'Each has keep: VALUE or drop: VALUE, what is to become of a record with this value: a text, or a map, which stands for its JSON; null is a record without a value. Beside it may stand key, headers (a map), topic, partition, offset and time (a time, or ms since 1970).',
      'Exit status 0: every verdict is as it should be; 1: one is not, and is printed with the term that decided; 2: a file is wrong.',
    ],
    examples: [
      ['keep: level:ERROR', 'the filter, as in any config file'],
      ["drop: ['\"health\"', '@topic:test-*']", 'two expressions'],
      ['tests:', ''],
      ['  - keep: {level: ERROR, message: disk full}', 'JSON that must be kept'],
      ["  - drop: 'ERROR, but no JSON'", 'a text that must be dropped'],
      ['  - drop: {level: ERROR}', 'the same level ...'],
      ['    topic: test-1', '... in a topic that is dropped'],
    ],
  },
  {
    name: 'patterns',
    summary: 'Records by the bytes in their value.',
    paragraphs: [
      'A record is kept when its value contains the pattern (--pattern, ERROR by default), byte for byte. There are no wildcards. Keys and headers are not searched, and a match never spans two records. Fields, regular expressions, and, or and not are in `logpipe help filters`.',
      '--pattern may be repeated: a record is kept when it contains any of them. --pattern-hex names bytes that are no text, -e REGEX a regular expression. --ignore-case lets the letters A to Z match a to z. --invert-match keeps what does not match, records without a value among them; it is for patterns and -e, and refused beside --keep. An empty pattern keeps everything.',
      'A pattern that is rare costs least: the search runs at several gigabytes a second over a whole batch, and only what matched is looked at again.',
    ],
  },
  {
    name: 'output',
    summary: 'Where matches go: stdout, a file, Elasticsearch, nowhere.',
    paragraphs: [
      '--output stdout writes matches to standard output, and logs and status to standard error, so that `logpipe run | grep` sees records only. When the reader goes away the run ends with 0.',
      '--output file:PATH appends to a file. It is flushed to the disk at least once a second, and only then are offsets committed. --output-rotate-bytes starts a new one at that size.',
      '--format raw is the value and a newline; --format json is one object a line, with topic, partition, offset, timestamp, key and headers.',
      '--es-enabled sends documents to Elasticsearch or OpenSearch. An index name may be a pattern by topic and date (app-{topic}-{+yyyy.MM.dd}); the date is that of the record. logpipe takes requests and concurrency back when the servers push back, and holds an index that refuses for a reason of its own while the others go on.',
      '--output none counts and commits nothing.',
    ],
  },
  {
    name: 'spill',
    summary: 'What happens while Elasticsearch is slow or away.',
    paragraphs: [
      'Documents wait in a queue in memory (ES_QUEUE_CAP, ES_QUEUE_BYTES). When it is full they go to segments on disk, in a folder beside ES_SPILL_PATH, up to ES_SPILL_MAX_BYTES; when that is full, reading waits. When Elasticsearch answers again the spill is sent, oldest first: matched is then 0 or small while written is high.',
      'With --commit-on index the spill is a cache: offsets are committed when Elasticsearch has the document, and what is lost or damaged on disk is read from Kafka again. With --commit-on spill what is safely on disk counts as settled; it needs a volume that outlives the process.',
      'One process uses a spill at a time. It records which pipeline and which target it belongs to; another pipeline is refused, and told to drain it. `logpipe spill ls` shows what waits, `verify` reads every byte, `drain` sends it all.',
    ],
  },
  {
    name: 'dead letters',
    summary: 'Documents that Elasticsearch refuses for good.',
    paragraphs: [
      'A document that no retry will make acceptable, such as one that does not fit the mapping, goes to the dead letters: --dlq file:PATH or --dlq topic:NAME. Each has its reason, error type, index, topic, partition, offset and payload. A document that is too large for the file or topic is stored without its payload: its size and its head (payloadBytes; in a topic the header logpipe.payload_bytes). Without a target such a document stops the pipeline, with its offset uncommitted.',
      'A wrong configuration (an index, ingest pipeline or permission that is missing) is no fault of the record: its index waits and the log says so, until it is mended.',
      '`logpipe dlq stats` counts letters in files by reason, `ls` and `show` print them, `replay` sends them again with the same _id, and `drop` removes those that a condition names: --where reason~mapping.',
    ],
  },
  {
    name: 'metrics',
    summary: 'Status lines, the snapshot, Prometheus, health.',
    paragraphs: [
      'Two status lines a second go to standard error: the pool of slots and what Kafka gives, then what became of it. --log-format json prints objects for machines, --quiet prints neither.',
      'RUNTIME_METRICS_PATH is a JSON file with all counters, replaced once a second; a reader never sees half of it.',
      '--metrics-listen ADDRESS serves /metrics for Prometheus, /health, which answers while the process works, and /ready, which answers 503 and names what is down.',
      'Worth an alarm: es_spill_queue_bytes that grows, es_429_proxy_rejected_total that rises, consumer lag that rises, and any exit status but 0.',
    ],
  },
  {
    name: 'security',
    summary: 'Credentials, TLS, tokens, files.',
    paragraphs: [
      'Flags show in process lists. Give secrets as variables or, better, by files: --es-api-key-file, ES_PASSWORD_FILE, sasl.password.file=PATH. They are never printed back.',
      'Kafka: TLS and SASL (PLAIN, SCRAM, OAUTHBEARER by a token file, client certificates) are properties of librdkafka, set by --kafka-config. Kerberos is not supported. Elasticsearch: certificates are always verified; --es-ca-file names your own authority.',
      'The control plane needs no token on loopback and always one elsewhere; it makes one at its first start, in a file that only its owner can read. Workers have a token of their own, which opens their routes only. Use CONTROL_TLS_CERT and CONTROL_TLS_KEY across machines. No field of a pipeline can name a program or a local file.',
      'Spill, dead letters and database are readable by their owner only, and hold records as they came from Kafka: protect their disk as you protect the topic.',
    ],
  },
]

/** @param words as typed: `dead letters`, `dead-letters` */
export function topicNamed(words: string): Topic | undefined {
  const asked = words.replaceAll('-', ' ').toLowerCase()
  return TOPICS.find(({ name }) => name === asked)
}
