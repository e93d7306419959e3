/**
 * The result of `logpipe bench` as one HTML file: no script, no network, light and dark.
 */
import {
  COLUMNS,
  type CompareReport,
  headLines,
  type LoadReport,
  READER_NAMES,
  readerCells,
  type ReaderReport,
} from './compare-report.ts'
import { formatBytes } from '../core/units.ts'

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --dim: #5c6670; --line: #d8dde2; --paper: #fff;
  --plain: #8a96a3; --ours: #1f7a5c; --limit: #c9b458 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --dim: #98a2ad; --line: #353c44;
  --paper: #16191d; --plain: #6d7986; --ours: #3fb68b; --limit: #a8944a } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin-bottom: .5rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
pre, p { color: var(--dim); margin: 0 0 1rem } pre { font-size: 13px; white-space: pre-wrap }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1.5rem }
figure { margin: 0 } figcaption { color: var(--dim); font-size: 13px }
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif } svg text { fill: var(--ink) }
table { border-collapse: collapse; width: 100%; margin-top: 1rem; font-size: 13px }
th, td { padding: .25rem .5rem; text-align: right; border-bottom: 1px solid var(--line) }
th { color: var(--dim); font-weight: 500 } td:first-child { text-align: left }
.scroll { overflow-x: auto }
`

const COLOURS: Readonly<Record<ReaderReport['reader'], string>> = {
  plain: 'var(--plain)',
  direct: 'var(--ours)',
  worker: 'var(--ours)',
  raw: 'var(--limit)',
}

export function compareHtml(report: CompareReport): string {
  const head = escaped([...headLines(report), `time      ${report.time}`].join('\n'))
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>logpipe bench</title>
<style>${STYLE}</style>
<h1>logpipe bench</h1>
<pre>${head}</pre>
<p>Each reader is a process of its own; all take turns. Medians; the thin line is as long as their
spread. Only readers of one load are comparable.</p>
${report.loads.map(section).join('\n')}
</html>
`
}

function section({ load, readers }: LoadReport): string {
  const rates = readers.map((reader) => ({
    reader,
    value: reader.bytes_per_second,
    text: `${formatBytes(reader.bytes_per_second)}/s`,
    spread: reader.spread,
  }))
  const cpu = readers.map((reader) => ({
    reader,
    value: reader.cpu_seconds_per_gb,
    text: `${reader.cpu_seconds_per_gb.toFixed(2)} s`,
    spread: 0,
  }))
  const cells = (row: readonly string[], tag: string) =>
    `<tr>${row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`
  return `<h2>${escaped(load)}</h2>
<div class="charts">
<figure>${chart(rates)}<figcaption>Bytes a second: longer is better.</figcaption></figure>
<figure>${chart(cpu)}<figcaption>CPU seconds for a GB: shorter is better.</figcaption></figure>
</div>
<div class="scroll"><table>
${cells(COLUMNS, 'th')}
${readers.map((reader) => cells(readerCells(reader), 'td')).join('\n')}
</table></div>`
}

interface Bar {
  readonly reader: ReaderReport
  readonly value: number
  readonly text: string
  /** A line as long as this part of the value, across the bar's end. */
  readonly spread: number
}

const LEFT = 150
const WIDTH = 230
/** For a line beyond the longest bar, and the text behind it. */
const RIGHT = 160
const HEIGHT = 20
const STEP = 30

function chart(bars: readonly Bar[]): string {
  const most = Math.max(1e-9, ...bars.map(({ value }) => value))
  const rows = bars.map(({ reader: { reader }, value, text, spread }, index) => {
    const width = (value / most) * WIDTH
    const half = Math.min(width, (width * spread) / 2)
    const end = LEFT + width
    const top = index * STEP + 4
    const middle = top + HEIGHT / 2
    const at = (x: number) => `x="${x.toFixed(1)}" y="${middle + 4}"`
    const box = `x="${LEFT}" y="${top}" width="${width.toFixed(1)}" height="${HEIGHT}"`
    const line = `M${(end - half).toFixed(1)} ${middle}h${(2 * half).toFixed(1)}`
    return [
      `<text ${at(LEFT - 8)} text-anchor="end">${READER_NAMES[reader]}</text>`,
      `<rect ${box} rx="2" fill="${COLOURS[reader]}"/>`,
      ...(half > 0 ? [`<path d="${line}" stroke="var(--ink)"/>`] : []),
      `<text ${at(end + half + 6)}>${escaped(text)}</text>`,
    ].join('\n')
  })
  const box = `0 0 ${LEFT + WIDTH + RIGHT} ${bars.length * STEP + 4}`
  return `<svg viewBox="${box}" role="img">${rows.join('\n')}</svg>`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
