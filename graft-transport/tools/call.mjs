// A client of graft in another language, written from WIRE.md alone, over the WebSocket that Node has built in.
//   node call.mjs ws://127.0.0.1:PORT/
// The server is the example serve_websocket. Makes calls, reads a stream with credit, and breaks the rules once.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

const [url] = process.argv.slice(2);
assert(url, "give the URL of the example serve_websocket");

const HELLO = 0, BIND = 1, REQUEST = 3, REPLY = 4, FAULT = 5, ITEM = 7, END = 8, CREDIT = 9, HEALTH = 13, HEALTHY = 14, GOODBYE = 16;
const WINDOW = 16 << 10;
const SERVICE = Buffer.alloc(32, 0xc0), PORTS = Buffer.alloc(32, 0xc1);
const method = (name) => createHash("sha256").update(`Conformance.${name}`).digest().subarray(0, 8);

// Little-endian numbers, bytes as they are.
const le = (bytes, number) => {
  const out = Buffer.alloc(bytes);
  if (bytes === 8) out.writeBigUInt64LE(BigInt(number)); else out.writeUIntLE(number, 0, bytes);
  return out;
};
const frame = (type, ...fields) => {
  const body = Buffer.concat([Buffer.of(type), ...fields]);
  return Buffer.concat([le(4, body.length), body]);
};
// Postcard: a string is its length in LEB128 and its bytes.
const leb128 = (number) => {
  const out = [];
  for (; number > 127; number >>>= 7) out.push(number & 127 | 128);
  return Buffer.of(...out, number);
};
const string = (text) => Buffer.concat([leb128(Buffer.byteLength(text)), Buffer.from(text)]);
const unstring = (bytes) => {
  let at = 0, length = 0;
  do length += (bytes[at] & 127) * 2 ** (7 * at); while (bytes[at++] & 128);
  assert.equal(bytes.length, at + length);
  return bytes.subarray(at).toString();
};

class Client {
  static async open(protocols = "graft.v1") {
    const client = new Client();
    client.socket = new WebSocket(url, protocols);
    client.socket.binaryType = "arraybuffer";
    client.bytes = Buffer.alloc(0);
    client.frames = [];
    client.waiting = null;
    client.socket.addEventListener("message", ({ data }) => client.take(Buffer.from(data)));
    client.closed = new Promise((resolve) => client.socket.addEventListener("close", resolve));
    client.closed.then(() => client.waiting?.(null));
    await new Promise((resolve, reject) => {
      client.socket.addEventListener("open", resolve);
      client.socket.addEventListener("error", () => reject(new Error("no WebSocket")));
    });
    return client;
  }

  // Where a message begins or ends means nothing.
  take(bytes) {
    this.bytes = Buffer.concat([this.bytes, bytes]);
    while (this.bytes.length >= 4 && this.bytes.length >= 4 + this.bytes.readUInt32LE(0)) {
      const end = 4 + this.bytes.readUInt32LE(0);
      const frame = { type: this.bytes[4], fields: this.bytes.subarray(5, end) };
      this.bytes = this.bytes.subarray(end);
      if (frame.type === HEALTH) this.send(frame(HEALTHY, Buffer.of(1)));
      else if (this.waiting) { const taken = this.waiting; this.waiting = null; taken(frame); }
      else this.frames.push(frame);
    }
  }

  async next(...types) {
    for (;;) {
      const next = this.frames.shift() ?? await new Promise((resolve) => { this.waiting = resolve; });
      assert(next, "the connection ended");
      if (types.includes(next.type)) return next;
    }
  }

  send(bytes) { this.socket.send(bytes); }

  hello() {
    this.send(frame(HELLO, Buffer.from("grft"), le(2, 1), le(4, 1 << 20), le(4, 64), le(4, 4), le(4, WINDOW), le(4, WINDOW), le(4, 1000)));
  }

  request(number, index, name, body) {
    this.send(frame(REQUEST, le(8, number), le(2, 0), le(2, index), method(name), Buffer.alloc(16, 7), le(8, number), body));
  }
}

