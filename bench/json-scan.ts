/**
 * How fast json-scan.ts is against JSON.parse, on log records of about 1 KB, on one core.
 *
 *   build/node bench/json-scan.ts
 *
 * Median of five rounds of 0.3 s. The records lie in one shared buffer, as in a slot.
 */
import { isUtf8 } from 'node:buffer'
import { scanJson } from '../src/core/json-scan.ts'

const ROUNDS = 5
const ROUND_MS = 300

const samples: Readonly<Record<string, (index: number) => object>> = {
  'one long message': (index) => ({
    level: 'ERROR',
    seq: index,
    message: `order ${index} could not be booked `.repeat(27),
  }),
  'forty short fields': (index) =>
    Object.fromEntries(
      Array.from({ length: 40 }, (_, field) => [
        `field_${field}`,
        field % 3 === 0 ? index * field : `value-${index}-${field}`,
      ]),
    ),
  'escapes and umlauts': (index) => ({ seq: index, message: 'Größe "x"\tüber\n'.repeat(45) }),
}

for (const [name, make] of Object.entries(samples)) {
  const records = Array.from({ length: 1000 }, (_, index) =>
    Buffer.from(JSON.stringify(make(index))),
  )
  const memory = Buffer.from(new SharedArrayBuffer(records.reduce((sum, r) => sum + r.length, 0)))
  let at = 0
  const views = records.map((record) => {
    memory.set(record, at)
    at += record.length
    return memory.subarray(at - record.length, at)
  })
  const rates = {
    scanJson: measure(memory.length, () => {
      let count = 0
      for (const view of views) count += scanJson(view, 0, view.length)
      if (count !== views.length) throw new Error('the sample is not JSON')
    }),
    isUtf8: measure(memory.length, () => {
      for (const view of views) if (!isUtf8(view)) throw new Error('the sample is not UTF-8')
    }),
    'JSON.parse': measure(memory.length, () => {
      for (const view of views) JSON.parse(view.toString('utf8'))
    }),
  }
  const size = Math.round(memory.length / records.length)
  const text = Object.entries(rates).map(([what, rate]) => `${what} ${rate.toFixed(0)} MB/s`)
  process.stdout.write(`${name} (${size} B): ${text.join(', ')}\n`)
}

function measure(bytes: number, run: () => void): number {
  const rates: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now()
    let runs = 0
    while (performance.now() - started < ROUND_MS) {
      run()
      runs++
    }
    rates.push((bytes * runs) / 1e3 / (performance.now() - started))
  }
  return rates.sort((left, right) => left - right)[ROUNDS >> 1] ?? 0
}
