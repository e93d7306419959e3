// Brings in everything that a checkout needs: Debian packages, npm packages, Node 24, the add-ons, the dashboard.
//   node bin/setup.mjs            (npm run setup)
//   node bin/setup.mjs chromium   what the tests of the dashboard need besides
// Plain JavaScript for any Node from 20, with no package: it runs before there are any.
// What was done is remembered in build/setup.json by content, so that a second call costs milliseconds.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { insertInto, insertionSources } from '../src/bridge/librdkafka/insert.mjs'

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
export const nodeBinary = path.join(root, 'build/node')
const stampFile = path.join(root, 'build/setup.json')
const nativeFolder = path.join(root, 'src/bridge/native')
const webFolder = path.join(root, 'src/control/web')
const binding = path.join(root, 'node_modules/@confluentinc/kafka-javascript')

/** What librdkafka and the add-ons are compiled with: Debian's name, and a file that shows it is there. */
const debianPackages = [
  ['g++', '/usr/bin/g++'],
  ['make', '/usr/bin/make'],
  ['python3', '/usr/bin/python3'],
  ['libcurl4-openssl-dev', 'curl/curl.h'],
  ['libssl-dev', 'openssl/ssl.h'],
  ['libzstd-dev', 'zstd.h'],
  ['zlib1g-dev', 'zlib.h'],
  ['libsasl2-dev', 'sasl/sasl.h'],
  ['libvectorscan-dev', 'hs/hs.h'], // or libhyperscan-dev: debianName()
]

/** How other distributions install the same, in the same order; `chromium` has this name everywhere. */
const elsewhere = [
  [
    'dnf',
    'dnf install -y',
    'gcc-c++ make python3 libcurl-devel openssl-devel libzstd-devel zlib-devel cyrus-sasl-devel vectorscan-devel',
  ],
  [
    'zypper',
    'zypper install -y',
    'gcc-c++ make python3 libcurl-devel libopenssl-devel libzstd-devel zlib-devel cyrus-sasl-devel vectorscan-devel',
  ],
  [
    'apk',
    'apk add',
    'g++ make python3 curl-dev openssl-dev zstd-dev zlib-dev cyrus-sasl-dev vectorscan-dev',
  ],
  ['pacman', 'pacman -S --needed', 'gcc make python curl openssl zstd zlib libsasl vectorscan'],
]

/** For the tests of the dashboard only: `node bin/setup.mjs chromium`. */
const browserPackages = [['chromium', '/usr/bin/chromium']]

const say = (line) => process.stderr.write(`setup: ${line}\n`)

function fail(line) {
  say(line)
  process.exit(1)
}

/** Runs a command; its output goes to build/setup.log, and is shown when it fails. */
function run(title, command, args, options = {}) {
  const started = Date.now()
  say(`${title} ...`)
  const log = path.join(root, 'build/setup.log')
  const out = fs.openSync(log, 'w')
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', out, out], ...options })
  fs.closeSync(out)
  if (result.status !== 0) {
    process.stderr.write(fs.readFileSync(log, 'utf8').split('\n').slice(-40).join('\n') + '\n')
    const why = result.error?.message ?? `status ${result.status}`
    fail(`${title} failed (${why}). The command was: ${[command, ...args].join(' ')}`)
  }
  say(`${title}: done in ${((Date.now() - started) / 1000).toFixed(1)} s`)
}

function digest(files) {
  const hash = createHash('sha256')
  for (const file of files)
    hash.update(path.relative(root, file)).update('\0').update(fs.readFileSync(file)).update('\0')
  return hash.digest('hex')
}

function readStamp() {
  try {
    return JSON.parse(fs.readFileSync(stampFile, 'utf8'))
  } catch {
    return {} // No stamp, or half a one: everything is looked at again.
  }
}

function isPresent(proof) {
  if (proof.startsWith('/')) {
    const name = path.basename(proof)
    return (process.env.PATH ?? '').split(':').some((dir) => fs.existsSync(path.join(dir, name)))
  }
  const folders = ['/usr/include', '/usr/local/include', ...multiarchFolders()]
  return folders.some((dir) => fs.existsSync(path.join(dir, proof)))
}

function multiarchFolders() {
  const triple = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch]
  return triple === undefined ? [] : [`/usr/include/${triple}`]
}

/** The command that brings what is missing where there is no apt-get. */
function adviceElsewhere(missing) {
  const found = elsewhere.find(([program]) => isPresent(`/usr/bin/${program}`))
  if (found === undefined) {
    return `Install what these packages of Debian hold, then try again: ${missing.join(' ')}`
  }
  const [, install, names] = found
  const namesOf = names.split(' ')
  const packages = missing.map((name) => {
    const index = debianPackages.findIndex(([debian]) => debian === name)
    return namesOf[index] ?? name
  })
  const sudo = process.getuid?.() === 0 ? '' : 'sudo '
  return `Run this, then try again:\n  ${sudo}${install} ${packages.join(' ')}`
}