const late = setTimeout(() => { console.error("not within 30 s"); process.exit(1); }, 30_000);

// Hellos, one bind for each service, and calls, of which an answer may be a value, the method's error or a fault.
const client = await Client.open();
client.hello();
const { fields: hello } = await client.next(HELLO);
assert.equal(hello.length, 30);
assert.equal(hello.subarray(0, 4).toString(), "grft");
assert.equal(hello.readUInt16LE(4), 1);
client.send(frame(BIND, le(2, 0), SERVICE));
client.send(frame(BIND, le(2, 1), PORTS));

const long = "grün €😀 ".repeat(20_000);
for (const [number, text] of ["", "hello", long].entries()) {
  client.request(number, 0, "echo", string(text));
  const { fields } = await client.next(REPLY);
  assert.equal(fields.readBigUInt64LE(0), BigInt(number));
  assert.equal(fields[8], 0);
  assert.equal(unstring(fields.subarray(9)), text);
}
client.request(10, 0, "fail", string("no funds"));
const { fields: failed } = await client.next(REPLY);
assert.deepEqual([failed[8], unstring(failed.subarray(9))], [1, "no funds"]);
client.request(11, 0, "unknown", string(""));
const { fields: fault } = await client.next(FAULT);
assert.deepEqual([fault.readBigUInt64LE(0), fault[8]], [11n, 7]);

// Cut at every byte it is the same request.
{
  const whole = frame(REQUEST, le(8, 12), le(2, 0), le(2, 0), method("echo"), Buffer.alloc(16, 7), le(8, 12), string("cut"));
  for (const byte of whole) client.send(Buffer.of(byte));
  const { fields } = await client.next(REPLY);
  assert.equal(unstring(fields.subarray(9)), "cut");
}

// A stream of 1000 items of 1 KiB through a window of 16 KiB: the enumeration's variant 0 is a text, 1 a stream.
client.request(20, 1, "count", Buffer.concat([Buffer.of(0), string("1000 1024")]));
{
  const { fields } = await client.next(REPLY);
  assert.deepEqual([fields[8], fields[9], fields[10]], [4, 1, 0], "one port, which is a stream");
  const stream = fields.readBigUInt64LE(11);
  assert.deepEqual([...fields.subarray(19)], [1, 0]);
  let count = 0, owed = 0, unacknowledged = 0;
  for (;;) {
    const { type, fields } = await client.next(ITEM, END);
    assert.equal(fields.readBigUInt64LE(0), stream);
    if (type === END) { assert.equal(fields[8], 0); break; }
    assert.equal(unstring(fields.subarray(8)), String(count++).padStart(1024, "0"));
    owed += fields.length - 8 + 64;
    unacknowledged += fields.length - 8 + 64;
    assert(unacknowledged <= WINDOW * 1.5, "the server went beyond its credit");
    if (owed >= WINDOW / 2) {
      client.send(frame(CREDIT, le(8, stream), le(4, owed)));
      client.send(frame(CREDIT, le(8, 0), le(4, owed)));
      unacknowledged -= owed;
      owed = 0;
    }
  }
  assert.equal(count, 1000);
}

// Health is answered, and goodbye is said back.
client.send(frame(HEALTH));
assert.deepEqual([...(await client.next(HEALTHY)).fields], [1]);
client.send(frame(GOODBYE, Buffer.of(0)));
client.socket.close(1000);
await client.closed;

// Whoever breaks a rule is told which: an answer to a call that nobody made is reason 6.
const rude = await Client.open();
rude.hello();
rude.send(frame(REPLY, le(8, 5), Buffer.of(0)));
assert.deepEqual([...(await rude.next(GOODBYE)).fields], [6]);
rude.socket.close(1000);
await rude.closed;

// Text is no handshake: the WebSocket ends with 1003.
const text = await Client.open();
text.send("grft");
assert.equal((await text.closed).code, 1003);

clearTimeout(late);
console.log(`node ${process.version}: calls, errors, a stream with credit, health and reasons as WIRE.md says`);
process.exit(0);
