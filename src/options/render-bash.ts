/**
 * `logpipe completion bash`: a function for each command, from the tables.
 *
 * bash breaks words at `=` and `:` by itself: `--mode=w` comes as three words.
 */
import {
  completionCommands,
  completionHeads,
  completionTails,
  type CompletionCommand,
  type CompletionValue,
} from './completion-words.ts'

export function renderBash(): string {
  const commands = completionCommands()
  const heads = completionHeads().map(([word]) => word)
  const pairs = heads.filter((head) => completionTails(head).length > 0)
  return [
    '# Completion of logpipe for bash. To load it now:',
    '#   source <(logpipe completion bash)',
    '# For every shell: logpipe completion bash > /etc/bash_completion.d/logpipe',
    '',
    '_logpipe_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }',
    '_logpipe_files() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); }',
    '',
    ...commands.flatMap(commandFunction),
    '_logpipe() {',
    '  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}',
    '  if [[ $cur == = ]]; then cur=',
    '  elif [[ $prev == = && $COMP_CWORD -gt 2 ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi',
    '  COMPREPLY=()',
    '  if [[ $COMP_CWORD -eq 1 ]]; then',
    `    _logpipe_words "${heads.join(' ')} --help --version"`,
    '    return',
    '  fi',
    '  local command=${COMP_WORDS[1]}',
    ...pairs.flatMap((head) => pairLines(head)),
    '  local name=_logpipe_${command//-/_}',
    '  declare -F "$name" >/dev/null && "$name"',
    '  # What ends with a colon or a dash goes on.',
    '  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace 2>/dev/null',
    '  return 0',
    '}',
    'complete -F _logpipe logpipe',
    '',
  ].join('\n')
}

/** `bench` alone is its first sub-command. */
function pairLines(head: string): readonly string[] {
  const tails = completionTails(head).map(([word]) => word)
  return [
    `  if [[ $command == ${head} ]]; then`,
    '    if [[ $COMP_CWORD -eq 2 && $cur != -* ]]; then',
    `      _logpipe_words "${tails.join(' ')}"`,
    '      return',
    '    fi',
    `    case \${COMP_WORDS[2]} in ${tails.join('|')}) command=${head}_\${COMP_WORDS[2]} ;;`,
    `      *) command=${head}_${tails[0]} ;; esac`,
    '  fi',
  ]
}

function commandFunction({ name, flags, operands }: CompletionCommand): readonly string[] {
  const values = new Map<string, string[]>()
  for (const { flag, value } of flags) {
    const action = actionOf(value)
    if (action !== null) values.set(action, [...(values.get(action) ?? []), flag])
  }
  const cases = [...values].map(([action, names]) => `    ${names.join('|')}) ${action}; return ;;`)
  const words = [...operands, ...flags.map(({ flag }) => flag).filter((flag) => flag.length > 2)]
  return [
    `_logpipe_${name.replaceAll(/[ -]/g, '_')}() {`,
    ...(cases.length > 0 ? ['  case $prev in', ...cases, '  esac'] : []),
    `  _logpipe_words "${words.join(' ')}"`,
    '}',
    '',
  ]
}

/** Null for a switch: what follows it is the next word. */
function actionOf(value: CompletionValue): string | null {
  switch (value.kind) {
    case 'none':
      return null
    case 'words':
      return `_logpipe_words "${value.words.join(' ')}"`
    case 'file':
      return '_logpipe_files'
    case 'text':
      return 'COMPREPLY=()'
  }
}
