/**
 * `logpipe completion fish`: one line for each command, option and word, from the tables.
 */
import {
  completionCommands,
  completionHeads,
  completionTails,
  type CompletionCommand,
  type CompletionFlag,
} from './completion-words.ts'

export function renderFish(): string {
  const heads = completionHeads()
  const pairs = heads.filter(([head]) => completionTails(head).length > 0).map(([head]) => head)
  return [
    '# Completion of logpipe for fish. For every shell:',
    '#   logpipe completion fish > ~/.config/fish/completions/logpipe.fish',
    '',
    ...commandQuestion(pairs),
    '',
    'complete -c logpipe -f',
    ...heads.map(([word, summary]) =>
      [
        "complete -c logpipe -n 'test -z (__logpipe_command)'",
        `-a ${word}`,
        describe(summary),
      ].join(' '),
    ),
    ...pairs.flatMap((head) =>
      completionTails(head).map(
        ([word, summary]) =>
          `complete -c logpipe -n 'test (count (commandline -opc)) -eq 2; ` +
          `and test (commandline -opc)[2] = ${head}' -a ${word} ${describe(summary)}`,
      ),
    ),
    ...completionCommands().flatMap(commandLines),
    '',
  ].join('\n')
}

/** A function that tells which command the line has so far; `bench` alone is its first. */
function commandQuestion(pairs: readonly string[]): readonly string[] {
  return [
    'function __logpipe_command',
    '  set -l words (commandline -opc)',
    '  if test (count $words) -lt 2',
    '    echo ""',
    '    return',
    '  end',
    ...pairs.flatMap((head) => {
      const tails = completionTails(head).map(([word]) => word)
      return [
        `  if test $words[2] = ${head}`,
        `    if test (count $words) -gt 2; and contains -- $words[3] ${tails.join(' ')}`,
        `      echo "${head} $words[3]"`,
        '    else',
        `      echo "${head} ${tails[0]}"`,
        '    end',
        '    return',
        '  end',
      ]
    }),
    '  echo $words[2]',
    'end',
  ]
}

function commandLines({ name, flags, operands }: CompletionCommand): readonly string[] {
  const start = `complete -c logpipe -n 'test (__logpipe_command) = "${name}"'`
  return [
    ...operands.map((word) => `${start} -a ${word}`),
    ...flags.map((flag) => `${start} ${flagWords(flag)} ${describe(flag.summary)}`),
  ]
}

function flagWords({ flag, value }: CompletionFlag): string {
  const name = flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`
  switch (value.kind) {
    case 'none':
      return name
    case 'words':
      return `${name} -x -a ${quote(value.words.join(' '))}`
    case 'file':
      return `${name} -r -F`
    case 'text':
      return `${name} -x`
  }
}

function describe(summary: string): string {
  return `-d ${quote(summary)}`
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
