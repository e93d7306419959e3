/**
 * Secrets as the database holds them: sealed with a key that lies in a file of its own beside it
 * (0600), so that a copy of the database alone, as a backup is, gives none away.
 *
 * AES-256-GCM. A sealed text is `v1:` and, in base64, 12 random bytes (the nonce), 16 bytes that
 * prove it whole, and the ciphertext. 2^32 texts may be sealed with one key; a change of a pipeline
 * is one.
 *
 * The key file has a key a line, in base64url. It has one, but while keys are exchanged: the new
 * one stands there beside the old until every secret is sealed with it. The database says by a
 * digest which one it is sealed with.
 */
import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { LogpipeError } from '../core/errors.ts'
import { readOwnFile, writeOwnFile } from '../core/own-file.ts'

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const PREFIX = 'v1:'

export class SecretBox {
  readonly #key: Buffer
  /** Tells the key from others, and nothing about it. */
  readonly keyId: string

  constructor(key: Buffer) {
    assert.equal(key.length, KEY_BYTES)
    this.#key = key
    this.keyId = createHash('sha256')
      .update('logpipe key id')
      .update(key)
      .digest('hex')
      .slice(0, 16)
  }

  static random(): SecretBox {
    return new SecretBox(randomBytes(KEY_BYTES))
  }

  seal(text: string): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(CIPHER, this.#key, nonce)
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return PREFIX + Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64')
  }

  /** @throws LogpipeError STORE for what this key did not seal. */
  open(sealed: string): string {
    const bytes = Buffer.from(sealed.slice(PREFIX.length), 'base64')
    const head = NONCE_BYTES + TAG_BYTES
    try {
      assert.ok(sealed.startsWith(PREFIX) && bytes.length >= head)
      const nonce = bytes.subarray(0, NONCE_BYTES)
      const decipher = createDecipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES })
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, head))
      return Buffer.concat([decipher.update(bytes.subarray(head)), decipher.final()]).toString()
    } catch (cause) {
      const message = 'a secret in the database is damaged, or was encrypted with another key'
      throw new LogpipeError('STORE', message, { cause })
    }
  }

  /** As a line of the key file. */
  get line(): string {
    return `${this.#key.toString('base64url')}\n`
  }
}

/** Where the key of a database lies. */
export function keyFileOf(databaseFile: string): string {
  return `${databaseFile}.key`
}

/** The keys in the file; none where there is no file. @throws LogpipeError STORE */
export function readKeys(file: string): SecretBox[] {
  const lines = (readOwnFile(file) ?? '').split('\n').filter((line) => line.trim() !== '')
  return lines.map((line) => {
    const key = Buffer.from(line.trim(), 'base64url')
    if (key.length === KEY_BYTES) return new SecretBox(key)
    const message = `expected each line of ${file} to be a key of ${KEY_BYTES} bytes in base64url`
    throw new LogpipeError('STORE', message)
  })
}

export function writeKeys(file: string, boxes: readonly SecretBox[]): void {
  writeOwnFile(file, boxes.map(({ line }) => line).join(''))
}
