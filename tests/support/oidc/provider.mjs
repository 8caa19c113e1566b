// An identity provider for the tests: oidc-provider of npm, which is certified by the OpenID Foundation, behind one listener on
// loopback with a few controls that only a test has. Usage: node provider.mjs FOLDER REDIRECT_URI, where FOLDER has node_modules.
// It prints its issuer when it listens, and ends when its standard input does.
//
// Anybody signs in with any password. The name says the rest: the role before the first dash, `all` before the second one for the
// right to see identifiers, the one tenant after a plus: `compliance-all-ann+acme`.
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';

const [folder, redirectUri] = process.argv.slice(2);
const from = (path) => import(pathToFileURL(join(folder, 'node_modules', path)).href);
const { Provider } = await from('oidc-provider/lib/index.js');
const jose = await from('jose/dist/webapi/index.js');

const API = 'https://lacuna.test/api';
const keyOf = (alg) => {
  const { privateKey } = alg === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig' };
};

let issuer;
let keys = [keyOf('RS256'), keyOf('ES256')];
// A key that nobody publishes.
const foreign = keyOf('RS256');
let handler;
let jwksReads = 0;
let down = false;

const claimsOf = (id) => {
  const [name, tenant = '*'] = id.split('+');
  const [role, all] = name.split('-');
  return { role, groups: ['everybody', `lacuna-${role}`], tenant, rights: all === 'all' ? ['identifiers'] : [] };
};

function build() {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      { client_id: 'console', client_secret: 'the-secret-of-the-console', redirect_uris: [redirectUri] },
      { client_id: 'robot', client_secret: 'the-secret-of-the-robot', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
    ],
    claims: { openid: ['sub'], lacuna: ['role', 'groups', 'tenant', 'rights'] },
    scopes: ['openid', 'lacuna'],
    pkce: { required: () => true },
    cookies: { keys: ['tests'] },
    findAccount: async (_, id) => ({ accountId: id, claims: async () => ({ sub: id, ...claimsOf(id) }) }),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_, client) => (client.clientId === 'robot' ? API : undefined),
        getResourceServerInfo: () => ({ scope: 'lacuna', audience: API, accessTokenFormat: 'jwt', accessTokenTTL: 300 }),
      },
    },
    extraTokenClaims: (_, token) => (token.clientId === 'robot' ? { role: 'operator', tenant: '*' } : undefined),
  });
  provider.proxy = false;
  handler = provider.callback();
}

const body = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString() || '{}');
};

// Signs what a test asks for, as the provider would, or as somebody who would like to be it.
async function sign({ header = {}, claims, by = 'provider' }) {
  const jwk = by === 'stranger' ? foreign : keys[0];
  const head = { alg: jwk.alg, kid: keys[0].kid, ...header };
  if (by === 'public key') {
    // The public key as the secret of an HMAC: whoever takes the algorithm from the token believes it.
    const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'pem', type: 'spki' });
    return new jose.SignJWT(claims).setProtectedHeader({ ...head, alg: 'HS256' }).sign(Buffer.from(pem));
  }
  return new jose.SignJWT(claims).setProtectedHeader(head).sign(await jose.importJWK(jwk, jwk.alg));
}

const controls = {
  '/test/sign': async (asked) => sign(asked),
  // Other keys; with `keep`, the old ones are published still.
  '/test/rotate': async ({ keep }) => {
    keys = [keyOf('RS256'), ...(keep ? keys : [])];
    build();
    return keys[0].kid;
  },
  '/test/down': async (asked) => { down = asked.down; return 'ok'; },
  '/test/jwks-reads': async () => String(jwksReads),
};

const server = createServer(async (request, response) => {
  const control = controls[request.url];
  if (control) {
    response.end(await control(await body(request)));
  } else if (down) {
    response.writeHead(503).end();
  } else {
    if (request.url === '/jwks') jwksReads += 1;
    handler(request, response);
  }
});
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  build();
  console.log(issuer);
});
// Whoever has read where it listens reads no further.
process.stdout.on('error', () => {});
process.stdin.resume().on('end', () => process.exit(0));
