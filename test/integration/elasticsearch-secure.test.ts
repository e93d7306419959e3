/**
 * The whole program against a _bulk endpoint with TLS: the CA from a file, each way to sign in,
 * compressed bodies; and no secret in anything that the program says or leaves behind.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { FakeBulk } from '../helpers/fake-bulk.ts'

const PROGRAM = ['--disable-warning=ExperimentalWarning', path.resolve('src/cli/main.ts')]
const SECRET = 'pass/word-of-gold'
const BASIC = Buffer.from(`me:${SECRET}`).toString('base64')
const FEW = ['--filter-threads', '1', '--ingress-threads', '1', '--pool-size', '16']

interface Rig {
  readonly fake: FakeBulk
  readonly folder: string
  readonly port: string
  run(env: Readonly<Record<string, string>>, seconds?: number): Promise<string>
}

/** Null, and the test is skipped, where no certificate can be made. */
async function open(t: TestContext): Promise<Rig | null> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-secure-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [cert, key] = [path.join(folder, 'ca.pem'), path.join(folder, 'key.pem')]
  try {
    const subject = ['-subj', '/CN=stub', '-addext', 'subjectAltName=IP:127.0.0.1']
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
    const files = ['-keyout', key, '-out', cert]
    execFileSync('openssl', ['req', '-x509', ...kind, ...files, ...subject], { stdio: 'ignore' })
  } catch {
    t.skip('openssl is not installed')
    return null
  }
  const fake = new FakeBulk()
  const url = await fake.listen(0, { key: readFileSync(key), cert: readFileSync(cert) })
  t.after(() => fake.close())
  const run: Rig['run'] = async (env, seconds = 6) => {
    const args = ['run', '--embedded', '--pattern', 'INFO', ...FEW, '--run-seconds', `${seconds}`]
    const child = spawn(process.execPath, [...PROGRAM, ...args, '--shutdown-deadline', '4s'], {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', ES_ENABLED: '1', ES_URL: url, ...env },
    })
    t.after(() => child.kill('SIGKILL'))
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (said += text))
    }
    await once(child, 'close')
    const left = globSync(path.join(folder, 'data/**/*'), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), 'latin1'))
    for (const text of [said, ...left]) {
      for (const secret of [SECRET, encodeURIComponent(SECRET), BASIC]) {
        assert(!text.includes(secret), `it says ${secret}: ${text.slice(0, 3000)}`)
      }
    }
    rmSync(path.join(folder, 'data'), { recursive: true, force: true })
    return said
  }
  return { fake, folder, port: new URL(url).port, run }
}

test('documents go over TLS, compressed, with each way to sign in', async (t) => {
  const rig = await open(t)
  if (rig === null) return
  const ca = { ES_CA_FILE: path.join(rig.folder, 'ca.pem'), ES_COMPRESSION: 'gzip' }
  const inUrl = `https://me:${encodeURIComponent(SECRET)}@127.0.0.1:${rig.port}`
  for (const [env, authorization] of [
    [{ ES_API_KEY: SECRET }, `ApiKey ${SECRET}`],
    [{ ES_USERNAME: 'me', ES_PASSWORD: SECRET }, `Basic ${BASIC}`],
    [{ ES_URL: inUrl }, `Basic ${BASIC}`],
  ] as const) {
    rig.fake.requests.length = 0
    rig.fake.documents.clear()
    const said = await rig.run({ ...ca, ...env })
    assert(rig.fake.documents.size > 0, said)
    const request = rig.fake.requests.at(0)
    assert.equal(request?.headers['authorization'], authorization)
    assert.equal(request.headers['content-encoding'], 'gzip')
  }
})

test('neither distrust nor a server that quotes us gives a secret away', async (t) => {
  const rig = await open(t)
  if (rig === null) return
  const signedIn = { ES_USERNAME: 'me', ES_PASSWORD: SECRET, COMMIT_ON: 'spill' }
  const untrusted = await rig.run(signedIn)
  assert.match(untrusted, /Elasticsearch is down: .*certificate/)
  assert.equal(rig.fake.requests.length, 0)
  rig.fake.script = ({ headers }) => ({
    kind: 'status',
    status: 401,
    body: { error: { type: 'security_exception', reason: `no: ${JSON.stringify(headers)}` } },
  })
  const refused = await rig.run({ ...signedIn, ES_CA_FILE: path.join(rig.folder, 'ca.pem') })
  assert.match(refused, /Elasticsearch rejects requests: 401 security_exception no: .*\(secret\)/)
})
