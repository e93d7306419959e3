/**
 * The program under test, as a command: this checkout, or the executable that LOGPIPE_BIN names
 * (`npm run test:binary`).
 */
import path from 'node:path'

const executable = process.env['LOGPIPE_BIN'] ?? ''

/** Whether the executable is tested. */
export const IS_PACKED = executable !== ''

/** The add-on: the executable's own needs no library but those of the C runtime. */
export const ADD_ON = IS_PACKED ? 'build/release/addons/bridge.node' : 'build/bridge.node'

/** What to do about a BRIDGE_LIB that is no add-on: the executable has one inside. */
export const ADD_ON_ADVICE = IS_PACKED ? 'Unset BRIDGE_LIB' : 'npm run setup'

/** The program, and what stands before its arguments. */
export const [COMMAND, ...ARGUMENTS]: readonly [string, ...string[]] = IS_PACKED
  ? [path.resolve(executable)]
  : [process.execPath, '--disable-warning=ExperimentalWarning', path.resolve('src/cli/main.ts')]
