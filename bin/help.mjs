// `npm run help`: what each script does, in one line. test/tidy holds the list against package.json.
export const SCRIPTS = {
  help: 'print this list',
  setup: 'install what is missing: Debian packages, npm packages, Node 24, the add-ons',
  demo: 'run a pipeline on an embedded broker, without a Kafka',
  check: 'format, lint, check types, run unit tests, as in CI; `-- --fix` fixes what it can',
  test: 'run all suites; `-- unit e2e` only those, `-- test/x.test.ts` only those files',
  'test:native': "test the add-on's core without Node, under three sanitizers",
  'test:chaos': 'run a seeded schedule of faults on real servers',
  'test:openapi': "send requests generated from the control plane's OpenAPI document",
  'test:binary': 'run the tests that start the program, on dist/logpipe',
  'test:deploy': 'check docker/ against the published schemas',
  'test:readme': 'run every shell block of the README',
  pictures: 'make the pictures of the README again',
  build: 'build dist/logpipe, the one executable file',
}

if (process.argv[1] === import.meta.filename) {
  const width = Math.max(...Object.keys(SCRIPTS).map((name) => name.length))
  for (const [name, what] of Object.entries(SCRIPTS)) {
    console.log(`npm run ${name.padEnd(width)}  ${what}`)
  }
}
