/**
 * The shell blocks of a Markdown file: what `npm run test:readme` runs, one after another.
 *
 * The words behind `sh` say how, for readers of the source; what is shown is the same:
 *   sh                 runs to its end with status 0
 *   sh until-stopped   each command runs until it is stopped, then ends with status 0
 *   sh service         each command goes on beside the blocks that follow
 */

export type BlockKind = 'run' | 'until-stopped' | 'service'

export interface Block {
  readonly kind: BlockKind
  /** From 1: where the block opens in the file. */
  readonly line: number
  readonly text: string
}

const KINDS: ReadonlyMap<string, BlockKind> = new Map([
  ['sh', 'run'],
  ['sh until-stopped', 'until-stopped'],
  ['sh service', 'service'],
])

/** @throws Error for a block of shell that nobody would know how to run, and one without an end. */
export function shellBlocks(markdown: string): Block[] {
  const blocks: Block[] = []
  let open: { kind: BlockKind | null; line: number; lines: string[] } | null = null
  for (const [index, text] of markdown.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(text)?.[1]?.trim()
    if (open === null && fence !== undefined) {
      const kind = KINDS.get(fence) ?? null
      if (kind === null && /^(sh|bash|shell|console)\b/.test(fence)) {
        throw new Error(
          `line ${index + 1}: expected one of ${[...KINDS.keys()].join(', ')}; got ${fence}`,
        )
      }
      open = { kind, line: index + 1, lines: [] }
    } else if (open !== null && fence === '') {
      const { kind, line, lines } = open
      if (kind !== null) blocks.push({ kind, line, text: lines.join('\n') })
      open = null
    } else open?.lines.push(text)
  }
  if (open !== null) throw new Error(`line ${open.line}: the block has no end`)
  return blocks
}

/**
 * The commands of a block: its lines, but for comments, with those that a backslash or an open
 * quote continues.
 */
export function commandsOf({ text }: Pick<Block, 'text'>): string[] {
  const commands: string[] = []
  let command = ''
  for (const line of text.split('\n')) {
    if (command === '' && (line.trim() === '' || line.trimStart().startsWith('#'))) continue
    command += command === '' ? line : `\n${line}`
    if (line.endsWith('\\') || isQuoteOpen(command)) continue
    commands.push(command)
    command = ''
  }
  if (command !== '') throw new Error(`the command has no end: ${command}`)
  return commands
}

function isQuoteOpen(command: string): boolean {
  let open: string | null = null
  for (const character of command) {
    if (open === character) open = null
    else if (open === null && (character === "'" || character === '"')) open = character
  }
  return open !== null
}
