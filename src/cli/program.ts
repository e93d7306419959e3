/**
 * The command tree: which command the arguments name. Options are none of its business: each
 * command gets its arguments as they are, and the table of options says what they mean.
 */
import { Command as Tree, CommanderError } from 'commander'
import { LogpipeError } from '../core/errors.ts'
import { COMMANDS } from '../options/commands.ts'
import { helpAsked } from '../options/parse.ts'
import type { CommandName } from '../options/spec.ts'
import type { Command, CommandContext, Host } from './context.ts'
import { withInheritedSecrets } from './inherited-secrets.ts'
import { isStartedBySync } from './parent-link.ts'

/** Each command's file, loaded when it is asked for. */
const LOADERS: Readonly<Record<CommandName, () => Promise<Command>>> = {
  run: async () => (await import('./run.ts')).run,
  check: async () => (await import('./check.ts')).check,
  replay: async () => (await import('./replay.ts')).replay,
  try: async () => (await import('./try.ts')).tryFilter,
  explain: async () => (await import('./filters.ts')).explain,
  test: async () => (await import('./filters.ts')).testFilters,
  demo: async () => (await import('./demo.ts')).demo,
  spill: async () => (await import('./spill.ts')).spill,
  dlq: async () => (await import('./dlq.ts')).dlq,
  'bench compare': async () => (await import('./bench-compare.ts')).compareReaders,
  'bench consume': async () => (await import('./bench.ts')).consume,
  'bench produce': async () => (await import('./bench.ts')).produce,
  control: async () => (await import('./control.ts')).control,
  sync: async () => (await import('./sync.ts')).sync,
  top: async () => (await import('./top.ts')).top,
  tap: async () => (await import('./tap.ts')).tap,
}

/** Runs the command that the arguments name. @returns the exit status. @throws LogpipeError */
export async function runNamed(argv: readonly string[], host: Host): Promise<number> {
  let status = 0
  const tree = makeTree(async (name, depth) => {
    // Commander drops a first `--`, so the arguments are taken from where it found the command.
    status = await runCommand(name, { ...host, args: argv.slice(depth) })
  }, argv)
  try {
    await tree.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    throw error instanceof CommanderError ? usageError(error) : error
  }
  return status
}

async function runCommand(name: CommandName, context: CommandContext): Promise<number> {
  const asked = helpAsked(context.args)
  if (asked !== null) {
    const { renderHelp } = await import('../options/render-help.ts')
    context.print(renderHelp(name, asked, context.columns))
    return 0
  }
  await endWithParent(context.env)
  const command = await LOADERS[name]()
  return command({ ...context, env: withInheritedSecrets(context.env) })
}

/**
 * What sync started ends with it, however that ended: a pipeline drains, a tool stops. The end of
 * stdin says it too, but only to who listens.
 */
async function endWithParent(env: Host['env']): Promise<void> {
  if (!isStartedBySync(env)) return
  const { loadBridge } = await import('../bridge/load.ts')
  try {
    loadBridge(env['BRIDGE_LIB'] || undefined).endWithParent()
  } catch {
    // A command that needs the add-on says itself why it cannot be loaded.
  }
}

/** @param run gets the command and how many arguments its name took. */
function makeTree(
  run: (name: CommandName, depth: number) => Promise<void>,
  argv: readonly string[],
): Tree {
  const root = quiet(new Tree('logpipe')).enablePositionalOptions()
  const parents = new Map<string, Tree>()
  for (const { name } of COMMANDS) {
    const [head = '', tail] = name.split(' ')
    if (tail === undefined) {
      addLeaf(root, head, false).action(() => run(name, 1))
      continue
    }
    let parent = parents.get(head)
    if (parent === undefined) {
      parent = quiet(root.command(head)).enablePositionalOptions().passThroughOptions()
      parents.set(head, parent)
    }
    // `logpipe bench` alone is `logpipe bench compare`.
    const isDefault = parent.commands.length === 0
    addLeaf(parent, tail, isDefault).action(() => run(name, argv[1] === tail ? 2 : 1))
  }
  return root
}

function addLeaf(parent: Tree, name: string, isDefault: boolean): Tree {
  return quiet(parent.command(name, { isDefault }))
    .allowUnknownOption()
    .passThroughOptions()
    .argument('[arguments...]')
}

/** Errors are thrown instead of printed, and help is ours. */
function quiet(tree: Tree): Tree {
  return tree
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined })
    .helpOption(false)
    .helpCommand(false)
}

/** What other programs call a command. */
const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['validate', 'check'],
  ['consume', 'run'],
  ['start', 'run'],
  ['tail', 'tap'],
  ['status', 'top'],
  ['server', 'control'],
  ['worker', 'sync'],
  ['produce', 'bench produce'],
])

/** "unknown command 'rnu' (did you mean run?)" as one line. */
function usageError(error: CommanderError): LogpipeError {
  const line = error.message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace('(Did you', '(did you')
  const [, typed = ''] = /^unknown command '(\S+)'/.exec(line) ?? []
  const meant = SYNONYMS.get(typed)
  if (meant !== undefined) {
    const hint = `unknown command '${typed}' (did you mean ${meant}?); see logpipe --help`
    return new LogpipeError('USAGE', hint, { cause: error })
  }
  return new LogpipeError('USAGE', `${line}; see logpipe --help`, { cause: error })
}
