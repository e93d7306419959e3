/**
 * What a user can get wrong without a server to talk to: each gives one line on stderr that names
 * what came and what to do, and the right exit status. With servers: test/e2e/errors.test.ts.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { Logpipe, testFolder } from '../helpers/logpipe.ts'
import { ADD_ON_ADVICE } from '../helpers/program-command.ts'

const ADDON = path.resolve('build/bridge.node')
const EMBEDDED = 'run --embedded --quiet --run-seconds 1'

/** What is typed (in a folder with the files below), the exit status, and the line. */
const MISTAKES: readonly (readonly [args: string, status: number, line: RegExp])[] = [
  ['run --patern x', 2, /^unknown option --patern of logpipe run \(did you mean --pattern\?\)$/],
  ['run --zzz', 2, /^unknown option --zzz of logpipe run; see logpipe run --help$/],
  ['rum', 2, /^unknown command 'rum' \(did you mean run\?\); see logpipe --help$/],
  ['run here', 2, /^logpipe run: unexpected argument "here"$/],
  ['run --pool-size many', 2, /^--pool-size: expected a whole number from 2 to \d+, got "many"$/],
  ['run --pipeline-mode fast', 2, /^--pipeline-mode: expected worker or direct, got "fast"$/],
  ['run --kafka-config fetch.mim.bytes=1', 2, /no property "fetch.mim.bytes" \(did you mean f/],
  ['run --kafka-config enable.auto.commit=true', 2, /enable.auto.commit is set by logpipe; /],
  ['run --kafka-config sasl.mechanism=GSSAPI', 2, /GSSAPI \(Kerberos\) is not supported .*; use P/],
  ['run --config none.yaml', 2, /^cannot read none.yaml: no such file or directory$/],
  ['run --config folder', 2, /^cannot read folder: it is a folder$/],
  ['run --config cut.yaml', 2, /^cut.yaml:2:1: .* end with a \]$/],
  ['run --config unknown.yaml', 2, /^unknown.yaml:1:1: unknown key "patern" \(did you mean p/],
  ['run --config number.yaml', 2, /^number.yaml:1:1: pool-size: expected a whole number from 2/],
  ['run --kafka-brokers 127.0.0.1:1 --output none -q', 1, /^no broker answered at 127.0.0.1:1 .*k/],
  ['bench --brokers 127.0.0.1:1', 1, /^no broker answered at 127.0.0.1:1 within 3 s: start one/],
  ['bench consume --brokers 127.0.0.1:1', 1, /^no broker answered at 127.0.0.1:1 within 3 s: /],
  [
    'bench --embedded --brokers 127.0.0.1:1',
    2,
    /the embedded Kafka cannot be used together with --brokers/,
  ],
  ['bench --html no/out.html', 1, /^--html: cannot write no\/out.html: ENOENT/],
  ['bench consume --reader plain -t a,b', 2, /^--reader plain reads one topic for one pattern: /],
  [`${EMBEDDED} --output file:no/out`, 1, /^the output file no\/out cannot .*: create it first$/],
  [`${EMBEDDED} --output file:folder`, 1, /^the output file folder: expected a regular file; /],
  [
    `${EMBEDDED} --output none --bridge-lib none.node`,
    1,
    addOnLine('none.node: the file does not'),
  ],
  [
    `${EMBEDDED} --output none --bridge-lib cut.node`,
    1,
    addOnLine('cut.node: the file is truncated'),
  ],
  [`${EMBEDDED} --output none --bridge-lib cut.yaml`, 1, addOnLine('cut.yaml: ')],
  [
    `${EMBEDDED} --output none --pool-size 65536 --buffer-bytes 1GiB`,
    2,
    /: lower POOL_SIZE or BUF/,
  ],
]

/** What came, and what to do about it. */
function addOnLine(what: string): RegExp {
  return new RegExp(`^cannot load the add-on .*${what}.*${ADD_ON_ADVICE}`)
}

function folderOfMistakes(t: TestContext): string {
  const folder = testFolder(t)
  const write = (name: string, text: string | Buffer) =>
    writeFileSync(path.join(folder, name), text)
  mkdirSync(path.join(folder, 'folder'))
  write('cut.yaml', 'pattern: [a\n')
  write('unknown.yaml', 'patern: a\n')
  write('number.yaml', 'pool-size: many\n')
  write('cut.node', readFileSync(ADDON).subarray(0, 50_000))
  return folder
}

test('each mistake gives one clear line and the right exit status', async (t) => {
  const folder = folderOfMistakes(t)
  for (const [args, status, line] of MISTAKES) {
    await t.test(args, async (t) => {
      const ended = await new Logpipe(t, args.split(' '), { folder }).ended
      const [, said = ended.stderr] = /^logpipe: ([^\n]+)\n$/.exec(ended.stderr) ?? []
      assert.match(said, line)
      assert.equal(ended.status, status)
      assert.equal(ended.stdout.length, 0)
    })
  }
})

test('an address in use is named, with what to do', async (t) => {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as net.AddressInfo
  for (const [args, option] of [
    [`${EMBEDDED} --output none --metrics-listen`, 'METRICS_LISTEN'],
    ['control --listen', 'CONTROL_LISTEN'],
  ] as const) {
    const { stderr, status } = await new Logpipe(t, [...args.split(' '), `127.0.0.1:${port}`]).ended
    const what = `cannot listen on 127.0.0.1:${port}: another process listens there`
    assert.equal(stderr, `logpipe: ${what}; stop it, or set another address with ${option}\n`)
    assert.equal(status, 1)
  }
})

test('a start asks Elasticsearch once, and warns before anything has matched', async (t) => {
  const nobody = net.createServer()
  await new Promise<void>((resolve) => nobody.listen(0, '127.0.0.1', resolve))
  const { port } = nobody.address() as net.AddressInfo
  await new Promise((resolve) => nobody.close(resolve))
  const args = `${EMBEDDED} --output elasticsearch --es-url http://127.0.0.1:${port}`
  const more = ['--run-seconds', '0', '--pattern', 'in no line']
  const run = new Logpipe(t, [...args.split(' '), ...more])
  await run.until('a warning', () => run.stderr.includes('warn: elasticsearch'))
  assert.match(run.stderr, /elasticsearch http:.*: connection refused: nothing listens there/)
  run.signal('SIGTERM')
  const { status, stderr } = await run.ended
  assert.equal(status, 0, stderr)
  assert.equal(stderr.split('warn: elasticsearch').length, 2, 'once')
})
