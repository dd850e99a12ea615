"""Writes tests/golden from WIRE.md alone: a second implementation of the format, so that a mistake in the first
does not make its own test. Run it from the directory of the crate: `python3 tools/golden.py`."""

import pathlib
import shutil


def le(number, size):
    return number.to_bytes(size, "little")


def frame(kind, *rows):
    """Rows of (bytes, what they mean), with length and type in front."""
    number = KINDS.index(kind)
    length = 1 + sum(len(part) for part, _ in rows)
    return [(le(length, 4), f"length {length}"), (bytes([number]), f"type: {kind}"), *rows]


KINDS = ["hello", "bind", "bound", "request", "reply", "fault", "cancel", "item", "end", "credit", "stop",
         "release", "renew", "health", "healthy", "drain", "goodbye"]


def u8(n, what):
    return (le(n, 1), f"{what} {n}")


def u16(n, what):
    return (le(n, 2), f"{what} {n}")


def u32(n, what):
    return (le(n, 4), f"{what} {n}")


def u64(n, what):
    return (le(n, 8), f"{what} {n}")


def hello(version=1, frame_limit=4 << 20, stream_window=256 << 10, window=4 << 20):
    return frame(
        "hello", (b"grft", "magic"), (le(version, 2), f"version {version}"), u32(frame_limit, "longest frame"),
        u32(1024, "unanswered calls"), u32(256, "streams"), u32(stream_window, "window of a stream"),
        u32(window, "window of all streams"), u32(60_000, "lease in ms"))


INTERFACE = (bytes(range(32)), "interface id")
TRACE_ID = (bytes(range(0x20, 0x30)), "trace id")
BODY = (b"\x05hello", "body")
LABEL = b"\x01\x01\x01\x01\x0aweb-search"


def bind(index=0, interface=INTERFACE):
    return frame("bind", u16(index, "index"), interface)


FLAGS = ["parent", "deadline", "trace", "credential", "label", "headers", "handle", "ports"]


def part(content, what):
    return [(le(len(content), 2), f"{what} length"), (content, what)]


def header_rows(headers):
    rows = []
    for name, value in headers:
        rows += [(le(len(name), 1), "name length"), (name, "name"), (le(len(value), 2), "value length"), (value, "value")]
    return [(le(sum(len(row) for row, _ in rows), 2), "headers length"), *rows]


def port_rows(ports):
    rows = [u8(len(ports), "ports")]
    for kind, number in ports:
        rows += [(le(kind, 1), ["stream", "object"][kind] if kind < 2 else f"port kind {kind}"), u64(number, "number")]
    return rows


TRACE_ROWS = [TRACE_ID, (bytes(range(0x30, 0x38)), "span id"), (b"\x01", "trace flags: sampled")]
PARTS = {
    "parent": lambda value: [u64(value, "parent")],
    "deadline": lambda value: [(le(value, 8), f"remaining {value} us")],
    "trace": lambda value: value,
    "credential": lambda value: value if isinstance(value, list) else part(value, "credential"),
    "label": lambda value: value if isinstance(value, list) else part(value, "label"),
    "headers": lambda value: value if value and isinstance(value[0][1], str) else header_rows(value),
    "handle": lambda value: [u64(value, "object")],
    "ports": lambda value: value if value and isinstance(value[0][1], str) else port_rows(value),
}


def request(number=7, index=0, body=BODY, idempotent=False, more_flags=0, no_flag=(), **parts):
    flags = more_flags | (256 if idempotent else 0)
    rows = []
    for bit, name in enumerate(FLAGS):
        if name in parts:
            flags |= 0 if name in no_flag else 1 << bit
            rows += PARTS[name](parts[name])
    names = [name for name in FLAGS if name in parts and name not in no_flag] + (["idempotent"] if idempotent else [])
    return frame(
        "request", u64(number, "call number"), (le(flags, 2), "flags: " + (", ".join(names) or "none")),
        u16(index, "interface"), (bytes(range(0xA0, 0xA8)), "method id"), (b"\x11" * 16, "run id"),
        u64(3, "call id"), *rows, *([body] if body else []))


