// Talks to a graft WebSocket with the WebSocket that Node has built in, which is also the one of browsers.
//   node websocket.mjs ws://127.0.0.1:PORT/ [echo]
// Checks the subprotocol, what a text message leads to, who is refused, and health. With `echo`, which the
// example echo_bytes is for and a graft server is not, also that bytes come back as they went.
import assert from "node:assert/strict";

const [url, kind] = process.argv.slice(2);
assert(url, "give the URL of a graft WebSocket");
const http = url.replace(/^ws/, "http").replace(/\/$/, "");

// A promise for the next event of a name; an error while one waits for anything else fails.
function next(socket, name) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${name} within 20 s`)), 20_000);
    const settle = (how) => (event) => { clearTimeout(late); how(event); };
    socket.addEventListener(name, settle(resolve), { once: true });
    if (name !== "error") socket.addEventListener("error", settle(() => reject(new Error(`error before ${name}`))), { once: true });
  });
}

async function open() {
  const socket = new WebSocket(url, "graft.v1");
  socket.binaryType = "arraybuffer";
  await next(socket, "open");
  assert.equal(socket.protocol, "graft.v1");
  return socket;
}

// Whoever does not ask for the subprotocol gets no WebSocket.
await next(new WebSocket(url), "error");
await next(new WebSocket(url, "chat"), "error");

// Nor does a page that the host did not list. (Node lets one set what browsers set by themselves.)
await next(new WebSocket(url, { protocols: ["graft.v1"], headers: { Origin: "https://stranger.example" } }), "error");

// A text message is told what it is.
{
  const socket = await open();
  const closed = next(socket, "close");
  socket.send("hello");
  const { code, wasClean } = await closed;
  assert.deepEqual({ code, wasClean }, { code: 1003, wasClean: true });
}

if (kind === "echo") {
  const socket = await open();
  const sent = Uint8Array.from({ length: (1 << 20) + 7 }, (_, i) => (i * 31) >> 3);
  const got = new Uint8Array(sent.length);
  let at = 0;
  const all = new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      got.set(new Uint8Array(data), at);
      at += data.byteLength;
      if (at === sent.length) resolve();
    });
  });
  socket.send(new Uint8Array(0));
  for (let from = 0, size = 1; from < sent.length; from += size, size = Math.min(size * 3, 1 << 19)) {
    socket.send(sent.subarray(from, from + size));
  }
  await all;
  assert.deepEqual(Buffer.compare(got, sent), 0, "the bytes are the same");
  const closed = next(socket, "close");
  socket.close(1000);
  const { code, wasClean } = await closed;
  assert.deepEqual({ code, wasClean }, { code: 1000, wasClean: true });
}

// Health is there for whoever asks, and nothing else is.
const status = async (path, init) => (await fetch(http + path, init)).status;
const health = await fetch(`${http}/v1/health`);
assert.deepEqual([health.status, await health.text()], [200, "ok"]);
assert.equal(await status("/v1/health", { method: "POST" }), 405);
assert.equal(await status("/v1/other"), 404);
assert.equal(await status("/"), 426);
console.log(`node ${process.version}: ${kind === "echo" ? "bytes, " : ""}subprotocol, origin, text, health as they should be`);
