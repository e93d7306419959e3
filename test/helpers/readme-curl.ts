/** The curl examples of the README, to be run as they stand there; only ports differ. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { commandsOf, shellBlocks } from '../readme/blocks.ts'

/** The calls of the control plane in its shell blocks, in their order. */
export function readmeCurls(): string[] {
  const readme = readFileSync(path.resolve(import.meta.dirname, '../../README.md'), 'utf8')
  return shellBlocks(readme)
    .flatMap(commandsOf)
    .filter((command) => command.startsWith('curl ') && command.includes(':8088/'))
}

/** Says for curl that an error answer fails, and that only what came is printed. */
export function writeCurlrc(folder: string): void {
  writeFileSync(path.join(folder, '.curlrc'), 'silent\nshow-error\nfail-with-body\n')
}

/**
 * A shell whose curl fails on an error answer and says only what came. That is said by a .curlrc in
 * `folder`, so that the commands need not be touched.
 * @param ports by the port that stands in a command
 */
export function curlShell(folder: string, ports: Readonly<Record<string, string | number>>) {
  writeCurlrc(folder)
  const env = { PATH: process.env['PATH'] ?? '', CURL_HOME: folder }
  const withPorts = (command: string) =>
    Object.entries(ports).reduce(
      (text, [from, to]) => text.replaceAll(`:${from}`, `:${to}`),
      command,
    )
  return async (command: string, timeoutMs = 30_000): Promise<string> => {
    const limits = { env, timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024 }
    const { stdout } = await promisify(execFile)('sh', ['-c', withPorts(command)], limits)
    return stdout
  }
}
