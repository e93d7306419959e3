// `npm run help`: what each script does, in one line. test/tidy holds the list against package.json.
export const SCRIPTS = {
  help: 'this list',
  setup: 'bring what is missing: Debian packages, npm packages, Node 24, the add-ons',
  demo: 'a pipeline on an embedded broker, nothing to install',
  check: 'format, lint, types, unit tests, as in CI; `-- --fix` lets the formatter write',
  test: 'all suites; `-- unit e2e` those suites, `-- test/x.test.ts` those files',
  'test:native': "the add-on's core without Node, under three sanitizers",
  'test:chaos': 'a seeded schedule of faults on real servers',
  'test:openapi': "requests generated from the control plane's OpenAPI document",
  'test:binary': 'the tests that start the program, on dist/logpipe',
  'test:deploy': 'docker/ against the schemas that its readers publish',
  'test:readme': 'every shell block of the README',
  pictures: 'the pictures of the README, made anew',
  build: 'dist/logpipe, the one executable file',
}

if (process.argv[1] === import.meta.filename) {
  const width = Math.max(...Object.keys(SCRIPTS).map((name) => name.length))
  for (const [name, what] of Object.entries(SCRIPTS)) {
    console.log(`npm run ${name.padEnd(width)}  ${what}`)
  }
}
