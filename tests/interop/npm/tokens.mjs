// SPDX-License-Identifier: Apache-2.0
//
// tests/interop/npm/tokens.mjs - other implementations of tokens, npm's jose and jsonwebtoken: as issuers, as forgers,
// and as those who verify what posthouse issues. Driven by ../tokens_test.py.
//
//   node tokens.mjs make KEYS ISSUER AUDIENCE TRAP   writes a key set to KEYS, prints {good, forged} as JSON; forged tokens
//                                                    say that their keys are at TRAP
//   node tokens.mjs verify KEYS ISSUER AUDIENCE      reads lines of {algorithm, token}, prints what each library says

import { readFileSync, writeFileSync } from 'node:fs';
import crypto from 'node:crypto';
import * as jose from 'jose';
import jsonwebtoken from 'jsonwebtoken';

const ALGORITHMS = ['ES256', 'EdDSA', 'RS256', 'PS256', 'HS256'];
const now = Math.floor(Date.now() / 1000);

const text = (value) => (typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value));
const encode = (value) => Buffer.from(text(value)).toString('base64url');
const hmac = (secret, hash = 'sha256') => (input) => crypto.createHmac(hash, secret).update(input).digest();

// A token of any header and payload; `sign` gives the signature's bytes of what is signed.
function raw(header, payload, sign = () => Buffer.alloc(0)) {
    const input = `${encode(header)}.${encode(payload)}`;
    return `${input}.${sign(input).toString('base64url')}`;
}

async function makeKeys() {
    const keys = {};
    for (const alg of ALGORITHMS) {
        const kid = `key-of-${alg.toLowerCase()}`;
        if (alg === 'HS256') {
            const secret = crypto.randomBytes(32);
            keys[alg] = { alg, kid, privateKey: crypto.createSecretKey(secret), secret, jwk: { kty: 'oct', k: secret.toString('base64url') } };
        } else {
            const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true, ...(alg === 'EdDSA' ? { crv: 'Ed25519' } : {}) });
            keys[alg] = { alg, kid, privateKey, publicKey, jwk: await jose.exportJWK(publicKey) };
        }
        Object.assign(keys[alg].jwk, { alg, kid, use: 'sig' });
    }
    return keys;
}

async function make(path, issuer, audience, trap) {
    const keys = await makeKeys();
    const open = keys.RS256; // its `alg` is left out, as large issuers do
    delete open.jwk.alg;
    writeFileSync(path, JSON.stringify({ keys: [...Object.values(keys).map((key) => key.jwk), { kty: 'RSA', use: 'enc', alg: 'RSA-OAEP', n: 'AQAB', e: 'AQAB' }] }), { mode: 0o600 });

    const claims = { iss: issuer, aud: audience, sub: 'orders', iat: now, exp: now + 600 };
    const { good, edges } = await makeGood(keys, claims);
    const forged = await makeForged(keys, claims, trap);
    process.stdout.write(JSON.stringify({ good: [...good, ...edges], forged }));
}

async function makeGood(keys, claims) {
    const good = [];
    for (const { alg, kid, privateKey } of Object.values(keys)) {
        const token = await new jose.SignJWT(claims).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(privateKey);
        good.push([`jose ${alg}`, token]);
        if (alg !== 'EdDSA') { // jsonwebtoken has none
            good.push([`jsonwebtoken ${alg}`, jsonwebtoken.sign(claims, privateKey, { algorithm: alg, keyid: kid })]);
        }
    }
    const { kid, privateKey } = keys.ES256;
    const sign = (changed, header = {}) => new jose.SignJWT({ ...claims, ...changed }).setProtectedHeader({ alg: 'ES256', kid, ...header }).sign(privateKey);
    const edges = [
        ['an access token', await sign({}, { typ: 'at+jwt' })],
        ['for several', await sign({ aud: ['bank', claims.aud] })],
        ['more claims', await sign({ scope: 'all', roles: ['a', 'b'], name: '\u00e4\u{1f680}', nested: { a: [1, null, { b: 2.5 }] } })],
        ['expired, within the leeway', await sign({ iat: now - 90, exp: now - 30 })],
        ['not yet, within the leeway', await sign({ nbf: now + 30, iat: now + 30 })],
        ['fractions of seconds', await sign({ exp: now + 600.5, iat: now - 0.25 })],
        ['the right key, and a jku that nobody asked', await sign({}, { jku: 'http://127.0.0.1:9/' })],
        ['jsonwebtoken, noTimestamp', jsonwebtoken.sign({ iss: claims.iss, aud: claims.aud, sub: 'orders' }, privateKey, { algorithm: 'ES256', keyid: kid, noTimestamp: true, expiresIn: '5m' })],
    ];
    return { good, edges };
}

