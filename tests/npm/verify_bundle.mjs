// Verifies Sigstore bundles with a bare public key: one JSON request a line ({bundle, hint, pem}), one answer a line.
import { createPublicKey } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.argv[2] + "/");
const { bundleFromJSON } = require("@sigstore/bundle");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const nothing = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
const thresholds = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };

for await (const line of createInterface({ input: process.stdin })) {
  const { bundle, hint, pem } = JSON.parse(line);
  let answer = "accepted";
  try {
    const keys = { [hint]: { publicKey: createPublicKey(pem), validFor: () => true } };
    const find = (wanted) => {
      if (!keys[wanted]) throw new Error(`no key ${wanted}`);
      return keys[wanted];
    };
    const verifier = new Verifier(toTrustMaterial(nothing, find), thresholds);
    verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(bundle))));
  } catch (error) {
    answer = `refused: ${error.message}`;
  }
  console.log(JSON.stringify(answer));
}