def reply(number=7, error=False, label=None, ports=None, body=BODY, more_flags=0):
    rows, flags, names = [], more_flags, []
    if error:
        flags |= 1
        names.append("error")
    if label is not None:
        flags |= 2
        names.append("label")
        rows += PARTS["label"](label)
    if ports is not None:
        flags |= 4
        names.append("ports")
        rows += PARTS["ports"](ports)
    return frame(
        "reply", u64(number, "call number"), (le(flags, 1), "flags: " + (", ".join(names) or "none")), *rows,
        *([body] if body else []))


def fault(number=7, code=17):
    return frame("fault", u64(number, "call number"), u8(code, "code"), TRACE_ID)


def cancel(number=7):
    return frame("cancel", u64(number, "call number"))


def item(stream=1, body=(b"\x05hello", "item")):
    return frame("item", u64(stream, "stream"), *([body] if body else []))


def end(stream=1, code=0):
    return frame("end", u64(stream, "stream"), u8(code, "code"))


def credit(stream, count):
    return frame("credit", u64(stream, "stream"), u32(count, "bytes"))


def stop(stream=1):
    return frame("stop", u64(stream, "stream"))


HEADERS = [(b"baggage", b"tenant=7"), (b"tracestate", b"a=1,b=2")]

# name: (what it is, bytes of body at its end, the frame)
FRAMES = {
    "hello": ("both sides, first", hello()),
    "bind": ("an interface gets the number 0", bind()),
    "bound": ("it is hosted for everybody", frame("bound", u16(0, "index"), (b"\x01", "hosted"))),
    "bound_not": ("it is not", frame("bound", u16(0, "index"), (b"\x00", "not hosted"))),
    "request": ("a request with everything set", request(
        parent=2, deadline=1_500_000, trace=TRACE_ROWS, credential=b"token", label=LABEL, headers=HEADERS,
        handle=9, ports=[(0, 1), (1, 5)], idempotent=True)),
    "request_bare": ("a request with nothing optional and no body", request(number=0, body=None)),
    "request_parent": ("a request with a parent", request(parent=2)),
    "request_deadline": ("a request with a deadline", request(deadline=1_500_000)),
    "request_deadline_passed": ("a request whose caller does not wait", request(deadline=0)),
    "request_trace": ("a request with a trace context", request(trace=TRACE_ROWS)),
    "request_credential": ("a request with a credential", request(credential=b"token")),
    "request_credential_empty": ("a request with an empty credential", request(credential=b"")),
    "request_label": ("a request with a label: internal, untrusted, web-search", request(label=LABEL)),
    "request_label_any": ("a request with a label: secret, untrusted, any origin", request(label=b"\x02\x01\x00")),
    "request_label_two": ("a request with a label: public, trusted, tool and user", request(
        label=b"\x00\x00\x01\x02\x04tool\x04user")),
    "request_headers": ("a request with headers", request(headers=HEADERS)),
    "request_header_empty": ("a request with a header of no value", request(headers=[(b"x", b"")])),
    "request_handle": ("a request on an object", request(handle=9)),
    "request_ports": ("a request with two streams and an object", request(ports=[(0, 1), (1, 5), (0, 2)])),
    "request_idempotent": ("a request that may be made again", request(idempotent=True)),
    "reply": ("a reply with the value of the method", reply()),
    "reply_empty": ("a reply with a value of no bytes", reply(body=None)),
    "reply_error": ("a reply with the method's own error", reply(error=True)),
    "reply_label": ("a reply with a label: secret, trusted, tool", reply(label=b"\x02\x00\x01\x01\x04tool")),
    "reply_ports": ("a reply with an object and a stream", reply(ports=[(1, 5), (0, 1)])),
    "reply_all": ("an error with a label and a stream", reply(error=True, label=LABEL, ports=[(0, 1)])),
    "fault": ("a fault: internal", fault()),
    "fault_unfamiliar": ("a fault with a code that this version does not know", fault(code=200)),
    "cancel": ("nobody waits any more", cancel()),
    "item": ("an item", item()),
    "item_empty": ("an item of no bytes", item(body=None)),
    "end": ("no more items", end()),
    "end_fault": ("no more items, because of unavailable", end(code=6)),
    "credit": ("more of a stream", credit(1, 131_072)),
    "credit_connection": ("more of all streams", credit(0, 2_097_152)),
    "stop": ("no more of a stream, please", stop()),
    "release": ("an object is not held any more", frame("release", u64(5, "object"))),
    "renew": ("an object is still held", frame("renew", u64(5, "object"))),
    "health": ("a question", frame("health")),
    "healthy": ("yes", frame("healthy", (b"\x01", "ok"))),
    "healthy_not": ("no", frame("healthy", (b"\x00", "not ok"))),
    "drain": ("no more calls, please", frame("drain")),
    "goodbye": ("goodbye: malformed", frame("goodbye", u8(4, "reason"))),
}
BODIES = {"request": 6, "reply": 6, "item": 6}