const INSTALL = ['apt-get', 'install', '-y', '--no-install-recommends']

const VECTORSCAN = 'libvectorscan-dev'
const HYPERSCAN = 'libhyperscan-dev'

/**
 * Hyperscan goes before Vectorscan, its fork with the same API, where Debian has it (x64): on
 * processors with AVX-512 Debian's Vectorscan 5.4.9 finds wrong places, and the bridge then uses
 * none (src/bridge/native/vectorscan.cc).
 */
function debianName(name) {
  if (name !== VECTORSCAN) return name
  const { stdout } = spawnSync('apt-cache', ['show', HYPERSCAN], { encoding: 'utf8' })
  return /^Source: hyperscan$/m.test(stdout ?? '') ? HYPERSCAN : name
}

/** Installs Debian's packages where it may; says the exact command where it may not. */
function installSystemPackages(packages) {
  if (process.platform !== 'linux') return // macOS: the compiler and the libraries come with its own tools.
  const missing = packages.filter(([, proof]) => !isPresent(proof)).map(([name]) => name)
  if (missing.length === 0) return
  const isRoot = process.getuid?.() === 0
  const command = [...INSTALL, ...missing.map(debianName)].join(' ')
  if (!fs.existsSync('/usr/bin/apt-get')) {
    fail(`this is not Debian or Ubuntu. ${adviceElsewhere(missing)}`)
  }
  const maySudo = !isRoot && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0
  if (!isRoot && !maySudo) {
    fail(`not root and no sudo without a password. Run this, then try again:\n  sudo ${command}`)
  }
  const prefix = isRoot ? [] : ['sudo', '-n']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const call = (title, args) => {
    const [program, ...rest] = [...prefix, ...args]
    run(title, program, rest, { env })
  }
  call('Debian package lists', ['apt-get', 'update', '-q'])
  const names = missing.map(debianName)
  call(`Debian packages ${names.join(' ')}`, [...INSTALL, ...names])
}

/** The Node 24 that came from npm for this platform, or the one that runs this, when it is new enough. */
function linkNode() {
  const fromNpm = path.join(root, `node_modules/node-${process.platform}-${process.arch}/bin/node`)
  const major = Number(process.versions.node.split('.')[0])
  const target = fs.existsSync(fromNpm) ? fromNpm : major === 24 ? process.execPath : undefined
  if (target === undefined) {
    fail(
      `no Node 24 from npm for ${process.platform}-${process.arch}: run this with Node 24 itself`,
    )
  }
  fs.rmSync(nodeBinary, { force: true })
  fs.symlinkSync(target, nodeBinary)
  return target
}

/** The folder of Node's C headers: in the npm package, or beside an installed Node. */
function nodeHome() {
  return path.resolve(path.dirname(fs.realpathSync(nodeBinary)), '..')
}

/** Inserts what logpipe needs into librdkafka, and compiles it with its binding. */
function buildBinding() {
  try {
    insertInto(path.join(binding, 'deps/librdkafka/src'))
    boundJobs(path.join(binding, 'deps/librdkafka.gyp'))
  } catch (error) {
    fail(error.message)
  }
  const env = {
    ...process.env,
    PATH: `${path.dirname(fs.realpathSync(nodeBinary))}:${process.env.PATH ?? ''}`,
    npm_config_nodedir: nodeHome(),
    npm_config_build_from_source: 'true',
    CKJS_LINKING: 'dynamic',
  }
  const args = ['rebuild', '--ignore-scripts=false', '@confluentinc/kafka-javascript']
  run('librdkafka and its binding (about 90 s)', 'npm', args, { env })
}

/** A bare "-j" compiles all of librdkafka at once: more than a small machine has memory for. */
function boundJobs(file) {
  const before = fs.readFileSync(file, 'utf8')
  const after = before.replace(/"make", "-j\d*"/, `"make", "-j${os.availableParallelism()}"`)
  if (after !== before) fs.writeFileSync(file, after)
}

const simdjson = path.join(root, 'node_modules/@nozbe/simdjson/src')

/** simdjson's one file: it takes as long to compile as all of the bridge, and changes seldom. */
function buildSimdjson() {
  const object = path.join(root, 'build/simdjson.o')
  const args = ['-std=c++20', '-O2', '-fPIC', '-fvisibility=hidden', '-w', '-c']
  const source = path.join(simdjson, 'simdjson.cpp')
  run('simdjson', process.env.CXX ?? 'g++', [...args, source, '-o', object])
}

