/** A program that writes numbered lines to its stdout until the reader goes away or says enough. */
import { StdoutSink } from '../../src/sink/stdout-sink.ts'
import { RecordedBatch } from './recorded-batch.ts'

const LINES_MAX = Number(process.argv[2])
const end = (word: string) => {
  process.stderr.write(`${word}\n`)
  process.exit(0)
}
const sink = new StdoutSink({
  fail: (error) => end(error.message),
  endOfOutput: () => end('end of output'),
})
await sink.open()
for (let line = 0; line < LINES_MAX; line += 100) {
  sink.write(new RecordedBatch(Array.from({ length: 100 }, (_, more) => `line ${line + more}\n`)))
}
await sink.close(LINES_MAX < 100_000 ? 30_000 : 300)
end('closed')