STREAM_1 = request(ports=[(0, 1)])


def edit(rows, at=None, drop=0, more=b""):
    """A frame whose last bytes are dropped or followed by others, its length field right."""
    content = b"".join(part for part, _ in rows[1:])
    content = content[: len(content) - drop] + more
    return [(le(len(content), 4), f"length {len(content)}"), (content[:1], rows[1][1]), (content[1:], "fields")]


def long(rows):
    return edit(rows, more=b"\x00")


def cut(rows, drop=1):
    return edit(rows, drop=drop)


def raw(content, what):
    return [(content, what)]


EMPTY = raw(le(0, 4), "length 0")
M, U, N = "malformed", "unexpected-frame", "not-graft"
BIG = "metadata-too-large"
CREDIT, STREAM = "credit-exceeded", "unknown-stream"
H, B = hello(), bind()


def after(*frames):
    return [H, B, *frames]


# name: (reason, frames, limits of the receiver that are not the default ones)
TO_SERVER = {
    "first_frame_empty": (N, [EMPTY]),
    "first_frame_tls": (N, [raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "a TLS client")]),
    "first_frame_4_gib": (N, [raw(b"\xff\xff\xff\xff", "length 4294967295")]),
    "first_frame_256": (N, [raw(le(256, 4), "length 256")]),
    "first_frame_request": (N, [request(body=None)]),
    "first_frame_goodbye": (N, [frame("goodbye", u8(0, "reason"))]),
    "hello_wrong_magic": (N, [frame("hello", (b"grpc", "magic"), *hello()[3:])]),
    "hello_cut_in_magic": (N, [frame("hello", (b"grf", "half of the magic"))]),
    "hello_cut": (N, [cut(H)]),
    "hello_long": (N, [long(H)]),
    "hello_version_0": ("version-mismatch", [frame(
        "hello", (b"grft", "magic"), u16(0, "version"), u32(4 << 20, "longest frame"), u32(1024, "unanswered calls"))]),
    "hello_version_2": ("version-mismatch", [hello(version=2)]),
    "hello_version_2_short": ("version-mismatch", [frame("hello", (b"grft", "magic"), u16(2, "version"))]),
    "hello_twice": (U, [H, H]),
    "hello_twice_cut": (U, [H, cut(H, 10)]),
    "hello_twice_version_2": (U, [H, hello(version=2)]),
    "frame_empty": (M, [H, EMPTY]),
    "length_over_limit": ("frame-too-large", [H, raw(le((4 << 20) + 1, 4), "length 4194305")]),
    "length_4_gib": ("frame-too-large", [H, raw(b"\xff\xff\xff\xff", "length 4294967295")]),
    "type_17": (U, [H, raw(le(1, 4) + b"\x11", "type 17")]),
    "type_255": (U, [H, raw(le(1, 4) + b"\xff", "type 255")]),
    # bind, bound
    "bind_out_of_order": (U, [H, bind(1)]),
    "bind_index_twice": (U, after(bind(0, (b"\x09" * 32, "another interface id")))),
    "bind_interface_twice": (U, after(bind(1))),
    "bind_cut": (M, [H, cut(B)]),
    "bind_long": (M, [H, long(B)]),
    "bound_unbound": (U, [H, FRAMES["bound"][1]]),
    "bound_2": (M, [H, frame("bound", u16(0, "index"), (b"\x02", "neither"))]),
    "bound_cut": (M, [H, cut(FRAMES["bound"][1])]),
    # request
    "request_unbound": ("unbound-interface", [H, request()]),
    "request_unbound_next": ("unbound-interface", after(request(index=1))),
    "request_flag_512": (M, after(request(more_flags=512))),
    "request_flag_32768": (M, after(request(more_flags=32768))),
    "request_cut": (M, after(cut(request(body=None)))),
    "request_only_type": (M, after(frame("request"))),
    "request_parent_cut": (M, after(cut(request(parent=2, body=None)))),
    "request_deadline_cut": (M, after(cut(request(deadline=5, body=None)))),
    "request_trace_zero": (M, after(request(trace=[(bytes(25), "an absent trace")]))),
    "request_trace_cut": (M, after(cut(request(trace=TRACE_ROWS, body=None)))),
    "request_credential_cut": (M, after(cut(request(credential=b"token", body=None)))),
    "request_handle_cut": (M, after(cut(request(handle=9, body=None)))),
    "call_number_reused": ("call-number-reused", after(request(), request())),
    "call_number_falls": ("call-number-reused", after(request(number=8), request(number=7))),
    "call_number_last": ("call-number-reused", after(request(number=2**64 - 1))),
    # label
    "label_default": (M, after(request(label=b"\x01\x00\x01\x00"))),
    "label_empty": (M, after(request(label=b""))),
    "label_cut": (M, after(request(label=LABEL[:-1]))),
    "label_rest": (M, after(request(label=LABEL + b"\x00"))),
    "label_sensitivity_3": (M, after(request(label=b"\x03\x00\x01\x00"))),
    "label_trust_2": (M, after(request(label=b"\x00\x02\x01\x00"))),
    "label_origins_2": (M, after(request(label=b"\x00\x00\x02\x00"))),
    "label_not_canonical_varint": (M, after(request(label=b"\x02\x00\x01\x81\x00\x04tool"))),
    "label_origin_is_text": (M, after(request(label=b"\x02\x00\x01\x01\x09two words"))),
    "label_origin_twice": (M, after(request(label=b"\x02\x00\x01\x02\x04tool\x04tool"))),
    "label_origins_out_of_order": (M, after(request(label=b"\x02\x00\x01\x02\x04user\x04tool"))),
    "label_many_origins": (M, after(request(
        label=b"\x02\x00\x01\x11" + b"".join(b"\x03t%02d" % n for n in range(17))))),
    "label_count_bomb": (M, after(request(label=b"\x01\x01\x01\xff\xff\xff\xff\x0f"))),
    "label_length_past_frame": (M, after(request(label=[(le(100, 2), "label length"), (LABEL, "label")]))),
    # metadata
    "metadata_bomb_credential": (BIG, after(request(credential=[(b"\xff\xff", "credential length")]))),
    "metadata_bomb_label": (BIG, after(request(label=[(b"\xff\xff", "label length")]))),
    "metadata_bomb_headers": (BIG, after(request(headers=[(b"\xff\xff", "headers length")]))),
    "metadata_credential_4097": (BIG, after(request(credential=[(le(4097, 2), "credential length 4097")]))),
    "metadata_label_4097": (BIG, after(request(label=[(le(4097, 2), "label length 4097")]))),
    "metadata_together": (BIG, after(request(credential=b"token", label=LABEL, headers=HEADERS)), "max_metadata=60"),
    # headers
    "headers_empty": (M, after(request(headers=[(b"\x00\x00", "headers length 0")]))),
    "header_name_empty": (M, after(request(headers=[(b"", b"x")]))),
    "header_name_capital": (M, after(request(headers=[(b"Baggage", b"x")]))),
    "header_name_space": (M, after(request(headers=[(b"two words", b"x")]))),
    "header_name_not_ascii": (M, after(request(headers=[("n\u00e4me".encode(), b"x")]))),
    "header_twice": (M, after(request(headers=[(b"baggage", b"a"), (b"baggage", b"b")]))),
    "header_value_line": (M, after(request(headers=[(b"baggage", b"a\r\nb")]))),
    "header_value_not_utf8": (M, after(request(headers=[(b"baggage", b"\xff")]))),
    "header_cut": (M, after(request(headers=[(b"\x0a\x00", "headers length"), (b"\x07baggage\x08\x00", "a value is missing")]))),
    "headers_33": (M, after(request(headers=[(b"h%02d" % n, b"") for n in range(33)]))),
    "headers_4097_bytes": (M, after(request(headers=[(b"h", b"x" * 4096)]))),
    # ports
    "ports_none": (M, after(request(ports=[(b"\x00", "ports 0")]))),
    "port_kind_2": (M, after(request(ports=[(2, 1)]))),
    "ports_cut": (M, after(cut(request(ports=[(0, 1), (1, 5)], body=None)))),
    "ports_count_past_frame": (M, after(request(ports=[u8(255, "ports"), (b"\x00", "stream"), u64(1, "number")]))),
    "port_stream_0": ("stream-number-reused", after(request(ports=[(0, 0)]))),
    "port_stream_twice": ("stream-number-reused", after(request(ports=[(0, 1), (0, 1)]))),
    "port_stream_falls": ("stream-number-reused", after(request(ports=[(0, 2), (0, 1)]))),
    "port_stream_reused": ("stream-number-reused", after(STREAM_1, request(number=8, ports=[(0, 1)]))),
    # answers
    "reply_to_server": ("unknown-call", [H, reply()]),
    "fault_to_server": ("unknown-call", [H, fault()]),
    "cancel_of_unknown_call": ("unknown-call", [H, cancel()]),
    "cancel_of_later_call": ("unknown-call", after(request(), cancel(8))),
    "cancel_cut": (M, after(request(), cut(cancel()))),
    "cancel_long": (M, after(request(), long(cancel()))),
    # streams
    "item_unknown": (STREAM, [H, item()]),
    "item_stream_0": (STREAM, after(STREAM_1, item(0))),
    "item_later_stream": (STREAM, after(STREAM_1, item(2))),
    "item_cut": (M, after(STREAM_1, cut(item(body=None)))),
    "item_after_end": (STREAM, after(STREAM_1, end(), item())),
    "item_over_stream_window": (CREDIT, after(STREAM_1, item(), item()), "stream_window=100"),
    "item_over_window": (CREDIT, after(
        request(ports=[(0, 1), (0, 2)]), item(1), item(2)), "stream_window=100 window=120"),
    "end_unknown": (STREAM, [H, end()]),
    "end_stream_0": (STREAM, after(STREAM_1, end(0))),
    "end_twice": (STREAM, after(STREAM_1, end(), end())),
    "end_cut": (M, after(STREAM_1, cut(end()))),
    "end_long": (M, after(STREAM_1, long(end()))),
    "credit_0": (CREDIT, [H, credit(0, 0)]),
    "credit_over_window": (CREDIT, [H, credit(0, 1)]),
    "credit_4_gib": (CREDIT, [H, credit(0, 2**32 - 1)]),
    "credit_unknown_stream": (STREAM, [H, credit(1, 1)]),
    "credit_cut": (M, [H, cut(credit(0, 1))]),
    "credit_long": (M, [H, long(credit(0, 1))]),
    "stop_unknown": (STREAM, [H, stop()]),
    "stop_stream_0": (STREAM, [H, stop(0)]),
    "stop_of_ones_own": (STREAM, after(STREAM_1, stop())),
    "stop_cut": (M, [H, cut(stop())]),
    "stop_long": (M, [H, long(stop())]),
    # objects, health, drain, goodbye
    "release_cut": (M, [H, cut(FRAMES["release"][1])]),
    "release_long": (M, [H, long(FRAMES["release"][1])]),
    "renew_cut": (M, [H, cut(FRAMES["renew"][1])]),
    "renew_long": (M, [H, long(FRAMES["renew"][1])]),
    "health_long": (M, [H, long(frame("health"))]),
    "health_flood": ("rate-exceeded", [H, *[frame("health")] * 4], "max_cancel_rate=3"),
    "cancel_flood": ("rate-exceeded", after(request(), *[cancel()] * 4), "max_cancel_rate=3"),
    "healthy_unasked": (U, [H, FRAMES["healthy"][1]]),
    "healthy_2": (M, [H, frame("healthy", (b"\x02", "neither"))]),
    "healthy_cut": (M, [H, frame("healthy")]),
    "drain_twice": (U, [H, frame("drain"), frame("drain")]),
    "drain_long": (M, [H, long(frame("drain"))]),
    "goodbye_cut": (M, [H, frame("goodbye")]),
    "goodbye_long": (M, [H, long(FRAMES["goodbye"][1])]),
}
TO_CLIENT = {
    "hello_version_0_to_client": TO_SERVER["hello_version_0"],
    "hello_version_2_to_client": TO_SERVER["hello_version_2"],
    "first_frame_reply": (N, [reply(body=None)]),
    "bind_to_client": (U, [H, B]),
    "request_to_client": (U, [H, request()]),
    "cancel_to_client": ("unknown-call", [H, cancel()]),
    "reply_to_unknown_call": ("unknown-call", [H, reply()]),
    "fault_to_unknown_call": ("unknown-call", [H, fault()]),
    "reply_flag_8": (M, [H, reply(more_flags=8)]),
    "reply_cut": (M, [H, cut(reply(body=None))]),
    "reply_label_bomb": (BIG, [H, reply(label=[(b"\xff\xff", "label length")])]),
    "reply_label_cut": (M, [H, reply(label=LABEL[:-1])]),
    "reply_label_default": (M, [H, reply(label=b"\x01\x00\x01\x00")]),
    "reply_ports_none": (M, [H, reply(ports=[(b"\x00", "ports 0")])]),
    "reply_port_kind_2": (M, [H, reply(ports=[(2, 1)])]),
    "reply_ports_cut": (M, [H, cut(reply(ports=[(0, 1)], body=None))]),
    "fault_cut": (M, [H, cut(fault())]),
    "fault_long": (M, [H, long(fault())]),
    "item_to_client": (STREAM, [H, item()]),
}


