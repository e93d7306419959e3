/**
 * `logpipe completion bash|zsh|fish`: prints a script that the shell loads, which asks
 * `logpipe __complete WORDS` at each tab.
 *
 * The answer is a line for each word, with its summary behind a tab; or the one line `:files`.
 */
import { LogpipeError } from '../core/errors.ts'
import { complete } from '../options/completion.ts'
import type { CommandContext } from './context.ts'

const FILES = ':files'

const BASH = `# Completion of logpipe for bash. To load it now:
#   source <(logpipe completion bash)
# For every shell: logpipe completion bash > /etc/bash_completion.d/logpipe
_logpipe() {
  local cur=\${COMP_WORDS[COMP_CWORD]} word rest said
  COMPREPLY=()
  said=$("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return 0
  if [[ $said == ${FILES} ]]; then
    [[ $cur == = ]] && cur=
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$cur"))
    return 0
  fi
  while IFS=$'\\t' read -r word rest; do
    [[ -n $word ]] && COMPREPLY+=("$word")
  done <<< "$said"
  # What ends with a colon goes on.
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *: ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _logpipe logpipe
`

const ZSH = `#compdef logpipe
# Completion of logpipe for zsh. For every shell, in a folder of $fpath:
#   logpipe completion zsh > "\${fpath[1]}/_logpipe"
_logpipe() {
  local line
  local -a said offered going shown_offered shown_going
  said=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ $said[1] == ${FILES} ]]; then
    _files
    return
  fi
  for line in $said; do
    # What ends with a colon goes on.
    if [[ \${line%%$'\\t'*} == *: ]]; then
      going+=("\${line%%$'\\t'*}") shown_going+=("\${line/$'\\t'/  -- }")
    else
      offered+=("\${line%%$'\\t'*}") shown_offered+=("\${line/$'\\t'/  -- }")
    fi
  done
  compadd -l -d shown_going -S '' -a going
  compadd -l -d shown_offered -a offered
}
if [[ $funcstack[1] == _logpipe ]]; then _logpipe "$@"; else compdef _logpipe logpipe; fi
`

const FISH = `# Completion of logpipe for fish. For every shell:
#   logpipe completion fish > ~/.config/fish/completions/logpipe.fish
function __logpipe_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l said ($words[1] __complete $words[2..-1] 2>/dev/null)
  if test "$said" = ${FILES}
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $said
  end
end
complete -c logpipe -f -a '(__logpipe_complete)'
`

export const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH }

export function completion(context: CommandContext): number {
  const [shell = '', ...more] = context.args
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined
  if (script === undefined || more.length > 0) {
    const got = context.args.length === 0 ? 'nothing' : `"${context.args.join(' ')}"`
    throw new LogpipeError('USAGE', `logpipe completion: expected bash, zsh or fish, got ${got}`)
  }
  context.print(script)
  return 0
}

/** `logpipe __complete WORDS`: for the scripts, so no help mentions it. */
export function answerShell(context: CommandContext): number {
  const suggestions = complete(context.args)
  const lines = suggestions?.map(({ word, summary }) =>
    summary === '' ? word : `${word}\t${summary}`,
  ) ?? [FILES]
  context.print(lines.map((line) => `${line}\n`).join(''))
  return 0
}
