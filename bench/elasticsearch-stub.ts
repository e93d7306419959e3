/**
 * A _bulk endpoint that reads the body, counts its documents, and says at once that all were
 * written. For benchmarks: what it costs is the least that any server would.
 *
 *   build/node bench/elasticsearch-stub.ts [PORT]      prints its URL; ends with its standard input
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createGunzip } from 'node:zlib'

const LINE_END = 0x0a
/** Answers by count of documents: batches come in few sizes. */
const answers = new Map<number, Buffer>()

const server = createServer((incoming, outgoing) => {
  let lineCount = 0
  const isCompressed = incoming.headers['content-encoding'] === 'gzip'
  const body = isCompressed ? incoming.pipe(createGunzip()) : incoming
  body.on('data', (chunk: Buffer) => {
    for (let at = chunk.indexOf(LINE_END); at >= 0; at = chunk.indexOf(LINE_END, at + 1)) {
      lineCount++
    }
  })
  body.on('end', () => {
    const answer = answerFor(lineCount / 2)
    outgoing.writeHead(200, {
      'content-type': 'application/json',
      'content-length': answer.length,
    })
    outgoing.end(answer)
  })
})

function answerFor(documentCount: number): Buffer {
  let answer = answers.get(documentCount)
  if (answer === undefined) {
    const items = Array.from({ length: documentCount }, () => '{"create":{"status":201}}')
    answer = Buffer.from(`{"errors":false,"took":1,"items":[${items.join(',')}]}`)
    if (answers.size > 100) answers.clear()
    answers.set(documentCount, answer)
  }
  return answer
}

server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})
process.stdin.resume().on('end', () => process.exit(0))
