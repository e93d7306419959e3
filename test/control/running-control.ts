/** A control plane on a socket of this process. */
import path from 'node:path'
import type { TestContext } from 'node:test'
import {
  type ControlDependencies,
  type ControlSettings,
  startControl,
} from '../../src/control/control.ts'
import { OPTION_FIELDS } from '../../src/control/pipeline-fields.ts'
import { systemClock } from '../../src/core/clock.ts'
import { memoryLock, temporaryFolder } from './control-fixture.ts'

export async function startTestControl(
  t: TestContext,
  more: Partial<ControlSettings> = {},
  lockFile = memoryLock(),
) {
  const lines: string[] = []
  const dependencies: ControlDependencies = {
    clock: systemClock,
    lockFile,
    options: OPTION_FIELDS,
    assets: new Map(),
    version: '0.0.0',
    program: 'logpipe',
    fetch,
    log: (_level, message) => lines.push(message),
  }
  const settings: ControlSettings = {
    host: '127.0.0.1',
    port: 0,
    databasePath: path.join(temporaryFolder(t), 'control.db'),
    controlToken: undefined,
    workerToken: undefined,
    allowedHosts: [],
    trustedProxies: [],
    tls: undefined,
    runtimeMetricsPath: undefined,
    ...more,
  }
  const control = await startControl(settings, dependencies)
  t.after(() => control.close())
  return { control, settings, lines, url: `http://127.0.0.1:${control.address.port}` }
}
