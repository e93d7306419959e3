// A child as sync knows it, without a pipeline: tells what it was given, drains, crashes on demand.
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const home = path.dirname(process.env.RUNTIME_METRICS_PATH)
const note = (line) => appendFileSync(path.join(home, 'notes'), `${line}\n`)
const secrets = JSON.parse(readFileSync(Number(process.env.LOGPIPE_SECRETS_FD), 'utf8'))

if (process.argv[2] === 'check') {
  process.stdout.write(JSON.stringify({ topic: process.env.KAFKA_TOPIC, secrets }))
  process.exit(0)
}
if (process.argv[2] !== 'run') {
  note([...process.argv.slice(2), ...Object.values(secrets)].join(' '))
  process.exit(0)
}
const pattern = process.env.MATCH_PATTERN ?? ''
// Ready for its end before it tells that it has begun: a test may end it at once.
const end = (why) => {
  note(`${why} ${process.pid}`)
  if (pattern !== 'STUBBORN') process.exit(0)
}
let buffer = ''
process.stdin.on('data', (chunk) => {
  buffer += chunk
  const lines = buffer.split('\n')
  buffer = lines.pop()
  for (const line of lines) {
    const reply = { kind: 'tail', entries: [`asked ${JSON.parse(line).kind}`] }
    appendFileSync(Number(process.env.LOGPIPE_REPLY_FD), `${JSON.stringify(reply)}\n`)
  }
})
process.stdin.on('end', () => end('orphaned'))
process.on('SIGTERM', () => end('drained'))
note(`start ${process.pid} ${pattern}`)
if (pattern === 'USAGE') {
  process.stderr.write('expected a pattern that works\n')
  process.exit(2)
}
const given = { secrets, env: process.env, argv: process.argv }
writeFileSync(path.join(home, 'partial'), JSON.stringify(given))
renameSync(path.join(home, 'partial'), path.join(home, 'given'))
writeFileSync(path.join(home, 'dead_letters.ndjson'), '{}\n# removed\n{}\n{"torn"')
writeFileSync(
  process.env.RUNTIME_METRICS_PATH,
  JSON.stringify({
    polled_total: 5,
    books: { run: String(process.pid), entries: { fetched: 5, indexed: 3, pending: 2 } },
  }),
)

setInterval(() => undefined, 1000)
