/**
 * How Elasticsearch is reached, by the options: ES_CA_FILE, ES_CLIENT_CERT and its key, and the
 * proxies. Files are read here, once: what cannot serve is refused before anything is opened.
 */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { redactUrl, type Config } from '../options/config.ts'
import { readSmallFile } from '../core/small-file.ts'
import type { ConnectionSettings, ProxySettings } from '../sink/elasticsearch/settings.ts'

export type ConnectionConfig = Pick<
  Config,
  | 'esCaFile'
  | 'esClientCert'
  | 'esClientKey'
  | 'esLinkLocalHosts'
  | 'esProxy'
  | 'httpsProxy'
  | 'httpProxy'
  | 'noProxy'
>

/** @throws LogpipeError USAGE for a file that holds something else, or a proxy of another kind. */
export function connectionSettings(config: ConnectionConfig): ConnectionSettings {
  const { esCaFile, esClientCert, esClientKey } = config
  return {
    caPem: esCaFile === null ? null : readCertificates('ES_CA_FILE', esCaFile),
    client:
      esClientCert === null || esClientKey === null ? null : readClient(esClientCert, esClientKey),
    proxies: proxySettings(config),
    linkLocalHosts: config.esLinkLocalHosts.map((host) => host.toLowerCase()),
  }
}

/** The file's text, in PEM. */
function readCertificates(option: string, file: string): string {
  return readPem(option, 'certificates', file, (text) => {
    // TLS would ignore what it cannot read, and say only that it trusts nobody.
    void new X509Certificate(text)
  })
}

function readClient(certificateFile: string, keyFile: string): ConnectionSettings['client'] {
  const certificatePem = readCertificates('ES_CLIENT_CERT', certificateFile)
  const keyPem = readPem('ES_CLIENT_KEY', 'the private key of ES_CLIENT_CERT', keyFile, (key) => {
    const isPair = new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(key))
    if (!isPair) throw new TypeError('it belongs to another certificate')
  })
  return { certificatePem, keyPem }
}

function readPem(
  option: string,
  what: string,
  file: string,
  refuse: (text: string) => void,
): string {
  try {
    const text = readSmallFile(file)
    refuse(text)
    return text
  } catch (cause) {
    const why = cause instanceof LogpipeError ? cause.message : `${file}: ${messageOf(cause)}`
    throw new LogpipeError('USAGE', `${option}: expected ${what} in PEM, ${why}`, { cause })
  }
}

function proxySettings({ esProxy, httpsProxy, httpProxy, noProxy }: ConnectionConfig) {
  const one = (option: string, url: string | null): string | null => {
    if (url === null || url === 'none') return null
    if (/^https?:/i.test(url)) return url
    // Other programs know more kinds, so the variable may be right for them.
    const came = `${option}: expected an HTTP proxy such as http://HOST:PORT, got ${redactUrl(url)}`
    throw new LogpipeError('USAGE', `${came}; ES_PROXY=none connects without one`)
  }
  const proxies: ProxySettings = {
    http: esProxy === null ? one('HTTP_PROXY', httpProxy) : one('ES_PROXY', esProxy),
    https: esProxy === null ? one('HTTPS_PROXY', httpsProxy) : one('ES_PROXY', esProxy),
    except: noProxy.split(/[\s,]+/).filter((entry) => entry !== ''),
  }
  return proxies
}
