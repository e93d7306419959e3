// Vectorscan for the release: libhs.so.5, compiled from the sources that a crate brings. The library
// asks for libc and libm only, and the bridge finds it beside itself.
//
// It is a library of its own, as in a checkout, and not a part of the bridge: its code needs AVX2,
// and the linker would take its copies of inline functions for those of the bridge, which has to
// start on any processor to say so (src/bridge/native/vectorscan.cc).
import fs from 'node:fs'
import path from 'node:path'
import { root, run, say, work } from './toolchain.mjs'

const CRATE = 'vectorscan-rs-sys'
const VERSION = '0.0.6'
const SHA256 = '195d07e20b78923c2e8542f95a9bfd31d0cacf19f9134181c292b84055c5c7c1'

const folder = path.join(work, 'vectorscan')
/** Vectorscan's own folder in the crate; it holds the licence too. */
export const vectorscanSource = path.join(folder, 'vendor', CRATE, 'vectorscan')

/** Has a folder hs/, as /usr/include has where Debian's is installed. */
export const vectorscanHeaders = path.join(folder, 'include')

/** What it is compiled with, as Debian names the packages. */
const TOOLS = [
  ['cargo', 'cargo'],
  ['cmake', 'cmake'],
  ['ninja', 'ninja-build'],
  ['ragel', 'ragel'],
]
const BOOST = '/usr/include/boost/version.hpp'

/** Only what bridge.node calls is visible. */
const VISIBLE = '{ global: hs_*; local: *; };\n'

/** Makes `output`: about ten minutes. */
export async function buildVectorscan({ cc, cxx, env }, shared, output) {
  requireTools()
  await bringSource()
  say('Vectorscan for the release (about 10 minutes) ...')
  const build = path.join(folder, 'build')
  fs.rmSync(build, { recursive: true, force: true })
  const mapped = `-ffile-prefix-map=${root}=.`
  const definitions = {
    CMAKE_BUILD_TYPE: 'Release',
    CMAKE_C_COMPILER: cc,
    CMAKE_CXX_COMPILER: cxx,
    // The check for it is one that the release's compiler cannot link.
    CMAKE_C_FLAGS: `${mapped} -DHAVE_POSIX_MEMALIGN`,
    // Debian's Boost 1.74 derives from std::unary_function.
    CMAKE_CXX_FLAGS: `${mapped} -DHAVE_POSIX_MEMALIGN -D_LIBCPP_ENABLE_CXX17_REMOVED_UNARY_BINARY_FUNCTION`,
    CMAKE_POSITION_INDEPENDENT_CODE: 'ON',
    BUILD_STATIC_LIBS: 'ON',
    BUILD_AVX2: 'ON',
    ...Object.fromEntries(
      ['SHARED_LIBS', 'TOOLS', 'UNIT', 'EXAMPLES', 'BENCHMARKS', 'DOC'].map((part) => [
        `BUILD_${part}`,
        'OFF',
      ]),
    ),
    FAT_RUNTIME: 'OFF',
  }
  const defined = Object.entries(definitions).map(([name, value]) => `-D${name}=${value}`)
  // Its version has the day of the build in it, and two builds of one commit are to be equal.
  const dated = { ...env, SOURCE_DATE_EPOCH: '0' }
  await run('cmake', ['-G', 'Ninja', ...defined, '-S', vectorscanSource, '-B', build], {
    env: dated,
  })
  await run('ninja', ['-C', build, '-j2', 'hs'], { env })
  const visible = path.join(folder, 'visible.map')
  fs.writeFileSync(visible, VISIBLE)
  const args = [
    ...shared,
    '-Wl,-soname,libhs.so.5',
    `-Wl,--version-script=${visible}`,
    '-Wl,--gc-sections',
    '-Wl,--whole-archive',
    path.join(build, 'lib/libhs.a'),
    '-Wl,--no-whole-archive',
    '-lm',
    '-o',
    output,
  ]
  await run(cxx, args, { env })
  const headers = path.join(vectorscanHeaders, 'hs')
  fs.mkdirSync(headers, { recursive: true })
  for (const name of ['hs.h', 'hs_common.h', 'hs_compile.h', 'hs_runtime.h']) {
    fs.copyFileSync(path.join(vectorscanSource, 'src', name), path.join(headers, name))
  }
  fs.copyFileSync(path.join(build, 'hs_version.h'), path.join(headers, 'hs_version.h'))
}

function requireTools() {
  const folders = (process.env.PATH ?? '').split(':')
  const isThere = (program) => folders.some((one) => fs.existsSync(path.join(one, program)))
  const missing = TOOLS.filter(([program]) => !isThere(program)).map(([, name]) => name)
  if (!fs.existsSync(BOOST)) missing.push('libboost-dev')
  if (missing.length > 0) {
    throw new Error(`Vectorscan is compiled with: apt-get install ${missing.join(' ')}`)
  }
}

/** By the ordinary client; what came is compared with the hash of the crate. */
async function bringSource() {
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(path.join(folder, 'src'), { recursive: true })
  const manifest = [
    '[package]',
    'name = "sources"',
    'version = "0.0.0"',
    'edition = "2021"',
    '[dependencies]',
    `${CRATE} = "=${VERSION}"`,
    '',
  ]
  fs.writeFileSync(path.join(folder, 'Cargo.toml'), manifest.join('\n'))
  fs.writeFileSync(path.join(folder, 'src/lib.rs'), '')
  await run('cargo', ['vendor', '--quiet', 'vendor'], { cwd: folder })
  const sums = path.join(folder, 'vendor', CRATE, '.cargo-checksum.json')
  const came = JSON.parse(fs.readFileSync(sums, 'utf8')).package
  if (came !== SHA256) throw new Error(`${CRATE} ${VERSION} has SHA-256 ${came}, not ${SHA256}`)
}
