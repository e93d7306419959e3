/** ES_CA_FILE: what cannot serve as one is told in one line, before anything is opened. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { readCertificates } from '../../src/run/ca-file.ts'
import { testFolder } from '../helpers/logpipe.ts'

test('a file of certificates is taken as it is, with what stands between them', (t) => {
  const file = path.join(testFolder(t), 'ca.pem')
  const text = `# two of them\n${rootCertificates.slice(0, 2).join('\n# and\n')}\n`
  writeFileSync(file, text)
  assert.equal(readCertificates(file), text)
})

test('a file that is missing or holds no certificate is refused by its option', (t) => {
  const file = path.join(testFolder(t), 'ca.pem')
  const says = (message: RegExp) =>
    assert.throws(() => readCertificates(file), { code: 'USAGE', message })
  says(/^ES_CA_FILE: expected certificates in PEM, cannot read .*ca\.pem: no such file/)
  writeFileSync(file, 'not a certificate\n')
  says(/^ES_CA_FILE: expected certificates in PEM, .*ca\.pem: /)
})
