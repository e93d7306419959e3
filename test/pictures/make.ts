/**
 * `npm run pictures`: makes the README's pictures, docs/terminal.png and docs/dashboard.png.
 *
 * The terminal is a real one (tmux), in which the demo runs; its screen is set as text in a page.
 * The dashboard is that of a control plane with a worker and records, as the browser tests have it.
 * Run by hand when what they show has changed: needs tmux and Chromium.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { browser, DESK } from '../browser/chromium.ts'
import { fillFleet, startFleet } from '../browser/fleet.ts'
import { until } from '../helpers/program.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
const FOLDER = path.join(ROOT, 'docs')
const COLUMNS = 112
const ROWS = 36
/** Enough for the curves to be curves. */
const SECONDS_SEEN = 30
const COMMAND = 'bin/logpipe demo --pattern "timed out" --error-share 0.0005 --run-seconds 8'

const tmux = (...args: string[]) => execFileSync('tmux', ['-L', 'logpipe', ...args]).toString()

const terminalPage = (screen: string) => `<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; background: #14181c; color: #d7dde2; display: inline-block }
  pre { margin: 0; padding: 20px 24px; font: 14px/1.45 'DejaVu Sans Mono', monospace }
</style><pre>${screen.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</pre>`

test('the terminal, with the demo in it', async (t) => {
  mkdirSync(FOLDER, { recursive: true })
  const size = ['-x', String(COLUMNS), '-y', String(ROWS)]
  tmux('new-session', '-d', ...size, '-c', ROOT, 'env', 'PS1=$ ', 'bash', '--norc')
  t.after(() => tmux('kill-server'))
  tmux('send-keys', COMMAND, 'Enter')
  const screen = () => tmux('capture-pane', '-p')
  await until('the end of the demo', () => screen().includes('Try next'))
  const page = await (await browser()).newPage()
  await page.setContent(terminalPage(screen().trimEnd()))
  await page.locator('body').screenshot({ path: path.join(FOLDER, 'terminal.png') })
})

test('the dashboard, with a pipeline that runs', async (t) => {
  const fleet = await startFleet(t)
  await fillFleet(fleet, SECONDS_SEEN)
  const page = await (await browser()).newPage({ viewport: DESK })
  await page.goto(`${fleet.url}/#/pipelines/1`)
  await page.getByText('3 nodes').waitFor()
  assert.equal(await page.getByText('running').first().isVisible(), true)
  await page.screenshot({ path: path.join(FOLDER, 'dashboard.png') })
})