/**
 * Compiles the bridge against the binding's own librdkafka, so that there is one in the process.
 * Vectorscan is the system's: its static library cannot become a part of another one.
 */
function buildBridge(sources) {
  const rpath = '$ORIGIN/../node_modules/@confluentinc/kafka-javascript/build/deps'
  const linux = process.platform === 'linux'
  const args = [
    '-std=c++20',
    '-O2',
    '-g',
    '-fPIC',
    '-shared',
    '-fvisibility=hidden',
    '-Wall',
    '-Wextra',
    '-Wconversion',
    '-Werror',
    '-pthread',
    // Node's own symbols are found when it loads the add-on. nodelete: librdkafka's threads outlive
    // the thread that loaded it first.
    ...(linux ? ['-Wl,-z,nodelete'] : ['-undefined', 'dynamic_lookup']),
    '-isystem',
    path.join(nodeHome(), 'include/node'),
    '-isystem',
    path.join(binding, 'build/deps/include/librdkafka'),
    '-isystem',
    simdjson,
    ...sources.filter((file) => file.endsWith('.cc')),
    path.join(root, 'build/simdjson.o'),
    `-L${path.join(binding, 'build/deps')}`,
    '-lrdkafka',
    '-lhs',
    `-Wl,-rpath,${rpath}`,
    '-o',
    path.join(root, 'build/bridge.node'),
  ]
  run('the bridge', process.env.CXX ?? 'g++', args)
}

function filesBelow(folder, pattern) {
  return fs
    .readdirSync(folder, { recursive: true })
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => path.join(folder, name))
}

/** Debian's and npm's packages, and Node. */
function bringPackages() {
  // npm ci empties the folder: through a link that would be somebody else's.
  if (fs.lstatSync(path.join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink()) {
    fail('node_modules is a link to another checkout: remove the link, then run this again')
  }
  installSystemPackages(debianPackages)
  run('npm packages (npm ci)', 'npm', ['ci', '--no-audit', '--no-fund'])
  linkNode()
}

function bundleDashboard() {
  const args = [path.join(root, 'bin/bundle-web.mjs'), path.join(root, 'build/web')]
  run('the dashboard', nodeBinary, args)
}

/** Brings the checkout up to date; returns at once when nothing has changed since the last time. */
export async function setUp() {
  const nativeSources = filesBelow(nativeFolder, /\.(cc|h)$/)
  const webSources = filesBelow(webFolder, /\.(tsx?|css|html|svg)$/)
  const lockFile = path.join(root, 'package-lock.json')
  const packagesKey = digest([lockFile])
  const libraryKey = digest([lockFile, ...insertionSources])
  const bridgeKey = digest([fileURLToPath(import.meta.url), ...insertionSources, ...nativeSources])
  const webKey = digest([path.join(root, 'bin/bundle-web.mjs'), ...webSources])
  const stamp = readStamp()
  const isThere = (file) => fs.existsSync(path.join(root, file))
  const packagesDone = stamp.packages === packagesKey && fs.existsSync(nodeBinary)
  const libraryDone = packagesDone && stamp.librdkafka === libraryKey
  const simdjsonDone = packagesDone && stamp.simdjson === packagesKey && isThere('build/simdjson.o')
  const bridgeDone = libraryDone && stamp.bridge === bridgeKey && isThere('build/bridge.node')
  const webDone = packagesDone && stamp.web === webKey && isThere('build/web/index.html')
  if (simdjsonDone && bridgeDone && webDone) return
  fs.mkdirSync(path.join(root, 'build'), { recursive: true })
  const save = (name, key) => {
    stamp[name] = key
    fs.writeFileSync(stampFile, JSON.stringify(stamp, null, 2) + '\n')
  }
  if (!packagesDone) {
    bringPackages()
    save('packages', packagesKey)
  }
  if (!libraryDone) {
    buildBinding()
    save('librdkafka', libraryKey)
  }
  if (!simdjsonDone) {
    buildSimdjson()
    save('simdjson', packagesKey)
  }
  if (!bridgeDone) {
    buildBridge(nativeSources)
    save('bridge', bridgeKey)
  }
  if (!webDone) {
    bundleDashboard()
    save('web', webKey)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [what, ...more] = process.argv.slice(2)
  if (more.length > 0 || (what !== undefined && what !== 'chromium')) {
    fail(`expected nothing or "chromium", got "${process.argv.slice(2).join(' ')}"`)
  }
  if (what === undefined) await setUp()
  else installSystemPackages(browserPackages)
  say('ready')
}
