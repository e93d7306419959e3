/**
 * `logpipe completion zsh`: a call of _arguments for each command, from the tables.
 */
import {
  completionCommands,
  completionHeads,
  completionTails,
  type CompletionCommand,
  type CompletionFlag,
} from './completion-words.ts'

export function renderZsh(): string {
  const heads = completionHeads()
  const pairs = heads.filter(([head]) => completionTails(head).length > 0).map(([head]) => head)
  return [
    '#compdef logpipe',
    '# Completion of logpipe for zsh. For every shell, in a folder of $fpath:',
    '#   logpipe completion zsh > "${fpath[1]}/_logpipe"',
    '',
    ...completionCommands().flatMap(commandFunction),
    ...pairs.flatMap(pairFunction),
    '_logpipe() {',
    '  if (( CURRENT == 2 )); then',
    '    local -a commands=(',
    ...heads.map(([word, summary]) => `      ${quote(`${word}:${summary}`)}`),
    '    )',
    "    _describe 'command' commands",
    '    return',
    '  fi',
    '  local command=$words[2]',
    '  shift words',
    '  (( CURRENT-- ))',
    '  (( $+functions[_logpipe_$command] )) && _logpipe_$command',
    '}',
    '',
    'if [[ $funcstack[1] == _logpipe ]]; then _logpipe "$@"; else compdef _logpipe logpipe; fi',
    '',
  ].join('\n')
}

function commandFunction({ name, flags, operands }: CompletionCommand): readonly string[] {
  const lines = flags.map((flag) => `    ${quote(flagWords(flag))}`)
  if (operands.length > 0) lines.push(`    ${quote(`*:word:(${operands.join(' ')})`)}`)
  return [
    `_logpipe_${name.replaceAll(' ', '_')}() {`,
    ...(lines.length > 0 ? ['  _arguments -s \\', lines.join(' \\\n')] : ['  return 1']),
    '}',
    '',
  ]
}

/** `bench`: one of its words, or the options of the first. */
function pairFunction(head: string): readonly string[] {
  const tails = completionTails(head)
  const words = tails.map(([word]) => word)
  return [
    `_logpipe_${head}() {`,
    `  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then`,
    '    local -a commands=(',
    ...tails.map(([word, summary]) => `      ${quote(`${word}:${summary}`)}`),
    '    )',
    "    _describe 'command' commands",
    '    return',
    '  fi',
    `  local command=${words[0]}`,
    `  if [[ $words[2] == (${words.join('|')}) ]]; then`,
    '    command=$words[2]',
    '    shift words',
    '    (( CURRENT-- ))',
    '  fi',
    `  _logpipe_${head}_$command`,
    '}',
    '',
  ]
}

/** --mode=[Summary.]:value:(worker direct), with what _arguments takes as its own escaped. */
function flagWords({ flag, value, summary }: CompletionFlag): string {
  const text = summary.replaceAll(/[[\]:\\]/g, '\\$&')
  const isLong = flag.startsWith('--')
  // An option may stand several times: what is repeatable, and what overrides.
  const name = value.kind === 'none' ? `*${flag}` : `*${flag}${isLong ? '=' : '+'}`
  switch (value.kind) {
    case 'none':
      return `${name}[${text}]`
    case 'words': {
      const words = value.words.map((word) => word.replaceAll(':', '\\:')).join(' ')
      return `${name}[${text}]:value:(${words})`
    }
    case 'file':
      return `${name}[${text}]:file:_files`
    case 'text':
      return `${name}[${text}]:value: `
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
