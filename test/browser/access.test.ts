/** Signing in, pages of other origins, and a control plane that is gone. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { startControlProgram, temporaryFolder } from '../helpers/program.ts'
import { picture, visit } from './chromium.ts'

const TOKEN = 'the-token-of-this-test'

test('a browser signs in for a cookie that no script can read, and out again', async (t) => {
  const env = { CONTROL_TOKEN: TOKEN }
  const { url } = await startControlProgram(t, temporaryFolder(t), env)
  const { page, faults } = await visit(t, url)
  const token = page.getByLabel('Control token')
  await token.fill('wrong')
  await page.keyboard.press('Enter')
  await page.getByRole('alert').filter({ hasText: 'The token is wrong' }).waitFor()
  await picture(page, 'sign-in-wrong')
  await token.fill(TOKEN)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Start your first pipeline' }).waitFor()
  const [cookie] = await page.context().cookies()
  assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, 'Strict'])
  assert.equal(await page.evaluate('document.cookie'), '')
  const kept = await page.evaluate('JSON.stringify([localStorage, sessionStorage])')
  assert.equal(kept, '[{},{}]')
  await page.reload()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await token.waitFor()
  assert.deepEqual(await page.context().cookies(), [])
  assert.deepEqual(
    faults.filter((fault) => !/status of 401/.test(fault)),
    [],
  )
})

test('a session that ends does not cost what was being typed', async (t) => {
  const env = { CONTROL_TOKEN: TOKEN }
  const { url } = await startControlProgram(t, temporaryFolder(t), env)
  const { page } = await visit(t, `${url}/#/new`)
  const token = page.getByLabel('Control token')
  const signIn = async () => {
    await token.fill(TOKEN)
    await page.keyboard.press('Enter')
  }
  await signIn()
  await page.getByLabel('Topic').fill('typed')
  await page.context().clearCookies()
  await signIn()
  await token.waitFor({ state: 'detached' })
  assert.equal(await page.getByLabel('Topic').inputValue(), 'typed')
  await page.waitForFunction('document.title === "New pipeline · logpipe"')
})

test('an answer from before the sign-in does not end the session that it began', async (t) => {
  const env = { CONTROL_TOKEN: TOKEN }
  const { url } = await startControlProgram(t, temporaryFolder(t), env)
  const { page } = await visit(t, `${url}/`)
  const token = page.getByLabel('Control token')
  const signIn = async () => {
    await token.fill(TOKEN)
    await page.keyboard.press('Enter')
    await token.waitFor({ state: 'detached' })
  }
  await signIn()
  await page.context().clearCookies()
  await token.waitFor()
  const { promise: released, resolve: release } = Promise.withResolvers<undefined>()
  await page.route(/api\/(pipelines|workers|metrics)/, async (route) => {
    const response = await route.fetch()
    await released
    await route.fulfill({ response })
  })
  const late = page.waitForResponse((response) => response.status() === 401)
  await page.waitForRequest(/api\/workers/)
  await signIn()
  release(undefined)
  await late
  await page.waitForResponse((answer) => /workers/.test(answer.url()) && answer.status() === 200)
  // The page asks once a second, and the control plane may be gone before what it asked last.
  await page.unrouteAll({ behavior: 'ignoreErrors' })
  assert.equal(await token.count(), 0)
})

/** Everything that a page can try without asking: forms, text, JSON, deletion. */
const ATTACK = (target: string) => `<!doctype html><title>another origin</title><body><script>
  const body = JSON.stringify({ name: 'attack' })
  const json = { 'content-type': 'application/json' }
  const calls = [
    ['/api/pipelines', { method: 'POST', body, mode: 'no-cors' }],
    ['/api/pipelines', { method: 'POST', body, headers: json }],
    ['/api/pipelines/1/start', { method: 'POST', mode: 'no-cors' }],
    ['/api/pipelines/1', { method: 'DELETE' }],
    ['/api/pipelines', { credentials: 'include' }],
    ['/api/pipelines', { credentials: 'include', mode: 'no-cors' }],
  ]
  const read = []
  Promise.all(calls.map(async ([path, options]) => {
    try {
      const answer = await fetch('${target}' + path, { credentials: 'include', ...options })
      read.push(answer.status + await answer.text())
    } catch { read.push('refused') }
  })).then(() => {
    document.body.dataset.read = JSON.stringify(read)
    const form = document.createElement('form')
    form.method = 'post'
    form.action = '${target}/api/pipelines/1/start'
    document.body.append(form)
    form.submit()
  })
</script>`

async function otherOrigin(t: TestContext, target: string): Promise<number> {
  const server = createServer((_, outgoing) => {
    outgoing.writeHead(200, { 'content-type': 'text/html' }).end(ATTACK(target))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

test('a page of another origin reads nothing and changes nothing', async (t) => {
  const { url, call } = await startControlProgram(t, temporaryFolder(t))
  await call('POST', '/api/pipelines', { name: 'mine' })
  const before = (await call('GET', '/api/pipelines/1')).body
  const port = await otherOrigin(t, url)
  // Another port is the same site; another name is another one.
  for (const host of ['127.0.0.1', 'localhost']) {
    const { page } = await visit(t, `http://${host}:${port}/`)
    await page.waitForURL(`${url}/**`)
    assert.match((await page.textContent('body')) ?? '', /Not allowed|another origin|403/)
    assert.deepEqual((await call('GET', '/api/pipelines/1')).body, before, host)
    assert.equal((await call('GET', '/api/pipelines')).body.total, 1, host)
  }
})

test('a control plane that is gone is told, and what was there stays', async (t) => {
  const { url, call, control } = await startControlProgram(t, temporaryFolder(t))
  await call('POST', '/api/pipelines', { name: 'mine' })
  const { page } = await visit(t, url)
  await page.getByRole('link', { name: 'mine' }).waitFor()
  control.signal('SIGKILL')
  await page.getByRole('alert').filter({ hasText: 'does not answer' }).waitFor()
  assert.ok(await page.getByRole('link', { name: 'mine' }).isVisible())
  await picture(page, 'lost-contact')
})
