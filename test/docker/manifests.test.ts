/**
 * docker/ against the program: what the manifests set are options that exist, and what they promise
 * (until stopped, not root, a read-only root, time to drain) holds in each of them.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { ROWS } from '../../src/options/table.ts'

/** Of the image and of Kubernetes, not of logpipe. */
const NOT_OPTIONS = new Set(['HOME', 'HEALTH_PORT'])
const DRAIN_SECONDS = Number(rowOf('SHUTDOWN_DEADLINE_MS').default) / 1000 + 5

function rowOf(name: string): (typeof ROWS)[number] {
  const row = ROWS.find(({ env }) => env === name)
  assert.ok(row !== undefined, `${name} is an option`)
  return row
}

/** @throws when a variable is neither an option nor the file of a secret one. */
function assertOption(name: string): void {
  if (NOT_OPTIONS.has(name)) return
  if (!name.endsWith('_FILE')) rowOf(name)
  else assert.equal(rowOf(name.slice(0, -'_FILE'.length)).secret, true, `${name} is a secret`)
}

interface Service {
  readonly environment: Readonly<Record<string, string | number>>
  readonly image: string
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly stop_grace_period?: string
}

interface NetworkPolicy {
  readonly kind: string
  readonly spec: {
    readonly podSelector: { readonly matchLabels: Readonly<Record<string, string>> }
    readonly ingress: readonly {
      readonly from: readonly unknown[]
      readonly ports: readonly { readonly port: string }[]
    }[]
  }
}

interface Container {
  readonly ports: readonly { readonly name: string }[]
  readonly env: readonly { readonly name: string; readonly value?: string }[]
  readonly livenessProbe: { readonly httpGet: { readonly path: string } }
  readonly readinessProbe: { readonly httpGet: { readonly path: string } }
  readonly securityContext: Readonly<Record<string, unknown>>
}

interface Resource {
  readonly kind: string
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> }
      readonly spec: {
        readonly terminationGracePeriodSeconds?: number
        readonly securityContext: Readonly<Record<string, unknown>>
        readonly containers: readonly Container[]
      }
    }
  }
}

function read(file: string): string {
  return readFileSync(`docker/${file}`, 'utf8')
}

function resources(file: string, kind: string): Resource[] {
  const documents = parseAllDocuments(read(`kubernetes/${file}`))
  return documents.map((one) => one.toJS() as Resource).filter((one) => one.kind === kind)
}

test('compose runs control and two workers until stopped, with a read-only root', () => {
  const { services } = parse(read('compose.yaml'), { merge: true }) as {
    services: Readonly<Record<string, Service>>
  }
  const ours = Object.entries(services).filter(([, { image }]) => image.startsWith('logpipe'))
  assert.deepEqual(
    ours.map(([name]) => name),
    ['control', 'worker-1', 'worker-2'],
  )
  for (const [name, service] of ours) {
    Object.keys(service.environment).forEach(assertOption)
    assert.equal(service.environment['RUN_SECONDS'], 0, name)
    assert.equal(service.read_only, true, name)
    assert.deepEqual(service.cap_drop, ['ALL'], name)
    assert.ok(Number.parseInt(service.stop_grace_period ?? '0', 10) > DRAIN_SECONDS, name)
  }
  assert.equal(services['worker-2']?.environment['WORKER_ID'], 'worker-2')
})

test('in Kubernetes each container is probed, not root, and has time to drain', () => {
  const pods = [
    ...resources('control.yaml', 'Deployment'),
    ...resources('workers.yaml', 'StatefulSet'),
  ].map(({ spec }) => spec.template.spec)
  assert.equal(pods.length, 2)
  for (const pod of pods) {
    assert.equal(pod.securityContext['runAsNonRoot'], true)
    for (const { env, livenessProbe, readinessProbe, securityContext } of pod.containers) {
      env.forEach(({ name }) => assertOption(name))
      assert.equal(env.find(({ name }) => name === 'RUN_SECONDS')?.value, '0')
      assert.equal(livenessProbe.httpGet.path, '/health')
      assert.equal(readinessProbe.httpGet.path, '/ready')
      assert.equal(securityContext['readOnlyRootFilesystem'], true)
      assert.equal(securityContext['allowPrivilegeEscalation'], false)
    }
  }
  assert.ok((pods[1]?.terminationGracePeriodSeconds ?? 0) > DRAIN_SECONDS)
})

test('in Kubernetes only who has to may call, at the ports that there are', () => {
  const policies = parseAllDocuments(read('kubernetes/network-policy.yaml')).map(
    (one) => one.toJS() as NetworkPolicy,
  )
  const listed = parse(read('kubernetes/kustomization.yaml')) as { resources: string[] }
  assert.ok(listed.resources.includes('network-policy.yaml'))
  const pods = [
    ...resources('control.yaml', 'Deployment'),
    ...resources('workers.yaml', 'StatefulSet'),
  ].map(({ spec }) => spec.template)
  assert.equal(policies.length, pods.length)
  for (const [index, { kind, spec }] of policies.entries()) {
    assert.equal(kind, 'NetworkPolicy')
    const pod = pods[index]
    assert.deepEqual(spec.podSelector.matchLabels, pod?.metadata.labels)
    const known = pod?.spec.containers.flatMap(({ ports }) => ports.map(({ name }) => name))
    for (const { from, ports } of spec.ingress) {
      assert.ok(from.length > 0, 'not everybody')
      assert.deepEqual(
        ports.map(({ port }) => port),
        known,
      )
    }
  }
})

test('instances under systemd share nothing, and leave no core', () => {
  const unit = read('systemd/logpipe@.service')
  assert.match(unit, /^CacheDirectory=logpipe\/%i$/m)
  assert.match(unit, /^StateDirectory=logpipe\/%i$/m)
  assert.match(unit, /^Environment=XDG_CACHE_HOME=%C\/logpipe\/%i$/m)
  assert.match(unit, /^LimitCORE=0$/m)
})

test('the image and the unit set options that exist, and run until stopped', () => {
  const image = read('Dockerfile')
  const variables = [...image.matchAll(/^(?:ENV| {3}) ([A-Z_]+)=(\S+)/gm)]
  variables.forEach(([, name = '']) => assertOption(name))
  assert.equal(variables.find(([, name]) => name === 'RUN_SECONDS')?.[2], '0')
  assert.match(image, /^USER 10001$/m)
  const unit = read('systemd/logpipe@.service')
  assert.match(unit, /^Environment=RUN_SECONDS=0$/m)
  assert.ok(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]) > DRAIN_SECONDS)
})

async function healthServer(t: TestContext, status: number): Promise<Server> {
  const server = createServer((_, response) => response.writeHead(status).end())
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function healthcheck(port: number): Promise<number> {
  const child = spawn('docker/healthcheck', { env: { HEALTH_PORT: String(port) } })
  const [status] = (await once(child, 'exit')) as [number]
  return status
}

test('the health check tells an answer of 200 from another and from none', async (t) => {
  const healthy = await healthServer(t, 200)
  const ill = await healthServer(t, 503)
  const { port } = healthy.address() as AddressInfo
  assert.equal(await healthcheck(port), 0)
  assert.equal(await healthcheck((ill.address() as AddressInfo).port), 1)
  healthy.close()
  assert.equal(await healthcheck(port), 1)
})
