/**
 * Debian's Chromium, headless and alone: no profile that was there before, and no request of its
 * own. What a page does wrong is kept, for its test to ask for.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { after, type TestContext } from 'node:test'
import {
  chromium,
  selectors,
  type Browser,
  type BrowserContextOptions,
  type Page,
} from 'playwright-core'

/** Debian's; it runs as root only without its sandbox. */
export const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
export const DESK = { width: 1280, height: 860 }
export const PHONE = { width: 390, height: 844 }
/** Far more than a busy machine needs. */
const PATIENCE_MS = 20_000
/** Git ignores it. */
const OUTPUT = 'test/output'

// What tests look for that has no better name.
selectors.setTestIdAttribute('data-test')

/** One for a whole test file: it takes a second to start. Its profile is a new, empty folder. */
let running: Promise<Browser> | undefined

export async function browser(): Promise<Browser> {
  running ??= chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGUMENTS })
  return await running
}

after(async () => {
  const open = await running
  await open?.close()
})

export interface Visit {
  readonly page: Page
  /** Errors on the console, uncaught ones, violations of the policy, requests to elsewhere. */
  readonly faults: string[]
}

/** Runs in the page, before anything of its own. */
const WATCH_POLICY = `document.addEventListener('securitypolicyviolation', (event) =>
  tellViolation('policy: ' + event.violatedDirective + ' ' + event.blockedURI))`

/** Opens a page in a context of its own, without cookies. */
export async function visit(
  t: TestContext,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await (await browser()).newContext({ viewport: DESK, ...options })
  t.after(() => context.close())
  const faults: string[] = []
  await context.exposeFunction('tellViolation', (text: string) => faults.push(text))
  await context.addInitScript({ content: WATCH_POLICY })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`))
  page.on('request', (request) => {
    const asked = new URL(request.url())
    if (asked.protocol.startsWith('http') && asked.origin !== new URL(url).origin) {
      faults.push(`request to elsewhere: ${request.url()}`)
    }
  })
  await page.goto(url)
  return { page, faults }
}

/** Keeps a picture of the whole page for people to look at. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(OUTPUT, { recursive: true })
  const before = page.viewportSize() ?? DESK
  const height = Number(await page.evaluate('document.documentElement.scrollHeight'))
  // The screen made as high as the page, so that what sticks to an edge stands at the end.
  await page.setViewportSize({ width: before.width, height: Math.max(before.height, height) })
  await page.screenshot({ path: `${OUTPUT}/${name}.png` })
  await page.setViewportSize(before)
}

/*
 * What every page must keep in every look: our own rules (page-rules.mjs), and axe-core's.
 */

const RULES = readFileSync(path.join(import.meta.dirname, 'page-rules.mjs'), 'utf8')
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** Every rule of axe-core that it runs by itself: WCAG A and AA, and its best practices. */
const AXE_RUN = `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
  violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary: why }) => [id, ...target, why].join(' '))))`

const LOOKS = [
  ['light', 'light', DESK],
  ['dark', 'dark', DESK],
  ['phone', 'light', PHONE],
  ['phone-dark', 'dark', PHONE],
] as const

/** One page in every look: what takes time is to bring it up. */
export async function keepsRules(page: Page, name: string): Promise<void> {
  for (const [look, colorScheme, size] of LOOKS) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize(size)
    await picture(page, `${name}-${look}`)
    assert.deepEqual(await page.evaluate(RULES), [], `${name}, ${look}`)
    await page.evaluate(AXE)
    assert.deepEqual(await page.evaluate(AXE_RUN), [], `${name}, ${look}: axe-core`)
  }
  await page.setViewportSize(DESK)
}
