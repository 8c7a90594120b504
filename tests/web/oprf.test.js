// The oblivious function's client: nothing but the announced key's own answer passes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, fromHex, random, toHex } from "../../api/web/src/client/bytes.js";
import {
  blind,
  element,
  scalarFromUniform,
  unblind,
  verifyProof,
} from "../../api/web/src/client/crypto/oprf.js";
import { vectors } from "./files.js";
import { refused } from "./refusals.js";

const LOOKUP = vectors("lookup-v1");
const [ITEM] = LOOKUP.items;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const PUBLIC = fromHex(LOOKUP.public_key);
const BLINDED = LOOKUP.items.map((item) => fromHex(item.blinded));
const EVALUATED = LOOKUP.items.map((item) => fromHex(item.evaluated));
const PROOF = fromHex(LOOKUP.batch.proof);
const ZERO = new Uint8Array(32);

const scalar = (n) => fromHex(n.toString(16).padStart(64, "0")).reverse();
const changed = (bytes, at, flip = 1) => bytes.map((byte, i) => (i === at ? byte ^ flip : byte));
const reversed = (list) => [...list].reverse();
const badProof = (...given) => refused("bad-proof", () => verifyProof(...given));

// RFC 9496, appendix A.2: encodings of no element.
const NO_ELEMENTS = [
  "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
  "c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562",
  "c940e5a4404157cfb1628b108db051a8d439e1a421394ec4ebccb9ec92a8ac78",
  "47cfc5497c53dc8e61c91d17fd626ffb1c49e2bca94eed052281b510b1117a24",
  "f1c6165d33367351b0da8f6e4511010c68174a03b6581212c71c0e1d026c3c72",
  "87260f7a2f12495118360f02c26a470f450dadf34a413d21042b43b9d93e1309",
  "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
  "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
  "de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b",
  "bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042",
  "2a292df7e32cababbd9de088d1d1abec9fc0440f637ed2fba145094dc14bea08",
  "f4a9e534fc0d216c44b218fa0c42d99635a0127ee2e53c712f70609649fdff22",
  "8268436f8c4126196cf64b3c7ddbda90746a378625f9813dd9b8457077256731",
  "2810e5cbc2cc4d4eece54f61c6f69758e289aa7ab440b3cbeaa21995c2f4232b",
  "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
  "a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220",
  "d483fe813c6ba647ebbfd3ec41adca1c6130c2beeee9d9bf065c8d151c5f396e",
  "8a2e1d30050198c65a54483123960ccc38aef6848e1ec8f5f780e8523769ba32",
  "32888462f8b486c68ad7dd9610be5192bbeaf3b443951ac1a8118419d9fa097b",
  "227142501b9d4355ccba290404bde41575b037693cef1f438c47f8fbf35d1165",
  "5c37cc491da847cfeb9281d407efc41e15144c876e0170b499a96a22ed31e01e",
  "445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

test("what encodes no element is refused", () => {
  for (const text of NO_ELEMENTS) {
    refused("invalid-element", () => element(fromHex(text)));
  }
  for (const bytes of [ZERO, new Uint8Array(0), new Uint8Array(31), new Uint8Array(33)]) {
    refused("invalid-element", () => element(bytes));
  }
});

test("a second encoding of an element is refused", () => {
  for (const bytes of [PUBLIC, ...BLINDED]) {
    refused("invalid-element", () => element(changed(bytes, 31, 0x80)));
  }
});

test("an element is accepted as it is written", () => {
  for (const bytes of [PUBLIC, ...BLINDED]) {
    assert.equal(toHex(element(bytes).toBytes()), toHex(bytes));
  }
});

test("a blind is 64 uniform bytes reduced, and never zero", () => {
  assert.equal(scalarFromUniform(concat(scalar(7n), ZERO)), 7n);
  assert.equal(scalarFromUniform(concat(scalar(ORDER + 7n), ZERO)), 7n);
  assert.equal(scalarFromUniform(new Uint8Array(64).fill(255)), (2n ** 512n - 1n) % ORDER);
  for (const bytes of [new Uint8Array(64), concat(scalar(ORDER), ZERO), ZERO]) {
    refused("invalid-scalar", () => scalarFromUniform(bytes));
  }
});

test("what is sent is another each time, and the token the same", () => {
  const input = fromHex(ITEM.stretched);
  const [one, other] = [0, 0].map(() => blind(input, scalarFromUniform(random(64))));
  assert.notEqual(toHex(one), toHex(other));
  // With the key 1 an evaluation is what was sent.
  const tokens = [3n, ORDER - 1n].map((r) => toHex(unblind(blind(input, r), r)));
  assert.equal(tokens[0], tokens[1]);
});

test("an answer that is no element gives no token", () => {
  refused("invalid-element", () => unblind(ZERO, 5n));
});

test("a proof holds for its own batch, in its own order, alone", () => {
  verifyProof(PUBLIC, BLINDED, EVALUATED, PROOF);
  badProof(PUBLIC, BLINDED.slice(1), EVALUATED.slice(1), PROOF);
  badProof(PUBLIC, reversed(BLINDED), EVALUATED, PROOF);
  badProof(PUBLIC, reversed(BLINDED), reversed(EVALUATED), PROOF);
  badProof(PUBLIC, BLINDED, EVALUATED.slice(1), PROOF);
  badProof(PUBLIC, [], [], PROOF);
});

test("another key's answer is refused", () => {
  badProof(fromHex(LOOKUP.rotation.public_key), BLINDED, EVALUATED, PROOF);
  badProof(PUBLIC, [BLINDED[0]], [EVALUATED[1]], fromHex(ITEM.proof));
});

test("a changed bit anywhere makes a proof bad", () => {
  for (let at = 0; at < 64; at++) {
    badProof(PUBLIC, BLINDED, EVALUATED, changed(PROOF, at, 1 << (at % 8)));
  }
  badProof(changed(PUBLIC, 3), BLINDED, EVALUATED, PROOF);
});

test("scalars that are not canonical, and other lengths, make a proof bad", () => {
  const [c, s] = [PROOF.subarray(0, 32), PROOF.subarray(32)];
  const over = (bytes) => scalar(BigInt(`0x${toHex(bytes.slice().reverse())}`) + ORDER);
  badProof(PUBLIC, BLINDED, EVALUATED, concat(over(c), s));
  badProof(PUBLIC, BLINDED, EVALUATED, concat(c, over(s)));
  badProof(PUBLIC, BLINDED, EVALUATED, new Uint8Array(64));
  badProof(PUBLIC, BLINDED, EVALUATED, PROOF.subarray(1));
  badProof(PUBLIC, BLINDED, EVALUATED, concat(PROOF, ZERO));
});

// By the key of the vectors, with 0 where a random number belongs: the neutral element comes up twice.
const NEUTRAL =
  "53c65bdb67a566f88ed615d202000ee4624b800eb3026291cd26b14a90c17b03" +
  "8c12c1fdd9fb18deb4b8ceee3f35241ab7c4ef83ee8f908ceed84b8f42c6720d";

test("a proof that meets the neutral element on its way is one like others", () => {
  verifyProof(PUBLIC, BLINDED, EVALUATED, fromHex(NEUTRAL));
  const k = BigInt(`0x${toHex(fromHex(LOOKUP.secret_key).reverse())}`);
  const [c, s] = [scalar(12345n), scalar(ORDER - ((12345n * k) % ORDER))];
  for (const proof of [concat(c, s), concat(c, ZERO), concat(ZERO, c), concat(ZERO, ZERO)]) {
    badProof(PUBLIC, BLINDED, EVALUATED, proof);
  }
});

test("what is no element makes a proof bad wherever it stands", () => {
  for (const bytes of [ZERO, ...NO_ELEMENTS.slice(0, 3).map(fromHex), new Uint8Array(31)]) {
    badProof(bytes, BLINDED, EVALUATED, PROOF);
    badProof(PUBLIC, [bytes, ...BLINDED.slice(1)], EVALUATED, PROOF);
    badProof(PUBLIC, BLINDED, [bytes, ...EVALUATED.slice(1)], PROOF);
  }
});
