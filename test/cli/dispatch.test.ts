/** Which command the arguments name, and what it then gets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dispatch } from '../../src/cli/dispatch.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { QUIET_HOST } from './quiet-host.ts'

async function printed(args: readonly string[]): Promise<string> {
  let text = ''
  const print = (part: string) => {
    text += part
  }
  assert.equal(await dispatch(args, { ...QUIET_HOST, print }), 0)
  return text
}

async function refusal(args: readonly string[]): Promise<string> {
  const host = { ...QUIET_HOST, print: () => assert.fail('it prints') }
  try {
    await dispatch(args, host)
  } catch (error) {
    assert.ok(error instanceof LogpipeError, String(error))
    assert.equal(error.exitStatus, 2)
    assert.doesNotMatch(error.message, /\n/)
    return error.message
  }
  assert.fail('not refused')
}

test('help is printed, whatever else is wrong on the line', async () => {
  for (const [args, says] of [
    [[], /^Usage: logpipe COMMAND/m],
    [['--help'], /^Usage: logpipe COMMAND/m],
    [['help'], /^Usage: logpipe COMMAND/m],
    [['run', '--nonsense', '--help'], /^NAME$/m],
    [['run', '-h'], /^Usage: logpipe run/m],
    [['help', 'bench'], /logpipe bench compare - /],
    [['help', 'bench', 'produce'], /logpipe bench produce - /],
    [['help', 'delivery'], /^DELIVERY\nDelivery guarantees/],
    [['help', 'dead', 'letters'], /^DEAD LETTERS\n/],
    // Both a topic and a command.
    [['help', 'spill'], /^SPILL\n[^]+^NAME\n {4}logpipe spill - /m],
    [['help', '--man'], /^\.TH LOGPIPE 1 /],
    [['completion', 'bash'], /^complete -F _logpipe logpipe$/m],
    [['__complete', 'bench', 'pr'], /^produce\t/],
    [['licenses'], /LICENSE/],
    [['completion', '--help'], /^Usage: logpipe completion bash\|zsh\|fish$/m],
    [['help', 'completion'], /^Usage: logpipe completion bash\|zsh\|fish$/m],
    [['licenses', '-h'], /^Usage: logpipe licenses$/m],
    [['version', '--help'], /^Usage: logpipe version$/m],
    [['bench', '-h'], /^Usage: logpipe bench compare/m],
    [['bench', 'consume', '-h'], /^Usage: logpipe bench consume/m],
    [['bench', 'produce', '-h'], /^Usage: logpipe bench produce/m],
  ] as const) {
    assert.match(await printed(args), says, args.join(' '))
  }
})

test('the version is printed by each of its names', async () => {
  for (const name of ['--version', '-V', 'version']) {
    assert.match(await printed([name]), /^logpipe \d+\.\d+\.\d+ \(.+\)\nNode \d+\.\d+\.\d+.*\n$/)
  }
})

test('arguments reach the command as they were typed', async () => {
  for (const [args, says] of [
    [['run', 'stray'], /^logpipe run: unexpected argument "stray"$/],
    [['run', '--', '--quiet'], /^logpipe run: unexpected argument "--quiet"$/],
    [
      ['run', '--es-enabled', '1'],
      /unexpected argument "1" \(a switch takes its value as --name=1\)$/,
    ],
    [['licenses', 'all'], /^logpipe licenses: unexpected argument "all"$/],
    [['version', '--all'], /^logpipe version: unexpected argument "--all"$/],
    [['help', '--all'], /^logpipe help: unknown option --all; it accepts only --man$/],
    [['bench', 'brew'], /^logpipe bench compare: unexpected argument "brew"$/],
    [['bench', '--num-records', '1'], /^unknown option --num-records of logpipe bench compare/],
    [['bench', 'consume', '--records', 'x'], /^--records: expected a whole number/],
    [['bench', 'produce', '--records', '0'], /^--records: expected a whole number from 1/],
    [['run', '--pool-size', 'many'], /^--pool-size: expected .*got "many"$/],
    [['run', '--kafka-config', 'no.such=x'], /librdkafka has no property "no\.such"/],
  ] as const) {
    assert.match(await refusal(args), says, args.join(' '))
  }
})

test('what is no command is refused with the nearest that is', async () => {
  assert.match(await refusal(['rnu']), /^unknown command 'rnu' \(did you mean run\?\); see logpipe/)
  assert.match(
    await refusal(['--pattern', 'x']),
    /^unknown option '--pattern'; see logpipe --help$/,
  )
  assert.match(await refusal(['help', 'rnu']), /^no help on "rnu" \(did you mean run\?\)/)
})

test("other programs' names for it lead to ours", async () => {
  for (const [typed, meant] of [
    ['run --workers', '--filter-threads'],
    ['run --limit', '--max-records'],
    ['bench produce --limit', '--records'],
    ['run --offset', '--start'],
    ['replay --offset', '--from'],
    ['replay --from-beginning', '--from'],
    ['run --dry-run', 'logpipe check'],
    ['run --verbose', '--log-level debug'],
    ['validate', 'check'],
    ['consume', 'run'],
  ] as const) {
    const said = await refusal(typed.split(' '))
    assert.ok(said.includes(`(did you mean ${meant}`), said)
  }
})
