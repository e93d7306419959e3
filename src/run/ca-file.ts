/**
 * ES_CA_FILE: the certificates by which Elasticsearch is known.
 */
import { X509Certificate } from 'node:crypto'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { readSmallFile } from '../options/small-file.ts'

/** The file's text, in PEM. @throws LogpipeError USAGE: it cannot be read, or holds none. */
export function readCertificates(file: string): string {
  try {
    const text = readSmallFile(file)
    // TLS would ignore what it cannot read, and say only that it trusts nobody.
    void new X509Certificate(text)
    return text
  } catch (cause) {
    const why = cause instanceof LogpipeError ? cause.message : `${file}: ${messageOf(cause)}`
    throw new LogpipeError('USAGE', `ES_CA_FILE: expected certificates in PEM, ${why}`, { cause })
  }
}
