/**
 * `npm run test:chaos`: the long form. Exits with 1 when something was lost, duplicated or does not
 * balance.
 *
 *   --seed N       repeats the schedule of a run; otherwise a new one, which is printed
 *   --faults N     200
 *   --minutes M    15: time for the faults, without the start and the check at the end
 *   --brokers N    3, or 1
 *   --rate N       400 records a second
 */
import { parseArgs } from 'node:util'
import { runChaos } from './chaos.ts'
import { faultsOf } from './report.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    faults: { type: 'string', default: '200' },
    minutes: { type: 'string', default: '15' },
    brokers: { type: 'string', default: '3' },
    rate: { type: 'string', default: '400' },
  },
})

const outcome = await runChaos({
  seed: values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : numberOf(values.seed),
  faults: numberOf(values.faults),
  minutes: numberOf(values.minutes),
  brokers: values.brokers === '1' ? 1 : 3,
  members: { cache: 2, durable: 2 },
  perSecond: numberOf(values.rate),
  say: (line) => void process.stdout.write(`${line}\n`),
})
// The servers' hooks run at the exit.
process.exit(faultsOf(outcome).length === 0 ? 0 : 1)

function numberOf(text: string): number {
  const number = Number(text)
  if (Number.isFinite(number) && number >= 0) return number
  process.stderr.write(`not a number: ${text}\n`)
  process.exit(2)
}
