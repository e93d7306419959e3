/**
 * Writes the generated parts of README.md: the option tables.
 *   build/node bin/write-readme.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fillOptionTables } from '../src/options/render-readme.ts'

const readme = new URL('../README.md', import.meta.url)
writeFileSync(readme, fillOptionTables(readFileSync(readme, 'utf8')))
