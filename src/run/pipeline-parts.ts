/**
 * What a pipeline stands on: the add-on, the output, the books. Opened before anything runs.
 */
import { isatty } from 'node:tty'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { LogpipeError } from '../core/errors.ts'
import { Books } from '../offsets/books.ts'
import { STDOUT_DESCRIPTOR, type Screen } from '../sink/stdout-sink.ts'
import { openOutput, type OutputParts } from './outputs.ts'
import type { PipelineSettings } from './settings.ts'

export interface PipelineParts {
  readonly bridge: Bridge
  readonly output: OutputParts
  readonly books: Books
}

export interface PartsEvents {
  readonly warn: (message: string) => void
  /** The output cannot go on, or nobody reads it any more (OUTPUT_CLOSED). */
  readonly fail: (error: Error) => void
  /** The status lines, which make way for what is written to the same terminal. */
  readonly screen: Screen
}

/** @throws LogpipeError when the add-on or the output cannot be opened; nothing is open then. */
export async function openParts(
  settings: PipelineSettings,
  { warn, fail, screen }: PartsEvents,
): Promise<PipelineParts> {
  const bridge = loadBridge(settings.bridgeFile ?? undefined)
  bridge.tuneAllocator()
  const books = new Books()
  const output = await openOutput(settings.output, {
    bridge,
    settings,
    events: {
      fail,
      endOfOutput: () => fail(new LogpipeError('OUTPUT_CLOSED', 'the output was closed')),
      // Filter threads wait for what is settled (pool/signals.ts), not for a call.
      drained: () => undefined,
    },
    books,
    warn,
    screen: isatty(STDOUT_DESCRIPTOR) ? screen : undefined,
  })
  try {
    await output.sink.open()
  } catch (error) {
    await output.close()
    throw error
  }
  return { bridge, output, books }
}