def line(content, meaning):
    # A long field takes lines of 32 bytes; its meaning stands beside the last one.
    pieces = [content[at : at + 32] for at in range(0, len(content), 32)] or [b""]
    lines = [piece.hex() for piece in pieces[:-1]]
    return "\n".join([*lines, f"{pieces[-1].hex():<64}  {meaning}"]) + "\n"


def write(path, head, frames):
    rows = [row for rows in frames for row in rows if row[0]]
    path.write_text("".join(f"# {text}\n" for text in head) + "".join(line(*row) for row in rows))


def main():
    golden = pathlib.Path("tests/golden")
    for directory in ["frames", "hostile"]:
        shutil.rmtree(golden / directory, ignore_errors=True)
        (golden / directory).mkdir(parents=True)
    for name, (what, rows) in FRAMES.items():
        body = BODIES.get(name.split("_")[0], 0) if rows[-1][1] in ("body", "item") else 0
        is_open = name.split("_")[0] in BODIES
        write(golden / "frames" / f"{name}.hex", [what] + ([f"body: {body}"] if is_open else []), [rows])
    for to, files in [("server", TO_SERVER), ("client", TO_CLIENT)]:
        for name, (expect, frames, *limits) in files.items():
            head = [f"to: {to}", f"expect: {expect}", *(f"limits: {text}" for text in limits)]
            write(golden / "hostile" / f"{name}.hex", head, frames)


main()
