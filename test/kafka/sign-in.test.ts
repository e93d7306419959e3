import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogpipeError } from '../../src/core/errors.ts'
import { readToken, SignIn } from '../../src/kafka/sign-in.ts'

const NOW_MS = Date.parse('2026-09-01T00:00:00Z')
const part = (claims: unknown) => Buffer.from(JSON.stringify(claims)).toString('base64url')
const jwt = (claims: unknown) => `${part({ alg: 'RS256' })}.${part(claims)}.c2ln`

const tokenIn = (text: string) => readToken('f', NOW_MS, () => text)

test('a JWT says for whom and until when it is good', () => {
  const exp = NOW_MS / 1000 + 60
  const value = jwt({ sub: 'svc', exp })
  assert.deepEqual(tokenIn(`${value}\n`), { value, expiresMs: exp * 1000, principal: 'svc' })
})

test('any other token is good for an hour, and whoever it names', () => {
  for (const value of ['opaque-token_1~', 'a.b', 'a.b.c', `${part(1)}.${part(1)}.${part(1)}`]) {
    assert.deepEqual(tokenIn(value), {
      value,
      expiresMs: NOW_MS + 3_600_000,
      principal: 'logpipe',
    })
  }
})

test('any number is a time, and any subject that is no name is left out', () => {
  const inMs = (exp: string) => {
    const claims = Buffer.from(`{"exp":${exp},"sub":"a\\u0000"}`).toString('base64url')
    const { expiresMs, principal } = tokenIn(`e30.${claims}.c2ln`)
    assert.equal(principal, 'logpipe')
    return expiresMs - NOW_MS
  }
  const yearMs = 365 * 24 * 3_600_000
  assert.equal(inMs(`${NOW_MS / 1000 + 60.123_456_7}`), 60_123)
  assert.equal(inMs('1e300'), yearMs)
  assert.equal(inMs('1e999'), yearMs)
  for (const past of ['-1e300', '-0.5', '0']) {
    assert.throws(() => inMs(past), { code: 'KAFKA_AUTH', message: /expired at 1970-01-01T00:00/ })
  }
})

test('what cannot be used is refused in one line that does not repeat it', () => {
  for (const [text, says] of [
    ['', /^KAFKA_TOKEN_FILE: f is empty$/],
    ['two words', /^KAFKA_TOKEN_FILE: f does not contain a token$/],
    [jwt({ exp: NOW_MS / 1000 }), /^KAFKA_TOKEN_FILE: the token in f expired at 2026-09-01T00:00/],
  ] as const) {
    assert.throws(() => tokenIn(text), { code: 'KAFKA_AUTH', message: says })
  }
  const readText = () => {
    throw new LogpipeError('CONFIG_FILE', 'cannot read f: no such file or directory')
  }
  assert.throws(() => readToken('f', NOW_MS, readText), {
    code: 'KAFKA_AUTH',
    message: 'KAFKA_TOKEN_FILE: cannot read f: no such file or directory',
  })
})

test('a running consumer keeps its token when the file has gone, and says so', () => {
  const warnings: string[] = []
  let nowMs = NOW_MS
  const signIn = new SignIn({
    bridge: {
      consumerSetPassword: () => assert.fail('no password'),
      consumerSetToken: () => assert.fail('no token'),
    },
    consumer: 1,
    tokenFile: 'no/such/file',
    nowMs: () => nowMs,
    warn: (message) => warnings.push(message),
  })
  signIn.refresh()
  signIn.refresh()
  nowMs += 30_000
  signIn.refresh()
  assert.equal(warnings.length, 2)
  assert.throws(() => signIn.begin(), { code: 'KAFKA_AUTH' })
})
