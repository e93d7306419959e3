/**
 * The texts of `logpipe help TOPIC`: how the parts behave together. The help of a command says what
 * each option does. The manual page has both.
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
    summary: 'Delivery guarantees, and their limits.',
    paragraphs: [
      'Delivery is at least once. logpipe commits an offset only when every record below it is settled: filtered out, written, indexed, already in the index, or stored as a dead letter. A crash, a kill -9 or a lost machine therefore loses nothing; the next start reads the unsettled records again.',
      'In Elasticsearch, a record that is sent twice makes one document, because its _id is its topic, partition and offset (--document-id). A data stream checks an _id in its newest index only, so a duplicate is possible across a rollover. A file or stdout may get the same record twice after a crash.',
      'Retries may reorder records of one key. With --document-id key, the record with the latest timestamp wins, in whichever order they arrive; the others count as superseded.',
      'At the end, logpipe checks the books of every partition: the records that came in must equal those filtered out, written, indexed, dead-lettered, dropped because you asked for it, or still waiting. If they do not balance, or something was lost, the exit status is 3. If they do, the last lines say "books balance".',
      'Records that Kafka deletes before logpipe reads them are lost. They count as lost(retention); keep the retention of topics at three days or more. A batch that is damaged on its broker stops its partition; with SKIP_UNREADABLE it is skipped and counts as lost(unreadable). Nothing else is dropped unless ES_DROP_WHEN_FULL or OVERFLOW_DROP_NEWEST is set.',
    ],
  },
  {
    name: 'config',
    summary: 'Flags, variables, the config file, and which one wins.',
    paragraphs: [
      'Give an option as a flag (--topic app), as an environment variable (KAFKA_TOPIC=app) or in a YAML file (topic: app) named by --config. A flag overrides the variable, the variable the file, the file the profile, the profile the default. An empty variable counts as not set.',
      '`logpipe check` takes the options of `logpipe run`, prints each value with its source, and tests whether Kafka and Elasticsearch answer. A wrong value is refused before anything is opened, with exit status 2 and one line that says what is allowed.',
      'A profile sets several options at once: aggressive for the highest throughput, latency for the shortest delay, balanced for the defaults.',
      'Set any librdkafka property with --kafka-config NAME=VALUE or a variable such as KAFKA_CONFIG_SECURITY_PROTOCOL=SASL_SSL. Properties that logpipe sets itself are refused; the error names the option to use instead.',
      'For cron: --until end reads what is there and stops, -n COUNT stops after COUNT matches, and --run-seconds limits a run. --quiet prints warnings and errors only, and --lock FILE makes a second run exit with status 75 while the first one holds the lock. Without a terminal, the status is printed as plain lines.',
    ],
  },
  {
    name: 'filters',
    summary: 'The language of --keep and --drop.',
    paragraphs: [
      '--keep EXPR keeps the records that meet an expression, --drop EXPR drops those that meet one. Both may be repeated: a record is kept when it meets at least one --keep and no --drop. run, replay, tap, try and explain take them, and so do the config file (keep: and drop:, a text or a list), the API (match_keep, match_drop) and `logpipe dlq --where`. SIGHUP reloads them.',
      'The language looks like KQL. Join terms with and, or, not (in either case) and parentheses; and binds tighter than or. Quote a word that contains spaces or punctuation; quotes take the escapes \\" \\\\ \\n \\t \\uXXXX, and \\xHH for any byte.',
      'A text by itself is searched as bytes, anywhere in the value: ERROR, "disk full", "error"i in either case (A to Z). /regex/ and /regex/i search for a regular expression there, in linear time; back references, lookahead and lookbehind are not supported. * means every record.',
      'FIELD:VALUE compares a field of a value that is one JSON object: a dotted path; in arrays, any element. FIELD:(A or B) compares with several values, FIELD:pre* with a wildcard, FIELD:* tests whether the field exists (null does not). FIELD >= 500, > < <= compare as numbers if both are numbers, otherwise as text; status:500 matches 500, 500.0 and "500". FIELD ~ "part" and FIELD ~ /regex/ search in the text of a field. Quote a field name that contains spaces or begins with @: "@timestamp":*.',
      'The record itself has @topic, @key, @partition, @offset, @time (such as 2026-09-01 or 2026-09-01T08:30Z) and @header.NAME.',
      'If a field is missing, or the value is not a JSON object, a comparison is false and never an error; so not FIELD:VALUE keeps such records. If a key occurs twice in an object, the last one counts; Elasticsearch itself refuses such a document.',
      'An error names its column. `logpipe try` shows what an expression keeps of a real topic, `logpipe explain` how logpipe searches for it, and `logpipe test FILE` checks verdicts.',
    ],
    examples: [
      ['ERROR', 'the bytes, anywhere in the value; the same as --pattern ERROR'],
      ['ERROR and not "0 ERRORs"', 'but not this other text'],
      ['/timeout=99\\d\\d/ or "timed out"i', 'a regular expression, or a text in either case'],
      ['level:(ERROR or FATAL)', 'a field with one of two values'],
      ['http.status >= 500 and not path:/health*', 'a number, and not a wildcard'],
      ['message ~ "disk full" and host:web-*', 'part of the text of a field'],
      ['error.code:* or status:(500 or 503)', 'a field that exists, or a value'],
      ['@topic:app-* and @header.env:prod', 'the topic and a header of the record'],
      ['@key ~ /^user-\\d+$/ and @time >= 2026-09-01', 'its key and its timestamp'],
    ],
  },
  {
    name: 'metrics',
    summary: 'Metrics from logs: --count and metrics:.',
    paragraphs: [
      "--count 'NAME=EXPR by FIELD, FIELD' counts the records that meet an expression (see `logpipe help filters`), for each combination of the values of the fields. NAME=sum(NUMBER) EXPR adds up a number of the records, NAME=histogram(NUMBER; BOUND BOUND) EXPR also counts them by upper bounds; EXPR may be left out. NUMBER is a field, or /regex with one (group)/ that captures it. A label is a field, @topic, @partition, @key or @header.NAME; LABEL=FIELD names it otherwise than the last part of the field.",
      'Metrics count beside the output, whatever --keep says: a record that only a metric needs is not written, and the books count it as filtered. With PRODUCT_LINE=metrics nothing is written; what a metric counts is counted in the books. They do not go with -n.',
      '/metrics of --metrics-listen has log_NAME_total, log_NAME_sum and log_NAME_count, and log_NAME_bucket; so do the snapshot, the control plane and its charts. These figures begin at 0 with each process, and records read again after a kill or a rebalance count again in them. log_missing_total counts records without the number of a metric. A label whose field is missing is empty; a value is cut after 128 characters. Above METRICS_SERIES_MAX label sets, all further ones count as "other".',
      'With METRICS_INDEX, each metric, window (METRICS_WINDOW_SECONDS), label set and partition also becomes one document in Elasticsearch, in which every record counts once, across kill -9 and rebalances. A window closes when its partition has a record dated METRICS_LATENESS_SECONDS after its end; in a partition without new records it stays open. Records that come later count in log_late_total. Records without a timestamp, or dated more than ten minutes ahead of the clock, count in log_undated_total. Neither is in any document.',
      'Until a window is written, the committed offset stays at its first record, so the lag that other tools show includes open windows, and a start reads them again.',
      'In the config file, metrics: is a map of names; each is such a text, or a map with count, sum or histogram, and bounds, where and by.',
    ],
    examples: [
      ['errors=level:ERROR by service', 'a counter, with a label'],
      ['requests=* by code=http.status, @topic', 'every record, by two labels'],
      ['sent=sum(bytes) host:web-* by host', 'a sum of a field'],
      ['took=histogram(took_ms; 10 100 1000) by path', 'a histogram of a field'],
      ['slow=histogram(/took=(\\d+)ms/; 100 1000)', 'of a number in plain text'],
    ],
  },
  {
    name: 'rules',
    summary: 'Rules: several filters in one pipeline, and what becomes of each match.',
    paragraphs: [
      'rules: in the file of --config is a list; each rule has a name of letters, digits, dots, dashes and underscores. A record goes to the first rule that holds, in their order. `all: true` sends it to every rule that holds: then rules: is a map of all and list. There may be 1,000 rules: a batch is searched once for what any of them needs. Rules take the place of --pattern, -e, --keep and --drop. RULES and the API (rules) take the same as JSON, there up to 125,000 bytes.',
      'keep and drop are expressions, one or a list: a rule holds for a record that meets one of keep and none of drop. Without keep, it holds for all that it does not drop. A record that a rule drops goes on to the next rules.',
      'index is a name or a pattern, as ES_INDEX; pipeline is an ingest pipeline (_none for none). Without them, those of the pipeline apply. They mean nothing for a file or stdout.',
      'sample: 10% keeps a part of what the rule takes; sample: { share: 10%, by: FIELD } keeps all records of a part of the values of FIELD, or of @key. A record is chosen by a hash (SHA-256) of the value, or of topic-partition-offset where there is none: the same records are chosen again after a restart, and by every worker. What a sample leaves out goes to no later rule.',
      'Books: a record that a rule drops, and that no other rule takes, counts as filtered(RULE); what a sample leaves out as filtered(sample). With `all: true` a record may become several documents: it counts as fetched once, and each document above the first as copied. Its offset is committed when all of them are settled. Their _ids end with the name of the rule (topic-partition-offset-RULE), so that two in one index are two documents; --document-id key is refused. The metric pipeline_rule_records_total counts documents, dropped and sampled by rule.',
      'rule-field: NAME adds the name of the rule to each document. `logpipe try` shows what each rule takes of a real topic, `logpipe explain --config FILE` how rules are searched for, and `logpipe test FILE` checks which rule takes a record. A change of rules takes effect with SIGHUP.',
    ],
    examples: [
      ['rules:', ''],
      ['  - name: errors', ''],
      ['    keep: level:(ERROR or FATAL)', 'an expression, or a list of them'],
      ['    drop: \'"health"\'', 'but not these'],
      ['    index: errors-{+yyyy.MM.dd}', 'an index of its own'],
      ['  - name: slow', 'of the rest: slow requests'],
      ['    keep: took >= 1000', ''],
      ['    pipeline: enrich', 'through an ingest pipeline'],
      ['  - { name: rest, sample: { share: 1%, by: trace.id } }', 'and one trace in a hundred'],
    ],
  },
  {
    name: 'fields',
    summary: 'Fields of matches: mask, remove, rename, add, redact, truncate.',
    paragraphs: [
      'fields: in the file of --config says what is done to every match, fields: of a rule what is done to its matches after that. It happens before anything else sees the document: Elasticsearch, spill, dead letters, files, the live tail and `logpipe try` have the edited one. FIELD is a dotted path, as in expressions: {"a.b":1} and {"a":{"b":1}} both have a.b, and so has every object in an array on the way. If a key occurs twice, both are edited.',
      'mask: [REGEX] comes first: in any text or number of the document, and in a value that is no JSON object, what the expression matches becomes "***". So that no text can take long, every repeat needs an end: \\d{13,19}, not \\d+. remove takes a field or a list. rename: { FIELD: NAME } gives a field a new name within its object, unless that name is there already. redact: { FIELD: mask } puts "***" in place of the value; FIELD: hash puts the first 32 hex digits of the HMAC-SHA256 of its text, with the key of REDACT_KEY or REDACT_KEY_FILE: equal values stay equal. truncate: { FIELD: 10KiB } cuts longer texts, between two characters. add: { FIELD: VALUE } comes last: it sets a field, at the end of the document if it is not there.',
      'Of one field, remove wins over redact, and redact over truncate; within a redacted object nothing else is done. All other bytes of the document stay as they were, such as 1.10 or 12345678901234567890. There are no scripts.',
      'A value that is not one JSON object has no fields: only mask looks at it, and what is added is added to the document that wraps it. To keep such values out, drop them: drop: not FIELD:*. A document whose fields cannot be edited becomes a dead letter without its value, and is never sent as it was.',
      '--add-kafka adds kafka.topic, partition, offset, timestamp and key to JSON documents; those that logpipe wraps have them anyway.',
    ],
    examples: [
      ['fields:', ''],
      ["  mask: ['\\b\\d{13,19}\\b']", 'card numbers, wherever they stand'],
      ['  remove: [password, http.headers.authorization]', 'never leaves this process'],
      ['  rename: { msg: message }', ''],
      ['  redact: { user.ip: mask, user.id: hash }', 'hash needs REDACT_KEY_FILE'],
      ['  truncate: { message: 10KiB }', ''],
      ['  add: { env: prod }', ''],
      ['add-kafka: true', 'kafka.topic, partition, offset, timestamp, key'],
    ],
  },
  {
    name: 'tests',
    summary: 'Test a filter against records: logpipe test FILE.',
    paragraphs: [
      'FILE is a config file. Its keep, drop, pattern, regex and similar keys are the filter, so you can test the file of a pipeline as it is. The key tests, which other commands ignore, lists records with their verdicts.',
      'Each test has keep: VALUE or drop: VALUE, the verdict on a record with this value: a text, or a map, which means its JSON; null means a record without a value. A test may also set key, headers (a map), topic, partition, offset and time (a time, or ms since 1970).',
      'With keep, rule: NAME names the rule that must take the record (a list, with all: true), and document: what must be written of it after fields: a text is compared byte by byte, a map as JSON.',
      'Exit status 0: every verdict is as expected; 1: a verdict differs, and is printed with the term that decided; 2: a file is wrong.',
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
      'A record is kept when its value contains the pattern (--pattern, ERROR by default), byte for byte. There are no wildcards. Keys and headers are not searched, and a match never spans two records. `logpipe help filters` has fields, regular expressions, and, or and not.',
      '--pattern may be repeated: a record is kept when it contains at least one pattern. --pattern-hex takes bytes that are not text, -e REGEX a regular expression. --ignore-case matches the letters A to Z in either case. --invert-match keeps the records that do not match, including those without a value; it applies to patterns and -e, and is refused with --keep. An empty pattern keeps everything.',
      'Rare patterns cost least: logpipe searches a whole batch at several gigabytes a second, and looks at single records only where the pattern occurs.',
    ],
  },
  {
    name: 'output',
    summary: 'Where matches go: stdout, a file, Elasticsearch, nowhere.',
    paragraphs: [
      '--output stdout writes matches to standard output, and logs and status to standard error, so that `logpipe run | grep` sees records only. When the reader of the pipe exits, the run ends with status 0.',
      '--output file:PATH appends to a file. logpipe flushes it to disk at least once a second and commits offsets only after that. --output-rotate-bytes starts a new file at that size.',
      '--format raw is the value and a newline; --format json is one object per line, with topic, partition, offset, timestamp, key and headers.',
      '--es-enabled sends documents to Elasticsearch or OpenSearch. An index name may contain the topic and a date (app-{topic}-{+yyyy.MM.dd}); the date is that of the record. When servers push back, logpipe sends fewer and smaller requests. When one index rejects everything, its documents wait while other indices continue.',
      '--output none counts matches and commits nothing.',
    ],
  },
  {
    name: 'spill',
    summary: 'Behaviour while Elasticsearch is slow or unavailable.',
    paragraphs: [
      'Documents wait in a queue in memory (ES_QUEUE_CAP, ES_QUEUE_BYTES). When it is full, they go to segments on disk, in a directory beside ES_SPILL_PATH, up to ES_SPILL_MAX_BYTES. When that is full too, consumption pauses. When Elasticsearch answers again, logpipe sends the spill, oldest documents first. Meanwhile matched is 0 or small and written is high; that is normal.',
      'With --commit-on index, the spill is a cache: offsets are committed when Elasticsearch has the document, and documents lost or damaged on disk are read from Kafka again. With --commit-on spill, a document safely on disk counts as settled; the spill then needs a volume that outlives the process.',
      'Only one process may use a spill at a time. The spill records which pipeline and target it belongs to; another pipeline is refused until the spill is drained. `logpipe spill ls` lists what waits, `verify` reads every byte, `drain` sends everything.',
    ],
  },
  {
    name: 'dead letters',
    summary: 'Documents that Elasticsearch rejects for good.',
    paragraphs: [
      'A document that no retry can get accepted, such as one that does not fit the mapping, becomes a dead letter: --dlq file:PATH or --dlq topic:NAME. Each dead letter has the reason, error type, index, topic, partition, offset and payload. If the document is too large for the file or topic, its size and first bytes replace the payload (payloadBytes; in a topic, the header logpipe.payload_bytes). Without --dlq, such a document stops the pipeline, with its offset uncommitted.',
      'A missing index, ingest pipeline or permission is not the fault of the record: the documents of that index wait, the log says why, and they are sent once you have fixed it.',
      '`logpipe dlq stats` counts the dead letters in files by reason, `ls` and `show` print them, `replay` sends them again with the same _id, and `drop` removes those that match a condition: --where reason~mapping.',
    ],
  },
  {
    name: 'status',
    summary: 'Status lines, the snapshot, Prometheus, health.',
    paragraphs: [
      'logpipe prints two status lines a second to standard error: first the pool of slots and the records from Kafka, then what became of these records. --log-format json prints objects for programs, --quiet prints neither line.',
      'RUNTIME_METRICS_PATH is a JSON file with all counters, replaced once a second; a reader never sees a partial file.',
      '--metrics-listen ADDRESS serves /metrics for Prometheus; /health, which answers while the process works; and /ready, which answers 503 and names what is down.',
      'Alert on growing es_spill_queue_bytes, rising es_429_proxy_rejected_total, rising consumer lag, and any exit status but 0.',
    ],
  },
  {
    name: 'security',
    summary: 'Credentials, TLS, tokens, files.',
    paragraphs: [
      'Flags show in process lists. Give secrets in variables or, better, in files: --es-api-key-file, ES_PASSWORD_FILE, sasl.password.file=PATH. logpipe never prints them.',
      'Kafka: set TLS and SASL (PLAIN, SCRAM, OAUTHBEARER with a token file, client certificates) with --kafka-config. Kerberos is not supported. Elasticsearch: certificates are always verified; --es-ca-file names your own CA.',
      'The control plane requires a token from everyone but your own processes on the same machine. It generates one at its first start, in a file that only its owner can read. Workers have their own token, which grants access to the worker routes only. Use CONTROL_TLS_CERT and CONTROL_TLS_KEY between machines. No field of a pipeline can name a program or a local file.',
      'Spill, dead letters and database are readable by their owner only, and contain records as they came from Kafka: protect their disk as you protect the topic.',
    ],
  },
]

/** @param words as typed: `dead letters`, `dead-letters` */
export function topicNamed(words: string): Topic | undefined {
  const asked = words.replaceAll('-', ' ').toLowerCase()
  return TOPICS.find(({ name }) => name === asked)
}
