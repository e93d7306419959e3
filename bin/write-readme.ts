/**
 * Writes the generated parts of README.md and README.zh-CN.md: the option tables.
 *   build/node bin/write-readme.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fillOptionTables, type ReadmeLanguage } from '../src/options/render-readme.ts'
import { CHINESE } from './readme-languages.ts'

function write(name: string, language?: ReadmeLanguage): void {
  const readme = new URL(`../${name}`, import.meta.url)
  writeFileSync(readme, fillOptionTables(readFileSync(readme, 'utf8'), language))
}

write('README.md')
write('README.zh-CN.md', CHINESE)
