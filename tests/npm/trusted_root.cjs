// Reads a trusted_root.json as sigstore-js does, and verifies a time stamp over a signature by it.
"use strict";
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const [packages, root, token, signature] = process.argv.slice(2);
const load = createRequire(packages + "/package.json");
const fromVerify = createRequire(load.resolve("@sigstore/verify"));
const { TrustedRoot } = fromVerify("@sigstore/protobuf-specs");
const { toTrustMaterial } = load("@sigstore/verify");
const { verifyRFC3161Timestamp } = fromVerify("./timestamp/tsa.js");
const { RFC3161Timestamp } = fromVerify("@sigstore/core");

const trusted = TrustedRoot.fromJSON(JSON.parse(readFileSync(root, "utf8")));
const material = toTrustMaterial(trusted);
const stamp = RFC3161Timestamp.parse(readFileSync(token));
verifyRFC3161Timestamp(stamp, readFileSync(signature), material.timestampAuthorities);
console.log(
  JSON.stringify({
    authorities: material.timestampAuthorities.length,
    certificates: material.timestampAuthorities[0].certChain.length,
    time: stamp.signingTime.toISOString(),
  }),
);