async function makeForged(keys, claims, trap) {
    const { kid, privateKey } = keys.ES256;
    const stranger = await jose.generateKeyPair('ES256', { extractable: true });
    const strangerRsa = await jose.generateKeyPair('RS256', { extractable: true });
    const strangerJwk = await jose.exportJWK(stranger.publicKey);
    const pem = await jose.exportSPKI(keys.RS256.publicKey);
    const point = crypto.createPublicKey({ key: keys.ES256.jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' });
    const sign = (changed, header = {}, key = privateKey) =>
        new jose.SignJWT({ ...claims, ...changed }).setProtectedHeader({ alg: 'ES256', kid, ...header }).sign(key);
    const byStranger = (header) => sign({}, header, stranger.privateKey);
    const node = crypto.KeyObject.from ? privateKey : privateKey;
    const ecdsa = (format) => (input) => crypto.sign('sha256', Buffer.from(input), { key: node, dsaEncoding: format });
    const es = (header, payload) => raw(header, payload, ecdsa('ieee-p1363'));
    const good = await sign({});
    const [head, body, signature] = good.split('.');
    const bytes = Buffer.from(signature, 'base64url');
    const rsa = { alg: 'HS256', kid: keys.RS256.kid };

    const list = [
        // not signed
        ['jose, unsecured', new jose.UnsecuredJWT(claims).encode()],
        ['jsonwebtoken, none', jsonwebtoken.sign(claims, null, { algorithm: 'none' })],
        ...['none', 'None', 'NONE', 'nOnE', 'none ', '\tnone', 'n\u043ene', ''].map((alg) => [`alg '${alg}'`, raw({ alg, kid }, claims)]),
        ['alg none, good signature', `${encode({ alg: 'none', kid })}.${body}.${signature}`],
        ['alg missing', raw({ kid }, claims)],
        ['alg null', raw({ alg: null, kid }, claims)],
        ['alg a list', raw({ alg: ['ES256'], kid }, claims)],
        ['signature stripped', `${head}.${body}.`],
        ['signature and dot stripped', `${head}.${body}`],
        // one algorithm for another
        ['RS256 to HS256 with the PEM', raw(rsa, claims, hmac(pem))],
        ['RS256 to HS256 with the PEM, trimmed', raw(rsa, claims, hmac(pem.trim()))],
        ['RS256 to HS256 with the JWK', raw(rsa, claims, hmac(JSON.stringify(keys.RS256.jwk)))],
        ['RS256 to HS256 with the modulus', raw(rsa, claims, hmac(Buffer.from(keys.RS256.jwk.n, 'base64url')))],
        ['ES256 to HS256 with DER', raw({ alg: 'HS256', kid }, claims, hmac(point))],
        ['PEM as the secret', raw({ alg: 'HS256', kid: keys.HS256.kid }, claims, hmac(pem))],
        ['empty secret', raw({ alg: 'HS256', kid: keys.HS256.kid }, claims, hmac(''))],
        ['zeros as the secret', raw({ alg: 'HS256', kid: keys.HS256.kid }, claims, hmac(Buffer.alloc(32)))],
        ['the kid as the secret', raw({ alg: 'HS256', kid: keys.HS256.kid }, claims, hmac(keys.HS256.kid))],
        ['HS512', raw({ alg: 'HS512', kid: keys.HS256.kid }, claims, hmac(keys.HS256.secret, 'sha512'))],
        ['HS512 said to be HS256', raw({ alg: 'HS256', kid: keys.HS256.kid }, claims, hmac(keys.HS256.secret, 'sha512'))],
        ['a key without alg, for PS256', await new jose.SignJWT(claims).setProtectedHeader({ alg: 'PS256', kid: keys.RS256.kid }).sign(keys.PS256.privateKey)],
        ['a key for PS256, for RS256', await new jose.SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: keys.PS256.kid }).sign(keys.RS256.privateKey)],
        ['jsonwebtoken RS512', jsonwebtoken.sign(claims, keys.RS256.privateKey, { algorithm: 'RS512', keyid: keys.RS256.kid })],
        // which key
        ['unknown kid', await sign({}, { kid: 'nobody' })],
        ['no kid among several', await sign({}, { kid: undefined })],
        ['kid in capitals', await sign({}, { kid: kid.toUpperCase() })],
        ['kid goes up', raw({ alg: 'HS256', kid: '../../../../../../dev/null' }, claims, hmac(''))],
        ['kid is SQL', raw({ alg: 'HS256', kid: "x' UNION SELECT 'a" }, claims, hmac('a'))],
        ['kid with a NUL', es({ alg: 'ES256', kid: `${kid}\u0000` }, claims)],
        ['kid a list', es({ alg: 'ES256', kid: [kid] }, claims)],
        ['kid a number', es({ alg: 'ES256', kid: 0 }, claims)],
        ['kid of 2,000 letters', es({ alg: 'ES256', kid: 'k'.repeat(2000) }, claims)],
        ['kid is the trap', await byStranger({ kid: `${trap}/kid` })],
        ['kid twice', es(`{"alg":"ES256","kid":"x","kid":"${kid}"}`, claims)],
        ['of a stranger', await byStranger({})],
        ['of a stranger, RS256', await new jose.SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: keys.RS256.kid }).sign(strangerRsa.privateKey)],
        // keys that it brings along
        ['jku', await byStranger({ jku: `${trap}/jku` })],
        ['jku and another kid', await byStranger({ kid: 'elsewhere', jku: `${trap}/jku-kid` })],
        ['x5u', await byStranger({ x5u: `${trap}/x5u` })],
        ['jku, x5u and an issuer there', await sign({ iss: trap }, { jku: `${trap}/both`, x5u: `${trap}/both` }, stranger.privateKey)],
        ['jwk', await byStranger({ jwk: strangerJwk })],
        ['jwk without a kid', await byStranger({ kid: undefined, jwk: strangerJwk })],
        ['x5c', await byStranger({ x5c: [Buffer.from('certificate').toString('base64')] })],
        // what must be understood, and other forms
        ['crit', es({ alg: 'ES256', kid, crit: ['x'], x: 1 }, claims)],
        ['crit b64', await new jose.CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader({ alg: 'ES256', kid, b64: true, crit: ['b64'] }).sign(privateKey)],
        ['crit of nothing', es({ alg: 'ES256', kid, crit: [] }, claims)],
        ['JSON, flattened', JSON.stringify(await new jose.FlattenedSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey))],
        ['JSON, general', JSON.stringify(await new jose.GeneralSign(Buffer.from(JSON.stringify(claims))).addSignature(privateKey).setProtectedHeader({ alg: 'ES256', kid }).sign())],
        ['encrypted', await new jose.EncryptJWT(claims).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: keys.HS256.kid }).encrypt(keys.HS256.secret)],
        ['nested', es({ alg: 'ES256', kid, cty: 'JWT' }, good)],
        ['typ of a logout', await sign({}, { typ: 'logout+jwt' })],
        ['Bearer', `Bearer ${good}`],
        ['a part more', `${good}.${signature}`],
        ['a newline', `${good}\n`],
        ['padded', `${good}==`],
        ['plain base64', `${head}.${body}.${bytes.toString('base64')}`],
        ['too long', await sign({ filler: 'x'.repeat(4096) })],
        // signatures
        ['r = s = 0', `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`],
        ['DER', raw({ alg: 'ES256', kid }, claims, ecdsa('der'))],
        ['cut off', `${head}.${body}.${bytes.subarray(0, 63).toString('base64url')}`],
        ['longer', `${head}.${body}.${Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64url')}`],
        ['a letter changed', `${head}.${body}.${signature.slice(0, 9)}${signature[9] === 'A' ? 'B' : 'A'}${signature.slice(10)}`],
        ['of another payload', `${head}.${encode({ ...claims, sub: 'bank' })}.${signature}`],
        ['of another header', `${encode({ alg: 'ES256', kid, typ: 'JWT' })}.${body}.${signature}`],
        // claims
        ['expired', await sign({ iat: now - 700, exp: now - 61 })],
        ['jsonwebtoken, expired', jsonwebtoken.sign({ ...claims, iat: now - 700, exp: now - 100 }, privateKey, { algorithm: 'ES256', keyid: kid })],
        ['not yet', await sign({ nbf: now + 120 })],
        ['issued tomorrow', await sign({ iat: now + 86400, exp: now + 90000 })],
        ['no exp', await sign({ exp: undefined })],
        ['exp a text', es({ alg: 'ES256', kid }, { ...claims, exp: String(now + 600) })],
        ['exp in milliseconds', es({ alg: 'ES256', kid }, { ...claims, exp: (now + 600) * 1000 })],
        ['exp too large', es({ alg: 'ES256', kid }, JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e400'))],
        ['exp twice', es({ alg: 'ES256', kid }, JSON.stringify(claims).replace('{', `{"exp":1,`))],
        ['another issuer', await sign({ iss: 'https://issuer.example.evil' })],
        ['no issuer', await sign({ iss: undefined })],
        ['another audience', await sign({ aud: 'bank' })],
        ['no audience', await sign({ aud: undefined })],
        ['audience of nobody', es({ alg: 'ES256', kid }, { ...claims, aud: [] })],
        ['for nobody', await sign({ sub: undefined })],
        ['for no name', await sign({ sub: 'Orders' })],
        ['for a made-up name', await sign({ sub: 'orders-7f3a' })],
        ['for a name with a newline', await sign({ sub: 'orders\n' })],
        ['sub twice', es({ alg: 'ES256', kid }, JSON.stringify(claims).replace('{', '{"sub":"bank",'))],
        ['claims a list', es({ alg: 'ES256', kid }, [claims])],
    ];
    return list;
}

async function verify(path, issuer, audience) {
    const set = JSON.parse(readFileSync(path, 'utf8'));
    for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
        const { algorithm, token } = JSON.parse(line);
        const expected = { issuer, audience, algorithms: [algorithm] };
        const { kid } = jose.decodeProtectedHeader(token);
        const jwk = set.keys.find((key) => key.kid === kid);
        const { payload } = await jose.jwtVerify(token, await jose.importJWK(jwk, algorithm), expected);
        const said = { algorithm, jose: payload.sub };
        if (algorithm !== 'EdDSA') {
            const key = jwk.kty === 'oct' ? Buffer.from(jwk.k, 'base64url') : crypto.createPublicKey({ key: jwk, format: 'jwk' });
            said.jsonwebtoken = jsonwebtoken.verify(token, key, expected).sub;
        }
        process.stdout.write(`${JSON.stringify(said)}\n`);
    }
}

const [deed, ...rest] = process.argv.slice(2);
await { make, verify }[deed](...rest);
