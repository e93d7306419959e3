/**
 * An Elasticsearch output on a fake endpoint and a clock that the test moves.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock } from '../../src/core/clock.ts'
import {
  ElasticsearchSink,
  type ElasticsearchParts,
} from '../../src/sink/elasticsearch/elasticsearch-sink.ts'
import type { ElasticsearchSettings } from '../../src/sink/elasticsearch/settings.ts'
import { ELASTICSEARCH_DEFAULTS } from './elasticsearch-defaults.ts'
import { FakeBulk } from './fake-bulk.ts'

export class SinkBench {
  readonly clock = new ManualClock()
  readonly fake: FakeBulk
  readonly sink: ElasticsearchSink
  readonly failures: Error[] = []
  readonly notices: string[] = []

  constructor(
    settings: Partial<ElasticsearchSettings> = {},
    parts: Partial<ElasticsearchParts> = {},
    fake = new FakeBulk(),
  ) {
    const whole = { ...ELASTICSEARCH_DEFAULTS, ...settings }
    this.fake = fake
    this.sink = new ElasticsearchSink(whole, {
      deadLetters: null,
      overflow: null,
      clock: this.clock,
      transport: fake.transport(this.clock),
      random: () => 0.5,
      notice: (message) => this.notices.push(message),
      events: {
        fail: (error) => this.failures.push(error),
        endOfOutput: () => undefined,
      },
      ...parts,
    })
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < 5; turns++) await turn()
  }

  /** Moves the time, in steps small enough for answers to be handled in between. */
  async pass(totalMs: number, stepMs = 50): Promise<void> {
    for (let passedMs = 0; passedMs < totalMs; passedMs += stepMs) {
      this.clock.advance(Math.min(stepMs, totalMs - passedMs))
      await this.settle()
    }
  }

  /** Moves the time until `isDone`, at most so far. @returns whether it was. */
  async until(isDone: () => boolean, withinMs: number, stepMs = 50): Promise<boolean> {
    await this.settle()
    for (let passedMs = 0; passedMs < withinMs && !isDone(); passedMs += stepMs) {
      await this.pass(stepMs, stepMs)
    }
    return isDone()
  }
}
